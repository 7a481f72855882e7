//! The control information of a package: its stanza, conffiles and the names of its scripts.

use std::collections::BTreeSet;

use thiserror::Error;

/// What is wrong with a package's control information.
#[derive(Debug, Eq, Error, PartialEq)]
pub enum ControlFault {
    /// A control file is not UTF-8.
    #[error("control file `{file}` is no UTF-8 text at byte {offset}")]
    Encoding {
        /// Name of the file.
        file: &'static str,
        /// Where the text ends.
        offset: usize,
    },
    /// A line is neither field, continuation nor end.
    #[error("line {line} of the control stanza is no field: {text:?}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A field occurs twice.
    #[error("line {line} of the control stanza repeats field `{field}`")]
    Repeated {
        /// Number of the line, from 1.
        line: usize,
        /// Name of the field.
        field: String,
    },
    /// A field that identifies the package is absent.
    #[error("the control stanza has no field `{field}`")]
    Absent {
        /// Name of the field.
        field: &'static str,
    },
    /// A field that identifies the package has a value that Debian does not allow.
    #[error("field `{field}` of the control stanza is {value:?}")]
    Value {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: String,
    },
}

/// A package's control stanza.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Control {
    /// Package name, checked against Debian's rule for names, so that it may be a file name.
    pub package: String,
    /// Debian version.
    pub version: String,
    /// `all` or an architecture.
    pub architecture: String,
    /// The whole stanza as shipped, without blank lines around it, ending in one line feed.
    pub stanza: String,
}

impl Control {
    /// Reads a single stanza (deb-control(5)).
    pub fn parse(text: &str) -> Result<Self, ControlFault> {
        let stanza = format!("{}\n", text.trim_matches('\n').trim_end());
        check_lines(&stanza)?;
        let identity = |field: &'static str, is_valid: fn(&str) -> bool| {
            let value = find(&stanza, field).ok_or(ControlFault::Absent { field })?;
            if is_valid(value) {
                Ok(value.to_owned())
            } else {
                Err(ControlFault::Value { field, value: value.to_owned() })
            }
        };
        let package = identity("Package", is_package_name)?;
        let version = identity("Version", is_version)?;
        let architecture = identity("Architecture", is_architecture)?;
        Ok(Self { package, version, architecture, stanza })
    }

    /// The first line of a field's value; names compare without case.
    pub fn field(&self, name: &str) -> Option<&str> {
        find(&self.stanza, name)
    }
}

fn find<'stanza>(stanza: &'stanza str, name: &str) -> Option<&'stanza str> {
    stanza.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn check_lines(stanza: &str) -> Result<(), ControlFault> {
    let mut seen = BTreeSet::new();
    for (index, text) in stanza.lines().enumerate() {
        let line = index + 1;
        if index > 0 && text.starts_with([' ', '\t']) {
            continue;
        }
        match text.split_once(':') {
            Some((field, _)) if !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_graphic()) => {
                if !seen.insert(field.to_ascii_lowercase()) {
                    return Err(ControlFault::Repeated { line, field: field.to_owned() });
                }
            }
            _ => return Err(ControlFault::Line { line, text: text.to_owned() }),
        }
    }
    Ok(())
}

/// Debian Policy 5.6.1: lower-case letters, digits, `+`, `-`, `.`; at least two, the first alphanumeric.
fn is_package_name(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
}

/// Debian Policy 5.6.12: alphanumerics and `. + - ~ :`.
fn is_version(version: &str) -> bool {
    !version.is_empty()
        && version
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b'~' | b':'))
}

fn is_architecture(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// A control file that package management knows by name and that declared setup must know about.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ScriptKind {
    /// Runs before unpacking.
    Preinst,
    /// Runs after unpacking.
    Postinst,
    /// Runs before removal.
    Prerm,
    /// Runs after removal.
    Postrm,
    /// Asks debconf questions.
    Config,
    /// Declares interest in, or activates, triggers.
    Triggers,
}

impl ScriptKind {
    /// All kinds, in order.
    pub const ALL: [Self; 6] =
        [Self::Preinst, Self::Postinst, Self::Prerm, Self::Postrm, Self::Config, Self::Triggers];

    /// Its file name in the control archive.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Preinst => "preinst",
            Self::Postinst => "postinst",
            Self::Prerm => "prerm",
            Self::Postrm => "postrm",
            Self::Config => "config",
            Self::Triggers => "triggers",
        }
    }
}

/// A control file as text.
pub(super) fn text(file: &'static str, content: &[u8]) -> Result<String, ControlFault> {
    match std::str::from_utf8(content) {
        Ok(text) => Ok(text.to_owned()),
        Err(reason) => Err(ControlFault::Encoding { file, offset: reason.valid_up_to() }),
    }
}

/// Paths of a `conffiles` file, below the root. Lines with a flag (`remove-on-upgrade`, deb-conffiles(5))
/// name files that the package no longer ships, and are left out.
pub(super) fn parse_conffiles(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.trim_end().strip_prefix('/')).map(str::to_owned).collect()
}
