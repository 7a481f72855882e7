//! Authenticode signatures: what UEFI firmware with Secure Boot asks of a program (PE32+).
//!
//! ```text
//! headers, sections, padding to 8 bytes    hashed, but for checksum and the entry of the table below
//! attribute certificate table              WIN_CERTIFICATE: length, revision 2.0, type PKCS#7
//!   PKCS#7 SignedData                      by RSA with SHA-256, its certificate inside
//!     SpcIndirectDataContent               "a PE image" and the image's hash
//! ```
//!
//! Spec: Microsoft's "Windows Authenticode Portable Executable Signature Format" 1.0 and PE format; UEFI
//! 2.10, 32.2.4. Files with gaps between their sections are refused: the specification and firmware hash
//! them differently. No counter-signature, no time; one signature per file.

mod content;
mod layout;

use thiserror::Error;

use self::layout::Layout;
use super::signed_data::{self, SignedDataError};
use super::signer::Signer;
use crate::units::Sha256;

/// The table's alignment, and that of its entries (PE format, "The Attribute Certificate Table").
const ALIGNMENT: usize = 8;
/// Bytes of a `WIN_CERTIFICATE` before the signature.
const CERTIFICATE_HEADER: usize = 8;
/// `WIN_CERT_REVISION_2_0`.
const REVISION: u16 = 0x0200;
/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const PKCS_SIGNED_DATA: u16 = 0x0002;

/// Why a file is not signed or hashed.
#[derive(Debug, Error)]
pub enum AuthenticodeError {
    /// Headers are cut off or point outside the file.
    #[error("the program is a corrupt PE file")]
    Corrupt(#[from] object::read::Error),
    /// The headers have no place for a signature.
    #[error("the program is a PE file with {feature}, which is not supported")]
    Unsupported {
        /// What it has.
        feature: &'static str,
    },
    /// There is a signature.
    #[error("the program is signed already")]
    Signed,
    /// An offset would pass 32 bits.
    #[error("the program is larger than 4 GiB")]
    TooLarge,
    /// There is no signature.
    #[error(transparent)]
    Signature(#[from] SignedDataError),
}

/// The image hash of a program, signed or not.
pub fn digest(program: &[u8]) -> Result<Sha256, AuthenticodeError> {
    Ok(Layout::of(program)?.digest(program))
}

/// Appends a signature to a program that has none.
pub fn sign(program: &[u8], signer: &Signer) -> Result<Vec<u8>, AuthenticodeError> {
    let layout = Layout::of(program)?;
    if layout.is_signed {
        return Err(AuthenticodeError::Signed);
    }
    let mut output = program.to_vec();
    output.resize(program.len().next_multiple_of(ALIGNMENT), 0);
    let content = content::of(layout.digest(&output)).map_err(SignedDataError::from)?;
    let signature = signed_data::attached(content::TYPE, &content, signer)?;
    let too_large = |_| AuthenticodeError::TooLarge;
    let begin = u32::try_from(output.len()).map_err(too_large)?;
    let length = u32::try_from(signature.len().saturating_add(CERTIFICATE_HEADER)).map_err(too_large)?;
    output.extend(length.to_le_bytes());
    output.extend(REVISION.to_le_bytes());
    output.extend(PKCS_SIGNED_DATA.to_le_bytes());
    output.extend(signature);
    // The table's size counts the padding behind the signature, the certificate's length does not.
    output.resize(output.len().next_multiple_of(ALIGNMENT), 0);
    let size = u32::try_from(output.len()).map_err(too_large)?.saturating_sub(begin);
    layout.point_to_signature(begin, size, &mut output);
    Ok(output)
}

#[cfg(test)]
mod tests;
