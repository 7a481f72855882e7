//! Kernel arguments in GRUB's script language.

use thiserror::Error;

/// GRUB would put a backslash before these, which the kernel does not take away.
const ESCAPED: [char; 2] = ['\'', '\\'];

/// An argument that GRUB cannot pass on as it is.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("kernel argument `{argument}` has a {what}, which GRUB does not pass on")]
pub struct ArgumentError {
    /// The argument.
    pub argument: String,
    /// What is in it.
    pub what: &'static str,
}

/// Each argument in single quotes, inside which GRUB's script language knows nothing special.
///
/// Double quotes are the kernel's way of having spaces in an argument. They are left out, for GRUB puts them around
/// an argument with spaces itself, and a backslash before those that are there.
pub(super) fn quoted(command_line: &str) -> Result<String, ArgumentError> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for character in command_line.chars() {
        match (character, words.last_mut()) {
            ('"', _) => is_quoted = !is_quoted,
            (' ', _) if !is_quoted => words.push(String::new()),
            (other, Some(word)) => word.push(other),
            (_, None) => {}
        }
    }
    let words = words.into_iter().filter(|word| !word.is_empty());
    let quoted: Result<Vec<_>, _> = words.map(quote).collect();
    Ok(quoted?.join(" "))
}

fn quote(argument: String) -> Result<String, ArgumentError> {
    match argument.chars().find(|character| ESCAPED.contains(character)) {
        Some('\'') => Err(ArgumentError { argument, what: "single quote" }),
        Some(_) => Err(ArgumentError { argument, what: "backslash" }),
        None => Ok(format!("'{argument}'")),
    }
}
