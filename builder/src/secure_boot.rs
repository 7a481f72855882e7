//! Secure Boot: the keys of a cluster, and what firmware enrols them from.
//!
//! Three keys, as UEFI wants them: PK vouches for KEK, KEK for db, db for programs. Each is its own certificate.
//! The format of signatures is in `format`; where the keys are kept, in `identity`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::{Uuid, uuid};

use crate::format::efi_signature_list::{self, Entry, TooLong};
use crate::format::efi_variable::{self, Variable, VariableError};
use crate::format::signer::{Signer, SignerError};
use crate::units::{Sha256, Timestamp};

/// Microsoft's owner GUID in signature lists, by which Windows' updates know its entries.
const MICROSOFT: Uuid = uuid!("77fa9abd-0359-4d32-bd60-28f4e78f784b");

/// Microsoft's certificates by variable; `microsoft/INDEX` says what each is for and where it is from.
const MICROSOFT_CERTIFICATES: [(Variable, &[u8]); 7] = [
    (Variable::KeyExchangeKeys, include_bytes!("secure_boot/microsoft/kek-2011.der")),
    (Variable::KeyExchangeKeys, include_bytes!("secure_boot/microsoft/kek-2023.der")),
    (Variable::Database, include_bytes!("secure_boot/microsoft/db-windows-2011.der")),
    (Variable::Database, include_bytes!("secure_boot/microsoft/db-windows-2023.der")),
    (Variable::Database, include_bytes!("secure_boot/microsoft/db-uefi-2011.der")),
    (Variable::Database, include_bytes!("secure_boot/microsoft/db-uefi-2023.der")),
    (Variable::Database, include_bytes!("secure_boot/microsoft/db-option-rom-2023.der")),
];

/// When systemd-boot enrols the keys of a medium on firmware in setup mode (loader.conf(5)).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enrolment {
    /// Never, and it offers nothing.
    Off,
    /// When somebody chooses it in the menu.
    Manual,
    /// By itself in virtual machines, whose firmware no key can lock up; else as `manual`.
    #[default]
    IfSafe,
    /// By itself everywhere.
    Force,
}

/// What a medium says of Secure Boot.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SecureBoot {
    /// When keys are enrolled.
    pub enrol: Enrolment,
    /// Whether Microsoft's certificates are enrolled beside the cluster's.
    pub microsoft: bool,
}

impl Default for SecureBoot {
    fn default() -> Self {
        Self { enrol: Enrolment::default(), microsoft: true }
    }
}

/// The keys of a cluster.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Names the cluster's entries in signature lists.
    pub owner: Uuid,
    /// When the keys were made: the time of the variables, of which firmware takes only later ones.
    pub since: Timestamp,
    /// PK.
    pub platform_key: Signer,
    /// KEK.
    pub key_exchange_key: Signer,
    /// db.
    pub database: Signer,
}

/// Why there is nothing to enrol from.
#[derive(Debug, Error)]
pub enum EnrolmentError {
    /// A certificate is too long.
    #[error("listing the certificates of {}", variable.name())]
    List {
        /// The variable.
        variable: Variable,
        /// Which.
        source: TooLong,
    },
    /// The variable cannot be signed.
    #[error("signing the variable {}", variable.name())]
    Sign {
        /// The variable.
        variable: Variable,
        /// Why.
        source: VariableError,
    },
}

impl Enrolment {
    /// All of them, by the name that images and loader.conf have for them.
    pub const NAMES: [(&'static str, Self); 4] =
        [("off", Self::Off), ("manual", Self::Manual), ("if-safe", Self::IfSafe), ("force", Self::Force)];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, enrolment)| *enrolment == self).map_or("", |(name, _)| name)
    }
}

impl Keys {
    /// Makes three keys; `cluster` names them for people who look into a firmware's setup.
    pub fn generate(cluster: &str, owner: Uuid, since: Timestamp) -> Result<Self, SignerError> {
        Self::with_signers(owner, since, |variable| {
            Signer::generate(&format!("{cluster} Secure Boot {}", variable.name()), since)
        })
    }

    /// Takes a key for each variable from `signer`.
    pub fn with_signers<E>(
        owner: Uuid,
        since: Timestamp,
        signer: impl Fn(Variable) -> Result<Signer, E>,
    ) -> Result<Self, E> {
        Ok(Self {
            owner,
            since,
            platform_key: signer(Variable::PlatformKey)?,
            key_exchange_key: signer(Variable::KeyExchangeKeys)?,
            database: signer(Variable::Database)?,
        })
    }

    /// The key for a variable.
    pub fn key(&self, variable: Variable) -> &Signer {
        match variable {
            Variable::PlatformKey => &self.platform_key,
            Variable::KeyExchangeKeys => &self.key_exchange_key,
            Variable::Database => &self.database,
        }
    }

