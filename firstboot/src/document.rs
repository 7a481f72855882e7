//! Signed documents: what a key of the cluster, or a node's own, vouches for.
//!
//! A document is one line, `imgbuild-<kind>.<content>.<signature>`, its parts in base64url without padding (RFC 4648,
//! 5): it fits into a file, a header and a QR code, and nothing needs to be made canonical before it is checked. The
//! content is JSON. The signature (Ed25519, RFC 8032) covers the kind too, so that no document passes for one of
//! another kind.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::public_key::PublicKey;

/// Longest document that is looked at, in bytes; a control plane's bundle has a few KiB of certificates.
pub const LONGEST: usize = 256 << 10;
const PREFIX: &str = "imgbuild-";

/// What a kind of document holds.
pub trait Document: Serialize + DeserializeOwned {
    /// Name of the kind, `ticket`.
    const KIND: &'static str;
    /// The format that this program reads and writes.
    const VERSION: u32;
}

/// Why a text is not taken for a document.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// Longer than any.
    #[error("{kind} of {length} bytes, at most {LONGEST} are looked at")]
    Length {
        /// What was expected.
        kind: &'static str,
        /// Bytes.
        length: usize,
    },
    /// Not of the form of a document.
    #[error("not of the form `{PREFIX}{kind}.<content>.<signature>`")]
    Form {
        /// What was expected.
        kind: &'static str,
    },
    /// Not signed by the key that must have signed it.
    #[error("{kind} is not signed by key {key}")]
    Forged {
        /// What was expected.
        kind: &'static str,
        /// Fingerprint of the key.
        key: String,
    },
    /// Of a format that this program does not know.
    #[error("{kind} has version {found}, understood is version {known}")]
    Version {
        /// What was expected.
        kind: &'static str,
        /// The version it states.
        found: u64,
        /// The version that is known.
        known: u32,
    },
    /// Signed, but its content is not what its kind says.
    #[error("content of {kind}: {reason}")]
    Content {
        /// What was expected.
        kind: &'static str,
        /// The parser's words.
        reason: String,
    },
}

/// Signs a document.
pub fn sign<D: Document>(document: &D, key: &SigningKey) -> Result<String, serde_json::Error> {
    let content = URL_SAFE_NO_PAD.encode(versioned(document)?);
    let signature = key.sign(signed_bytes(D::KIND, &content).as_bytes());
    Ok(format!("{}.{}", signed_bytes(D::KIND, &content), URL_SAFE_NO_PAD.encode(signature.to_bytes())))
}

/// Opens a document that `key` must have signed. Space around it is passed over, as files end in a line break.
pub fn open<D: Document>(text: &[u8], key: &PublicKey) -> Result<D, DocumentError> {
    let parts = Parts::split::<D>(text)?;
    parts.verify(D::KIND, key)?;
    parts.content()
}

/// Opens a document that is signed by a key that it holds itself: it proves that its sender has that key, and no more.
pub fn open_self_signed<D: Document>(text: &[u8], key: impl Fn(&D) -> PublicKey) -> Result<D, DocumentError> {
    let parts = Parts::split::<D>(text)?;
    let document: D = parts.content()?;
    parts.verify(D::KIND, &key(&document))?;
    Ok(document)
}

struct Parts<'a> {
    content: &'a str,
    signature: Signature,
}

impl<'a> Parts<'a> {
    fn split<D: Document>(text: &'a [u8]) -> Result<Self, DocumentError> {
        let kind = D::KIND;
        if text.len() > LONGEST {
            return Err(DocumentError::Length { kind, length: text.len() });
        }
        let parts = || {
            let text = std::str::from_utf8(text).ok()?.trim();
            let rest = text.strip_prefix(PREFIX)?.strip_prefix(kind)?.strip_prefix('.')?;
            let (content, signature) = rest.split_once('.')?;
            let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
            Some(Self { content, signature })
        };
        parts().ok_or(DocumentError::Form { kind })
    }

    fn verify(&self, kind: &'static str, key: &PublicKey) -> Result<(), DocumentError> {
        key.0
            .verify_strict(signed_bytes(kind, self.content).as_bytes(), &self.signature)
            .map_err(|_| DocumentError::Forged { kind, key: key.fingerprint().to_string() })
    }

