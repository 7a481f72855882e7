//! Release files: which suite, from when until when, and the digests of its indices.

use std::collections::BTreeMap;

use thiserror::Error;

use super::date;
use super::deb822::{Deb822Error, Stanza, stanzas};
use crate::units::{Bytes, Sha256, Timestamp};

/// What a Release file says, as far as it is used here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Release {
    /// `stable`, `stable-updates`; changes when Debian releases.
    pub suite: String,
    /// `trixie`, `trixie-updates`, `trixie-security`; never changes.
    pub codename: String,
    /// When it was made.
    pub date: Timestamp,
    /// From when on it must not be used, if it says so (trixie itself does not).
    pub valid_until: Option<Timestamp>,
    /// Whether indices also lie under a name made from their digest.
    pub has_by_hash: bool,
    files: BTreeMap<String, ReleaseFile>,
}

/// Size and digest of an index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReleaseFile {
    /// Its size.
    pub size: Bytes,
    /// Its digest.
    pub sha256: Sha256,
}

/// What is wrong with a Release file.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
pub enum ReleaseError {
    /// Not a stanza.
    #[error("Release file is malformed")]
    Malformed(#[from] Deb822Error),
    /// It has none or several stanzas.
    #[error("Release file has {found} stanzas instead of 1")]
    NotOneStanza {
        /// How many (2 for more).
        found: usize,
    },
    /// A field is missing.
    #[error("Release file has no field `{field}`")]
    NoField {
        /// Its name.
        field: &'static str,
    },
    /// A field's value makes no sense.
    #[error("Release file's field `{field}` has the wrong value `{value}`")]
    WrongValue {
        /// Its name.
        field: &'static str,
        /// The value or the line of it.
        value: String,
    },
    /// Properly signed, but of another suite.
    #[error("Release file is of `{found}`, `{expected}` was asked for")]
    OtherSuite {
        /// Codename asked for.
        expected: String,
        /// Codename found.
        found: String,
    },
    /// Too old.
    #[error(
        "Release file of `{codename}` expired on {valid_until}, now it is {now}: use a mirror that is up to date \
         or set this computer's clock"
    )]
    Expired {
        /// Its codename.
        codename: String,
        /// When it expired.
        valid_until: Timestamp,
        /// What time it was judged at.
        now: Timestamp,
    },
    /// An index is not listed.
    #[error("Release file of `{codename}` lists no `{path}`")]
    NoIndex {
        /// Its codename.
        codename: String,
        /// Path below the suite.
        path: String,
    },
}

impl Release {
    /// Reads the verified text of a Release file.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let mut all = stanzas(text);
        let stanza = all.next().ok_or(ReleaseError::NotOneStanza { found: 0 })??;
        if all.next().is_some() {
            return Err(ReleaseError::NotOneStanza { found: 2 });
        }
        Ok(Self {
            suite: stanza.get("Suite").unwrap_or_default().to_owned(),
            codename: required(&stanza, "Codename")?.to_owned(),
            date: parse_date("Date", required(&stanza, "Date")?)?,
            valid_until: stanza
                .get("Valid-Until")
                .map(|value| parse_date("Valid-Until", value))
                .transpose()?,
            has_by_hash: stanza.get("Acquire-By-Hash") == Some("yes"),
            files: parse_files(required(&stanza, "SHA256")?)?,
        })
    }

    /// Checks that it is the one asked for and not expired at `now`.
    pub fn check(&self, codename: &str, now: Timestamp) -> Result<(), ReleaseError> {
        if self.codename != codename {
            return Err(ReleaseError::OtherSuite {
                expected: codename.to_owned(),
                found: self.codename.clone(),
            });
        }
        match self.valid_until {
            Some(valid_until) if valid_until <= now => {
                Err(ReleaseError::Expired { codename: self.codename.clone(), valid_until, now })
            }
            _ => Ok(()),
        }
    }

    /// Size and digest of the index at `path` below the suite, e.g. `main/binary-amd64/Packages.xz`.
    pub fn file(&self, path: &str) -> Result<ReleaseFile, ReleaseError> {
        self.files
            .get(path)
            .copied()
            .ok_or_else(|| ReleaseError::NoIndex { codename: self.codename.clone(), path: path.to_owned() })
    }
}

