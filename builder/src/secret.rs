//! Text that is written into encrypted files only, or comes from a file of the user's.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::{fmt, fs, io};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::units::Bytes;

/// No more of a file is read; tokens and keys have some ten characters.
const LONGEST: Bytes = Bytes(4096);

/// A secret: it shows as a placeholder, and is overwritten when it is dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<Zeroizing<String>> for Secret {
    fn from(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// Only `identity` writes secrets, into what it encrypts.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// The beginning of a file that holds a token or keys. It may be a pipe (`<(…)`).
pub fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    File::open(path)?.take(LONGEST.0).read_to_string(&mut text)?;
    Ok(text)
}

/// What to tell where others than its owner can read a file that holds `what`.
pub fn warning(what: &str, path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let is_open = mode & 0o077 != 0;
    is_open.then(|| format!("others can read {what} in `{0}`: `chmod 600 {0}` ends that", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file with this mode.
    pub(crate) fn file(content: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn shows_a_placeholder() {
        let secret = Secret::from(Zeroizing::new("hunter2".to_owned()));
        assert_eq!(format!("{secret} {secret:?}"), "<secret> <secret>");
    }
    #[test]
    fn warns_of_a_file_that_others_can_read() {
        for (mode, is_warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            let file = file("secret", mode);
            let path = file.path().display();
            let text = format!("others can read the key in `{path}`: `chmod 600 {path}` ends that");
            assert_eq!(warning("the key", file.path()), is_warned.then_some(text), "{mode:o}");
        }
    }
}
