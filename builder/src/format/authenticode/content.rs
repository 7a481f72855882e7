//! `SpcIndirectDataContent`: what an Authenticode signature signs (its specification's ASN.1).

use der::asn1::{BitString, BmpString, OctetString};
use der::oid::ObjectIdentifier;
use der::oid::db::rfc5912::ID_SHA_256;
use der::{Choice, Encode as _, Sequence};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::super::signed_data::algorithm;
use crate::units::Sha256;

/// `SPC_INDIRECT_DATA_OBJID`.
pub(super) const TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
/// `SPC_PE_IMAGE_DATAOBJ`.
const PE_IMAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
/// The specification wants this text where once a file's name stood.
const FILE: &str = "<<<Obsolete>>>";

#[derive(Sequence)]
struct IndirectData {
    data: TypedValue,
    message_digest: DigestInfo,
}

#[derive(Sequence)]
struct TypedValue {
    kind: ObjectIdentifier,
    value: PeImage,
}

#[derive(Sequence)]
struct PeImage {
    flags: BitString,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    file: Link,
}

#[derive(Choice)]
enum Link {
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    File(Text),
}

#[derive(Choice)]
enum Text {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Unicode(BmpString),
}

#[derive(Sequence)]
struct DigestInfo {
    algorithm: AlgorithmIdentifierOwned,
    digest: OctetString,
}

/// The content for an image of this hash.
pub(super) fn of(digest: Sha256) -> Result<Vec<u8>, der::Error> {
    let image = PeImage {
        flags: BitString::new(0, [])?,
        file: Link::File(Text::Unicode(BmpString::from_utf8(FILE)?)),
    };
    let content = IndirectData {
        data: TypedValue { kind: PE_IMAGE, value: image },
        message_digest: DigestInfo { algorithm: algorithm(ID_SHA_256), digest: OctetString::new(digest.0)? },
    };
    content.to_der()
}