fn required<'a>(stanza: &Stanza<'a>, field: &'static str) -> Result<&'a str, ReleaseError> {
    stanza.get(field).filter(|value| !value.is_empty()).ok_or(ReleaseError::NoField { field })
}

fn parse_date(field: &'static str, value: &str) -> Result<Timestamp, ReleaseError> {
    date::parse(value).ok_or_else(|| ReleaseError::WrongValue { field, value: value.to_owned() })
}

/// Lines of digest, size in bytes and path.
fn parse_files(value: &str) -> Result<BTreeMap<String, ReleaseFile>, ReleaseError> {
    value
        .lines()
        .map(|line| {
            let wrong = || ReleaseError::WrongValue { field: "SHA256", value: line.trim().to_owned() };
            let mut words = line.split_ascii_whitespace();
            let sha256 = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
            let size = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
            let path = words.next().ok_or_else(wrong)?;
            if words.next().is_some() {
                return Err(wrong());
            }
            Ok((path.to_owned(), ReleaseFile { size: Bytes(size), sha256 }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Suite: stable-updates
Codename: trixie-updates
Date: Sat, 21 Nov 2026 02:10:46 UTC
Valid-Until: Sat, 28 Nov 2026 02:10:46 UTC
Acquire-By-Hash: yes
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        0 main/binary-amd64/Packages
 f61f27bd17de546264aa58f40f3aafaac7021e0ef69c17f6b1b4cd7664a037ec       20 main/binary-amd64/Packages.gz
";

    #[test]
    fn reads_fields_and_digests() {
        let release = Release::parse(TEXT).unwrap();
        assert_eq!(release.suite, "stable-updates");
        assert_eq!(release.codename, "trixie-updates");
        assert_eq!(release.date, Timestamp(1_795_227_046));
        assert!(release.has_by_hash);
        let file = release.file("main/binary-amd64/Packages.gz").unwrap();
        assert_eq!(file.size, Bytes(20));
        assert!(file.sha256.to_string().starts_with("f61f27bd"));
        assert_eq!(
            release.file("main/binary-arm64/Packages.gz").unwrap_err().to_string(),
            "Release file of `trixie-updates` lists no `main/binary-arm64/Packages.gz`"
        );
    }

    #[test]
    fn expires_at_valid_until() {
        let release = Release::parse(TEXT).unwrap();
        let end = release.valid_until.unwrap();
        assert_eq!(release.check("trixie-updates", Timestamp(end.0 - 1)), Ok(()));
        assert_eq!(
            release.check("trixie-updates", end).unwrap_err().to_string(),
            "Release file of `trixie-updates` expired on 2026-11-28T02:10:46Z, now it is \
             2026-11-28T02:10:46Z: use a mirror that is up to date or set this computer's clock"
        );
    }

    #[test]
    fn refuses_another_suite() {
        let release = Release::parse(TEXT).unwrap();
        assert_eq!(
            release.check("trixie", Timestamp(0)).unwrap_err().to_string(),
            "Release file is of `trixie-updates`, `trixie` was asked for"
        );
    }

    #[test]
    fn names_the_wrong_field() {
        for (from, to, message) in [
            ("Codename: trixie-updates\n", "", "Release file has no field `Codename`"),
            (
                "Sat, 28",
                "Sat 28",
                "Release file's field `Valid-Until` has the wrong value `Sat 28 Nov 2026 02:10:46 UTC`",
            ),
            (
                "  20 main",
                "  -1 main",
                "Release file's field `SHA256` has the wrong value `f61f27bd17de546264aa58f40f3aafaac7021e0ef69c17f6b1b4cd7664a037ec       -1 main/binary-amd64/Packages.gz`",
            ),
            ("SHA256:\n", "Y: 1\n\nSHA256:\n", "Release file has 2 stanzas instead of 1"),
            ("Suite", " Suite", "Release file is malformed"),
        ] {
            let error = Release::parse(&TEXT.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.to_string(), message, "{to:?}");
        }
        assert_eq!(Release::parse("\n"), Err(ReleaseError::NotOneStanza { found: 0 }));
    }
}
