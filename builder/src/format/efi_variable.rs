//! Authenticated UEFI variables as files: what systemd-boot enrols keys from (UEFI 2.10, 8.2.2).
//!
//! ```text
//! EFI_VARIABLE_AUTHENTICATION_2   EFI_TIME, WIN_CERTIFICATE_UEFI_GUID with PKCS#7 SignedData
//! value                           e.g. an EFI signature list
//! ```
//!
//! Signed are name, vendor, attributes, time and value; the file itself names none of the first three.

use std::time::Duration;

use thiserror::Error;
use uuid::{Uuid, uuid};

use super::signed_data::{self, SignedDataError};
use super::signer::Signer;
use crate::units::Timestamp;

/// `EFI_GLOBAL_VARIABLE`.
const GLOBAL: Uuid = uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c");
/// `EFI_IMAGE_SECURITY_DATABASE_GUID`.
const SECURITY_DATABASE: Uuid = uuid!("d719b2cb-3d3a-4596-a3bc-dad00e67656f");
/// `EFI_CERT_TYPE_PKCS7_GUID`.
const PKCS7: Uuid = uuid!("4aafd29d-68df-49ee-8aa9-347d375665a7");
/// Non-volatile, boot services, runtime access, time-based authenticated write access.
const ATTRIBUTES: u32 = 0x01 | 0x02 | 0x04 | 0x20;
/// `WIN_CERT_REVISION_2_0`.
const REVISION: u16 = 0x0200;
/// `WIN_CERT_TYPE_EFI_GUID`.
const EFI_GUID: u16 = 0x0ef1;
/// Bytes of a `WIN_CERTIFICATE_UEFI_GUID` before the signature.
const CERTIFICATE_HEADER: usize = 24;

/// The variables that decide what firmware starts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Variable {
    /// Platform key: who may change KEK, and end Secure Boot.
    PlatformKey,
    /// Key exchange keys: who may change db.
    KeyExchangeKeys,
    /// Whose programs are started.
    Database,
}

/// Why a variable is not signed.
#[derive(Debug, Error)]
pub enum VariableError {
    /// Firmware takes years from 1900 to 9999 (UEFI 2.10, 8.3).
    #[error("{0} is no time that UEFI can write")]
    Time(Timestamp),
    /// The signature is too long.
    #[error("a signature of {size} bytes is longer than a variable can be")]
    TooLong {
        /// Its size.
        size: usize,
    },
    /// There is no signature.
    #[error(transparent)]
    Signature(#[from] SignedDataError),
}

impl Variable {
    /// All of them, in the order of their power.
    pub const ALL: [Self; 3] = [Self::PlatformKey, Self::KeyExchangeKeys, Self::Database];

    /// Its name: `PK`, `KEK`, `db`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PlatformKey => "PK",
            Self::KeyExchangeKeys => "KEK",
            Self::Database => "db",
        }
    }

    const fn vendor(self) -> Uuid {
        match self {
            Self::PlatformKey | Self::KeyExchangeKeys => GLOBAL,
            Self::Database => SECURITY_DATABASE,
        }
    }
}

/// A `.auth` file that sets `variable` to `value`. Firmware takes it only if `time` is later than that of the value
/// it has.
pub fn authenticate(
    variable: Variable,
    value: &[u8],
    time: Timestamp,
    signer: &Signer,
) -> Result<Vec<u8>, VariableError> {
    let time = efi_time(time)?;
    let mut content: Vec<u8> = variable.name().encode_utf16().flat_map(u16::to_le_bytes).collect();
    content.extend(variable.vendor().to_bytes_le());
    content.extend(ATTRIBUTES.to_le_bytes());
    content.extend(time);
    content.extend(value);
    let signature = signed_data::detached(&content, signer)?;
    let size = signature.len();
    let length = size.checked_add(CERTIFICATE_HEADER).and_then(|length| u32::try_from(length).ok());
    let mut file = time.to_vec();
    file.extend(length.ok_or(VariableError::TooLong { size })?.to_le_bytes());
    file.extend(REVISION.to_le_bytes());
    file.extend(EFI_GUID.to_le_bytes());
    file.extend(PKCS7.to_bytes_le());
    file.extend(signature);
    file.extend(value);
    Ok(file)
}

/// `EFI_TIME`; what is neither date nor time must be 0 here.
fn efi_time(time: Timestamp) -> Result<[u8; 16], VariableError> {
    let date = der::DateTime::from_unix_duration(Duration::from_secs(time.0));
    let date = date.map_err(|_| VariableError::Time(time))?;
    let [low, high] = date.year().to_le_bytes();
    let mut bytes = [0; 16];
    let parts = [low, high, date.month(), date.day(), date.hour(), date.minutes(), date.seconds()];
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::format::signer::tests::signer;
    use crate::format::{efi_signature_list, oracle};

    /// 2026-11-21 02:10:46 UTC.
    const TIME: Timestamp = Timestamp(1_795_227_046);

    fn value() -> Vec<u8> {
        let owner = Uuid::from_u128(0x1111_1111_2222_3333_4444_1234_5678_9abc);
        let certificate = signer();
        let entry = efi_signature_list::Entry { owner, certificate: certificate.certificate_der() };
        efi_signature_list::encode(&[entry]).unwrap()
    }

    /// What efitools signs is the same text, so that PKCS#1 v1.5 gives the same signature; only their PKCS#7
    /// is wrapped in a `ContentInfo`, which firmware takes too.
    #[test]
    fn signature_time_and_value_are_those_of_efitools() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("key"), include_str!("signer/test-key.pem")).unwrap();
        fs::write(path("certificate"), signer().certificate_pem().unwrap()).unwrap();
        fs::write(path("list"), value()).unwrap();
        for variable in Variable::ALL {
            let files = ["key", "certificate", "list", "theirs"].map(path);
            let [key, certificate, list, theirs] = files.each_ref().map(|file| file.as_os_str());
            let options = ["-t", "2026-11-21 02:10:46", "-k"].map(AsRef::as_ref);
            let rest = [key, "-c".as_ref(), certificate, variable.name().as_ref(), list, theirs];
            let arguments: Vec<_> = options.into_iter().chain(rest).collect();
            // efitools take the time as local time; the oracle's zone is UTC.
            oracle::must_accept("sign-efi-sig-list", &arguments);
            let theirs = fs::read(path("theirs")).unwrap();
            let ours = authenticate(variable, &value(), TIME, &signer()).unwrap();
            assert_eq!(ours[..16], theirs[..16], "{}: time", variable.name());
            assert_eq!(ours[20..40], theirs[20..40], "{}: certificate header", variable.name());
            assert!(ours.ends_with(&value()) && theirs.ends_with(&value()));
            // The last field of the PKCS#7 is the signature: 256 bytes before the value.
            let signature =
                |file: &[u8]| file[file.len() - value().len() - 256..file.len() - value().len()].to_vec();
            assert_eq!(signature(&ours), signature(&theirs), "{}: signature", variable.name());
            let length = u32::from_le_bytes(ours[16..20].try_into().unwrap());
            assert_eq!(usize::try_from(length).unwrap(), ours.len() - 16 - value().len());
        }
    }

    #[test]
    fn refuses_times_beyond_the_calendar() {
        let fault = authenticate(Variable::Database, b"", Timestamp(u64::MAX), &signer()).unwrap_err();
        assert_eq!(fault.to_string(), "18446744073709551615 s after 1970 is no time that UEFI can write");
    }
}
