//! The keys of an S3 service: where they come from, and that the secret one goes nowhere.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use aws_credential_types::Credentials;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{environment, secret};

/// Names in `~/.aws/credentials`, which AWS's own tools read.
const ACCESS: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";

/// An access key and its secret key. They show as a placeholder, and are overwritten when they are dropped.
#[derive(Clone)]
pub struct Keys(Credentials);

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Neither a file nor the variables.
    #[error("there are no keys of the S3 service")]
    Absent,
    /// One variable without the other.
    #[error("`{given}` is set, and `{missing}` is not")]
    Half {
        /// The one that is there.
        given: &'static str,
        /// The other.
        missing: &'static str,
    },
    /// The file cannot be read.
    #[error("reading the keys of the S3 service from `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not what keys look like. What it looks like instead is not said: it may be a secret.
    #[error("what {origin} holds are no keys of an S3 service: each is one word")]
    Form {
        /// Where it comes from.
        origin: String,
    },
}

impl KeyError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Absent | Self::Half { .. } => {
                "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` hold them, or the file that `--s3-key-file` names; at \
                 Hetzner they are made in the project's console, under Security, S3 credentials"
            }
            Self::Read { .. } | Self::Form { .. } => {
                "the file has two lines, access key and secret key, or is one as `~/.aws/credentials` with one profile"
            }
        }
    }
}

impl Keys {
    /// Takes them from `file`, or from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` where there is no file.
    pub fn choose(file: Option<&Path>) -> Result<Self, KeyError> {
        let variable = |name| {
            let text = std::env::var(name).ok().map(Zeroizing::new);
            text.filter(|text| !text.trim().is_empty())
        };
        let names = [environment::AWS_ACCESS_KEY_ID, environment::AWS_SECRET_ACCESS_KEY];
        match (file, names.map(variable)) {
            (Some(path), _) => Self::load(path),
            (None, [Some(access), Some(secret)]) => {
                Self::of(&access, &secret, || format!("`{}` or `{}`", names[0], names[1]))
            }
            (None, [None, None]) => Err(KeyError::Absent),
            (None, [Some(_), None]) => Err(KeyError::Half { given: names[0], missing: names[1] }),
            (None, [None, Some(_)]) => Err(KeyError::Half { given: names[1], missing: names[0] }),
        }
    }

    /// Reads them from a file, which may be a pipe (`<(…)`).
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let read = secret::read(path);
        let text = read.map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        let origin = || format!("`{}`", path.display());
        let [access, secret] = in_file(&text).ok_or_else(|| KeyError::Form { origin: origin() })?;
        Self::of(access, secret, origin)
    }

    fn of(access: &str, secret: &str, origin: impl FnOnce() -> String) -> Result<Self, KeyError> {
        let (access, secret) = (access.trim(), secret.trim());
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_word(access) || !is_word(secret) {
            return Err(KeyError::Form { origin: origin() });
        }
        Ok(Self(Credentials::new(access, secret, None, None, "imgbuild")))
    }

    /// What to tell where others than the file's owner can read it.
    pub fn warning(path: &Path) -> Option<String> {
        secret::warning("the keys of the S3 service", path)
    }

    pub(super) const fn credentials(&self) -> &Credentials {
        &self.0
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<keys>")
    }
}

/// Two lines, or one profile of `~/.aws/credentials`.
fn in_file(text: &str) -> Option<[&str; 2]> {
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '[', ';'])).collect();
    let named = |name: &str| {
        let mut values = lines.iter().filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then_some(value)
        });
        // Of two profiles nobody knows which is meant.
        values.next().filter(|_| values.next().is_none())
    };
    match (named(ACCESS), named(SECRET), lines.as_slice()) {
        (Some(access), Some(secret), _) => Some([access, secret]),
        (None, None, [access, secret]) if !access.starts_with("aws_") => Some([access, secret]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::tests::file;

    const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    #[test]
    fn takes_two_lines_or_what_other_tools_read() {
        for content in [
            format!("AKIA\n{SECRET_KEY}\n"),
            format!("\n AKIA \r\n{SECRET_KEY}"),
            format!(
                "[default]\naws_access_key_id = AKIA\naws_secret_access_key={SECRET_KEY}\nregion = fsn1\n"
            ),
            format!("# a comment\n[lab]\naws_secret_access_key = {SECRET_KEY}\naws_access_key_id = AKIA\n"),
        ] {
            let keys = Keys::load(file(&content, 0o600).path()).unwrap();
            let credentials = keys.credentials();
            assert_eq!(credentials.access_key_id(), "AKIA", "{content:?}");
            assert_eq!(credentials.secret_access_key(), SECRET_KEY, "{content:?}");
            assert_eq!(format!("{keys:?}"), "<keys>");
        }
    }

    #[test]
    fn does_not_repeat_what_are_no_keys() {
        let two = format!("[a]\n{ACCESS}=A\n{SECRET}=B\n[b]\n{ACCESS}=C\n{SECRET}=D\n");
        let half = format!("{ACCESS}=A\nregion=fsn1\n");
        for content in ["", "one", "a\nb\nc", "two words\nsecret", "a\ncaf\u{e9}", &two, &half] {
            let file = file(content, 0o600);
            let fault = Keys::load(file.path()).unwrap_err();
            let path = file.path().display();
            let text = format!("what `{path}` holds are no keys of an S3 service: each is one word");
            assert_eq!(fault.to_string(), text, "{content:?}");
        }
        let fault = Keys::choose(Some(Path::new("/nowhere/keys"))).unwrap_err();
        assert_eq!(fault.to_string(), "reading the keys of the S3 service from `/nowhere/keys`");
    }

    #[test]
    fn warns_of_a_file_that_others_can_read() {
        for (mode, is_warned) in [(0o600, false), (0o640, true), (0o604, true)] {
            assert_eq!(Keys::warning(file("a\nb", mode).path()).is_some(), is_warned, "{mode:o}");
        }
    }
}
