//! The API token: where it comes from, and that it goes nowhere else.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use reqwest::header::HeaderValue;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{environment, secret};

/// A token of a project. It shows as a placeholder, and is overwritten when it is dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// Why there is no token.
#[derive(Debug, Error)]
pub enum TokenError {
    /// Neither a file nor the variable.
    #[error("there is no API token of Hetzner Cloud")]
    Absent,
    /// The file cannot be read.
    #[error("reading the API token from `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not what a token looks like. What it looks like instead is not said: it may be a secret.
    #[error("what {origin} holds is no API token: one word of letters, digits, `-` and `_`")]
    Form {
        /// Where it comes from.
        origin: String,
    },
}

impl TokenError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Absent | Self::Form { .. } => {
                "make a token that reads and writes in the project's console, under Security, API tokens; \
                 `HCLOUD_TOKEN` or the file that `--token-file` names holds it"
            }
            Self::Read { .. } => "`--token-file` names a file that holds the token",
        }
    }
}

impl Token {
    /// Takes it from `file`, or from the variable `HCLOUD_TOKEN` where there is no file.
    pub fn choose(file: Option<&Path>) -> Result<Self, TokenError> {
        let variable = || std::env::var(environment::HCLOUD_TOKEN).ok().map(Zeroizing::new);
        match file {
            Some(path) => Self::load(path),
            None => match variable().filter(|text| !text.trim().is_empty()) {
                Some(text) => Self::parse(&text, || format!("`{}`", environment::HCLOUD_TOKEN)),
                None => Err(TokenError::Absent),
            },
        }
    }

    /// Reads it from a file, which may be a pipe (`<(…)`); the newline at its end is no part of it.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let read = secret::read(path);
        let text = read.map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, || format!("`{}`", path.display()))
    }

    fn parse(text: &str, origin: impl FnOnce() -> String) -> Result<Self, TokenError> {
        let text = text.trim();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if text.is_empty() || !text.bytes().all(is_token) {
            return Err(TokenError::Form { origin: origin() });
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// What to tell where others than the file's owner can read it.
    pub fn warning(path: &Path) -> Option<String> {
        secret::warning("the API token", path)
    }

    /// The value of `Authorization`. It is marked, so that no log of the HTTP client's shows it.
    pub(super) fn header(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("Bearer {}", self.0.as_str()));
        let mut value = HeaderValue::from_str(&text).expect("the form of a token was checked");
        value.set_sensitive(true);
        value
    }

    /// Takes the token out of a reply: whoever sends it back would bring it into messages.
    pub(super) fn redact(&self, body: Vec<u8>) -> Vec<u8> {
        let token = self.0.as_bytes();
        if memchr::memmem::find(&body, token).is_none() {
            return body;
        }
        let mut redacted = Vec::with_capacity(body.len());
        let mut rest = body.as_slice();
        while let Some(start) = memchr::memmem::find(rest, token) {
            redacted.extend_from_slice(&rest[..start]);
            redacted.extend_from_slice(b"<token>");
            rest = &rest[start + token.len()..];
        }
        redacted.extend_from_slice(rest);
        redacted
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<token>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::tests::file;

    const TEXT: &str = "jEheVytlAoFl7F8MqUQ7jAo2hOXASztX";

    #[test]
    fn a_newline_at_the_end_of_the_file_is_no_part_of_it() {
        for content in [TEXT.to_owned(), format!("{TEXT}\n"), format!("{TEXT}\r\n")] {
            let token = Token::load(file(&content, 0o600).path()).unwrap();
            assert_eq!(token.header().to_str().unwrap(), format!("Bearer {TEXT}"), "{content:?}");
        }
    }

    #[test]
    fn shows_a_placeholder_wherever_it_is_shown() {
        let token = Token::load(file(TEXT, 0o600).path()).unwrap();
        assert_eq!(format!("{token:?} {:?}", token.header()), "<token> Sensitive");
        assert_eq!(token.redact(format!("a{TEXT}b{TEXT}").into_bytes()), b"a<token>b<token>");
        assert_eq!(token.redact(b"ab".to_vec()), b"ab");
    }

    #[test]
    fn does_not_repeat_what_is_no_token() {
        for content in ["", "\n", "two words", "a\nb", "caf\u{e9}"] {
            let file = file(content, 0o600);
            let fault = Token::load(file.path()).unwrap_err().to_string();
            let path = file.path().display();
            let form = "is no API token: one word of letters, digits, `-` and `_`";
            assert_eq!(fault, format!("what `{path}` holds {form}"), "{content:?}");
        }
    }

    #[test]
    fn says_which_file_is_not_there() {
        let fault = Token::choose(Some(Path::new("/nowhere/token"))).unwrap_err();
        assert_eq!(fault.to_string(), "reading the API token from `/nowhere/token`");
        assert_eq!(fault.hint(), "`--token-file` names a file that holds the token");
    }

    #[test]
    fn warns_of_a_file_that_others_can_read() {
        for (mode, is_warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            let file = file(TEXT, mode);
            let path = file.path().display();
            let text = format!("others can read the API token in `{path}`: `chmod 600 {path}` ends that");
            assert_eq!(Token::warning(file.path()), is_warned.then_some(text), "{mode:o}");
        }
    }
}
