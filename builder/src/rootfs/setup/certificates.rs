//! The CA bundle, as update-ca-certificates(8) makes it: one file of all certificates, a `.pem` link
//! for each, and links by subject hash by which OpenSSL finds them in the folder.

mod subject;

use std::collections::BTreeMap;

use thiserror::Error;

use super::{SetupError, Work, text};
use crate::tree::{Metadata, Tree};

const SOURCE: &str = "usr/share/ca-certificates";
const FOLDER: &str = "etc/ssl/certs";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Why a certificate cannot be taken.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum CertificateError {
    /// The file holds no PEM certificate.
    #[error("`{path}` holds no PEM certificate")]
    Pem {
        /// Path below the root.
        path: String,
    },
    /// The certificate's DER is cut off or not X.509.
    #[error("certificate `{path}` is malformed at byte {offset} of its DER form")]
    Der {
        /// Path below the root.
        path: String,
        /// Where reading stopped.
        offset: usize,
    },
}

pub(super) fn make(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    if !work.has_package("ca-certificates") {
        return Ok(());
    }
    let is_certificate =
        |path: &str| std::path::Path::new(path).extension().is_some_and(|extension| extension == "crt");
    let paths: Vec<String> =
        tree.below(SOURCE).map(|(path, _)| path.to_owned()).filter(|path| is_certificate(path)).collect();
    let mut bundle = String::new();
    let mut by_hash: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for path in &paths {
        let pem = text(tree, path, "certificates")?;
        let der = pem_body(pem).ok_or_else(|| CertificateError::Pem { path: path.clone() })?;
        let hash =
            subject::hash(&der).map_err(|offset| CertificateError::Der { path: path.clone(), offset })?;
        bundle.push_str(pem);
        if !pem.ends_with('\n') {
            bundle.push('\n');
        }
        let name = link_name(path);
        by_hash.entry(hash).or_default().push(name.clone());
        tree.symlink(&format!("{FOLDER}/{name}"), &format!("/{path}"))?;
    }
    tree.write(BUNDLE, Metadata::FILE, bundle)?;
    for (hash, names) in by_hash {
        for (index, name) in names.iter().enumerate() {
            tree.symlink(&format!("{FOLDER}/{hash:08x}.{index}"), name)?;
        }
    }
    Ok(())
}

/// update-ca-certificates' file name for a certificate: no spaces, commas or parentheses.
fn link_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.strip_suffix(".crt").unwrap_or(name);
    let stem = stem.replace([' ', ','], "_").replace(['(', ')'], "=");
    format!("{stem}.pem")
}

/// The DER bytes of the first certificate in `pem`.
fn pem_body(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    decode_base64(body)
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in text.bytes().filter(|letter| !letter.is_ascii_whitespace() && *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