    /// Files of the ESP that systemd-boot enrols the keys from (systemd-boot(7)); they are functions of the keys.
    pub fn enrolment_files(&self, microsoft: bool) -> Result<Vec<(String, Bytes)>, EnrolmentError> {
        let file = |variable: Variable| {
            let value = efi_signature_list::encode(&self.entries(variable, microsoft))
                .map_err(|source| EnrolmentError::List { variable, source })?;
            // Each is signed by what is above it, and PK by itself.
            let signer = match variable {
                Variable::PlatformKey | Variable::KeyExchangeKeys => &self.platform_key,
                Variable::Database => &self.key_exchange_key,
            };
            let file = efi_variable::authenticate(variable, &value, self.since, signer)
                .map_err(|source| EnrolmentError::Sign { variable, source })?;
            Ok((format!("loader/keys/auto/{}.auth", variable.name()), file.into()))
        };
        Variable::ALL.into_iter().map(file).collect()
    }

    /// Our certificate, then Microsoft's.
    fn entries(&self, variable: Variable, microsoft: bool) -> Vec<Entry<'_>> {
        let own = Entry { owner: self.owner, certificate: self.key(variable).certificate_der() };
        let others = MICROSOFT_CERTIFICATES.iter().filter(|(of, _)| microsoft && *of == variable);
        let others = others.map(|(_, certificate)| Entry { owner: MICROSOFT, certificate });
        std::iter::once(own).chain(others).collect()
    }

    /// Identifies everything public of the keys, which is all that decides the bytes of an image.
    pub fn digest(&self) -> Sha256 {
        let certificates = Variable::ALL.map(|variable| self.key(variable).fingerprint());
        Sha256::of(format!("{} {} {certificates:?}", self.owner, self.since).as_bytes())
    }
}

/// Whose signature a build has: `unsigned`, or `signed-by` and the SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SignedBy {
    /// Nobody's.
    Nobody,
    /// Of this certificate, which is in db.
    Certificate(Sha256),
}

impl From<SignedBy> for String {
    fn from(signed: SignedBy) -> Self {
        match signed {
            SignedBy::Nobody => "unsigned".to_owned(),
            SignedBy::Certificate(fingerprint) => format!("signed-by {fingerprint}"),
        }
    }
}

impl TryFrom<String> for SignedBy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.strip_prefix("signed-by ") {
            Some(fingerprint) => fingerprint.parse().map(Self::Certificate),
            None if text == "unsigned" => Ok(Self::Nobody),
            None => Err(format!("`{text}` is neither `unsigned` nor `signed-by` and a sha256")),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::format::signer;

    /// Three times the same key: what is tested is not who signs.
    pub(crate) fn keys() -> Keys {
        let signer = signer::tests::signer;
        Keys {
            owner: Uuid::from_u128(1),
            since: Timestamp(1_795_227_046),
            platform_key: signer(),
            key_exchange_key: signer(),
            database: signer(),
        }
    }

    #[test]
    fn microsofts_certificates_are_those_of_the_index() {
        let index = include_str!("secure_boot/microsoft/INDEX");
        for (variable, certificate) in MICROSOFT_CERTIFICATES {
            let line = index.lines().find(|line| line.starts_with(&Sha256::of(certificate).to_string()));
            let name = line.and_then(|line| line.split("  ").nth(1)).unwrap();
            assert!(name.starts_with(&variable.name().to_lowercase()), "{name} is in {}", variable.name());
        }
        let digests = index.matches(".der\n").count();
        assert_eq!(digests, MICROSOFT_CERTIFICATES.len());
    }

    #[test]
    fn enrols_microsofts_certificates_unless_told_not_to() {
        let keys = keys();
        let counts = |microsoft| {
            Variable::ALL.map(|variable| {
                let entries = keys.entries(variable, microsoft);
                assert_eq!(
                    entries[0],
                    Entry { owner: keys.owner, certificate: keys.database.certificate_der() }
                );
                entries.len()
            })
        };
        assert_eq!((counts(true), counts(false)), ([1, 3, 6], [1, 1, 1]));
        let files = keys.enrolment_files(true).unwrap();
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["loader/keys/auto/PK.auth", "loader/keys/auto/KEK.auth", "loader/keys/auto/db.auth"]
        );
        assert_eq!(files, keys.enrolment_files(true).unwrap(), "the same keys, other bytes");
        assert_ne!(files, keys.enrolment_files(false).unwrap());
    }

    #[test]
    fn reads_back_whose_signature_a_build_has() {
        for signed in [SignedBy::Nobody, SignedBy::Certificate(Sha256::of(b"x"))] {
            assert_eq!(SignedBy::try_from(String::from(signed)), Ok(signed));
        }
        let fault = SignedBy::try_from("signed".to_owned()).unwrap_err();
        assert_eq!(fault, "`signed` is neither `unsigned` nor `signed-by` and a sha256");
    }
}
