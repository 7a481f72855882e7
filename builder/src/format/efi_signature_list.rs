//! EFI signature lists: the value of the variables PK, KEK and db (UEFI 2.10, 32.4.1).
//!
//! ```text
//! EFI_SIGNATURE_LIST   type GUID, list size, header size 0, signature size
//!   EFI_SIGNATURE_DATA   owner GUID, certificate (DER)
//! ```
//!
//! Written only, X.509 certificates only. A list's entries have one size, so each certificate has its own list.

use thiserror::Error;
use uuid::{Uuid, uuid};

/// `EFI_CERT_X509_GUID`.
const X509: Uuid = uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
/// Bytes of a list before its entries.
const LIST_HEADER: usize = 28;
/// Bytes of an owner's GUID.
const OWNER: usize = 16;

/// A certificate in a list, and who put it there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// Whose agent added it; firmware only shows it.
    pub owner: Uuid,
    /// The certificate, DER.
    pub certificate: &'a [u8],
}

/// A certificate does not go into a list.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a certificate of {size} bytes is longer than a signature list can be")]
pub struct TooLong {
    /// Its size.
    pub size: usize,
}

/// One list per certificate, in the order given.
pub fn encode(entries: &[Entry<'_>]) -> Result<Vec<u8>, TooLong> {
    let mut lists = Vec::new();
    for Entry { owner, certificate } in entries {
        let size = certificate.len();
        let number = |header: usize| {
            size.checked_add(header).and_then(|total| u32::try_from(total).ok()).ok_or(TooLong { size })
        };
        lists.extend(X509.to_bytes_le());
        lists.extend(number(LIST_HEADER + OWNER)?.to_le_bytes());
        lists.extend(0_u32.to_le_bytes());
        lists.extend(number(OWNER)?.to_le_bytes());
        lists.extend(owner.to_bytes_le());
        lists.extend(*certificate);
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::format::oracle;
    use crate::format::signer::tests::signer;

    const OWNER: Uuid = uuid!("11111111-2222-3333-4444-123456789abc");

    #[test]
    fn a_list_is_that_of_efitools() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, list) = (folder.path().join("test.pem"), folder.path().join("list"));
        fs::write(&certificate, signer().certificate_pem().unwrap()).unwrap();
        let owner = OWNER.to_string();
        let arguments = ["-g".as_ref(), owner.as_ref(), certificate.as_os_str(), list.as_os_str()];
        oracle::must_accept("cert-to-efi-sig-list", &arguments);
        let ours = encode(&[Entry { owner: OWNER, certificate: signer().certificate_der() }]).unwrap();
        assert!(ours == fs::read(list).unwrap(), "the list differs from that of cert-to-efi-sig-list");
    }

    #[test]
    fn efitools_takes_the_certificates_out_of_the_lists() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list");
        let signer = signer();
        let entry = Entry { owner: OWNER, certificate: signer.certificate_der() };
        fs::write(&list, encode(&[entry, entry]).unwrap()).unwrap();
        let out = folder.path().join("out");
        oracle::must_accept("sig-list-to-certs", &[list.as_os_str(), out.as_os_str()]);
        for index in 0..2 {
            let taken = fs::read(folder.path().join(format!("out-{index}.der"))).unwrap();
            assert!(taken == signer.certificate_der(), "certificate {index}");
        }
    }
}