    fn content<D: Document>(&self) -> Result<D, DocumentError> {
        let kind = D::KIND;
        let content = |fault: &dyn fmt::Display| DocumentError::Content {
            kind,
            // The parser quotes what it has found.
            reason: fault.to_string().escape_debug().to_string(),
        };
        let json = URL_SAFE_NO_PAD.decode(self.content).map_err(|_| DocumentError::Form { kind })?;
        let mut value: serde_json::Value = serde_json::from_slice(&json).map_err(|fault| content(&fault))?;
        // Judged before the keys: another version has other keys.
        let version = value.as_object_mut().and_then(|object| object.remove("version"));
        match version.as_ref().and_then(serde_json::Value::as_u64) {
            Some(version) if version == u64::from(D::VERSION) => {}
            Some(found) => return Err(DocumentError::Version { kind, found, known: D::VERSION }),
            None => return Err(content(&"it has no `version`")),
        }
        serde_json::from_value(value).map_err(|fault| content(&fault))
    }
}

fn versioned<D: Document>(document: &D) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = serde_json::to_value(document)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("version".to_owned(), D::VERSION.into());
    }
    serde_json::to_vec(&value)
}

fn signed_bytes(kind: &str, content: &str) -> String {
    format!("{PREFIX}{kind}.{content}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Note {
        text: String,
        key: PublicKey,
    }

    impl Document for Note {
        const KIND: &'static str = "note";
        const VERSION: u32 = 1;
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Other {}

    impl Document for Other {
        const KIND: &'static str = "other";
        const VERSION: u32 = 2;
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn note() -> Note {
        Note { text: "hello".to_owned(), key: PublicKey::of(&key(1)) }
    }

    fn refusal<D: Document + fmt::Debug>(text: &[u8]) -> String {
        open::<D>(text, &PublicKey::of(&key(1))).unwrap_err().to_string()
    }

    #[test]
    fn what_was_signed_is_read_and_nothing_else() {
        let text = sign(&note(), &key(1)).unwrap();
        assert!(text.starts_with("imgbuild-note.") && !text.contains(['\n', '=', '+', '/']), "{text}");
        assert_eq!(open::<Note>(format!("{text}\n").as_bytes(), &PublicKey::of(&key(1))).unwrap(), note());
        let others = sign(&note(), &key(2)).unwrap();
        let expected = format!("note is not signed by key {}", PublicKey::of(&key(1)).fingerprint());
        assert_eq!(refusal::<Note>(others.as_bytes()), expected);
        // One changed character anywhere.
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(open::<Note>(&changed, &PublicKey::of(&key(1))).is_err(), "at {at}");
        }
    }

    #[test]
    fn a_document_passes_for_none_of_another_kind() {
        let text = sign(&note(), &key(1)).unwrap();
        let renamed = text.replace("-note.", "-other.");
        assert!(refusal::<Other>(renamed.as_bytes()).starts_with("other is not signed by key "));
        let expected = "not of the form `imgbuild-other.<content>.<signature>`";
        assert_eq!(refusal::<Other>(text.as_bytes()), expected);
    }

    #[test]
    fn a_self_signed_document_proves_its_own_key() {
        let text = sign(&note(), &key(1)).unwrap();
        assert_eq!(open_self_signed::<Note>(text.as_bytes(), |note| note.key).unwrap(), note());
        let borrowed = sign(&note(), &key(2)).unwrap();
        let fault = open_self_signed::<Note>(borrowed.as_bytes(), |note| note.key).unwrap_err();
        assert!(matches!(fault, DocumentError::Forged { .. }), "{fault}");
    }

    #[test]
    fn versions_and_contents_are_judged() {
        let signed = |json: &str| {
            let content = URL_SAFE_NO_PAD.encode(json);
            let signature = key(1).sign(signed_bytes("note", &content).as_bytes());
            format!("imgbuild-note.{content}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
        };
        for (json, expected) in [
            (r#"{"version":2}"#, "note has version 2, understood is version 1"),
            ("{}", "content of note: it has no `version`"),
            (r#"{"version":1,"text":"a"}"#, "content of note: missing field `key`"),
            ("[]", "content of note: it has no `version`"),
            ("{", "content of note: EOF while parsing an object at line 1 column 1"),
        ] {
            assert_eq!(refusal::<Note>(signed(json).as_bytes()), expected, "{json}");
        }
        let unknown = signed(r#"{"version":1,"text":"a","key":"x","\u001b":1}"#);
        assert!(!refusal::<Note>(unknown.as_bytes()).contains('\u{1b}'));
        assert_eq!(
            refusal::<Note>(&vec![b'a'; LONGEST + 1]),
            format!("note of {} bytes, at most {LONGEST} are looked at", LONGEST + 1)
        );
    }
}
