//! PKCS#7 `SignedData` with one signer, as UEFI firmware checks it (RFC 2315; structures by RFC 5652).

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{Any, OctetString, SetOfVec};
use der::oid::ObjectIdentifier;
use der::oid::db::rfc5911::{ID_CONTENT_TYPE, ID_DATA, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use der::oid::db::rfc5912::{ID_SHA_256, RSA_ENCRYPTION};
use der::{Decode as _, Encode as _};
use thiserror::Error;
use x509_cert::attr::Attribute;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::signer::{Signer, SignerError};
use crate::units::Sha256;

/// Why there is no signature.
#[derive(Debug, Error)]
pub enum SignedDataError {
    /// The structures cannot be encoded.
    #[error("encoding a signature")]
    Encode(#[from] der::Error),
    /// The key does not sign.
    #[error(transparent)]
    Sign(#[from] SignerError),
}

/// Signs `content`, the encoding of an ASN.1 value of the given type, and puts it into a PKCS#7 `ContentInfo`.
///
/// What is hashed is the value without its tag and length (RFC 2315, 9.3). There is no signing time: the
/// same content and key give the same bytes.
pub(super) fn attached(
    content_type: ObjectIdentifier,
    content: &[u8],
    signer: &Signer,
) -> Result<Vec<u8>, SignedDataError> {
    let content = Any::from_der(content)?;
    let digest = Sha256::of(content.value());
    let attributes: SignedAttributes = [
        attribute(ID_CONTENT_TYPE, Any::encode_from(&content_type)?)?,
        attribute(ID_MESSAGE_DIGEST, Any::encode_from(&OctetString::new(digest.0)?)?)?,
    ]
    .into_iter()
    .collect::<Vec<_>>()
    .try_into()?;
    let signature = signer.sign(&attributes.to_der()?)?;
    let content = EncapsulatedContentInfo { econtent_type: content_type, econtent: Some(content) };
    let data = signed_data(content, Some(attributes), signature, signer)?;
    let info = ContentInfo { content_type: ID_SIGNED_DATA, content: Any::encode_from(&data)? };
    Ok(info.to_der()?)
}

/// Signs `content` and leaves it out; the result is a bare `SignedData` (UEFI 2.10, 8.2.2).
pub(super) fn detached(content: &[u8], signer: &Signer) -> Result<Vec<u8>, SignedDataError> {
    let signature = signer.sign(content)?;
    let content = EncapsulatedContentInfo { econtent_type: ID_DATA, econtent: None };
    Ok(signed_data(content, None, signature, signer)?.to_der()?)
}

fn signed_data(
    content: EncapsulatedContentInfo,
    signed_attrs: Option<SignedAttributes>,
    signature: Vec<u8>,
    signer: &Signer,
) -> Result<SignedData, der::Error> {
    let certificate = &signer.certificate().tbs_certificate;
    let info = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: certificate.issuer.clone(),
            serial_number: certificate.serial_number.clone(),
        }),
        digest_alg: algorithm(ID_SHA_256),
        signed_attrs,
        signature_algorithm: algorithm(RSA_ENCRYPTION),
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    };
    let certificates = vec![CertificateChoices::Certificate(signer.certificate().clone())];
    Ok(SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![algorithm(ID_SHA_256)])?,
        encap_content_info: content,
        certificates: Some(certificates.try_into()?),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(vec![info])?),
    })
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute, der::Error> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

/// With NULL parameters, without which some firmware does not know the algorithm.
pub(super) fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: Some(Any::null()) }
}
