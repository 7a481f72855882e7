//! Signs as an archive does, with keys made from a number: no random source, same key every time.

use pgp::composed::SignedPublicSubKey;
use pgp::composed::{ArmorOptions, CleartextSignedMessage, SignedKeyDetails, SignedPublicKey};
use pgp::crypto::ed25519::{Mode, SecretKey as Ed25519};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{
    KeyFlags, PubKeyInner, PublicKey, PublicSubkey, SecretKey, SecretSubkey, Signature, SignatureConfig,
    SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::types::{
    Duration, Ed25519PublicParams, KeyDetails, KeyVersion, PacketHeaderVersion, Password, PlainSecretParams,
    PublicParams, SecretParams, SignedUser, SigningKey, Tag, Timestamp,
};

/// 2025-01-01, when all test keys and signatures were made.
pub(in super::super) const CREATED: u32 = 1_735_689_600;

/// A primary key that may sign.
pub(in super::super) struct Signer {
    key: SecretKey,
    /// The key's statements about itself.
    own: Vec<Signature>,
    revocations: Vec<Signature>,
    subkeys: Vec<SignedPublicSubKey>,
    user: UserId,
}

impl Signer {
    /// Key number `seed`, valid for `lifetime` seconds from [`CREATED`] on, or for ever.
    pub(in super::super) fn new(seed: u8, lifetime: Option<u32>) -> Self {
        let (inner, secret) = key_pair(seed);
        let public = PublicKey::from_inner(inner).unwrap();
        let key = SecretKey::new(public.clone(), secret).unwrap();
        let user = UserId::from_str(PacketHeaderVersion::New, "Test archive").unwrap();
        let mut config = config(&key, SignatureType::CertPositive, HashAlgorithm::Sha256);
        config.hashed_subpackets.extend(signing_for(lifetime));
        let own = config.sign_certification(&key, &public, &Password::empty(), Tag::UserId, &user).unwrap();
        Self { key, own: vec![own], revocations: Vec::new(), subkeys: Vec::new(), user }
    }

    pub(in super::super) fn revoke(&mut self) {
        let config = config(&self.key, SignatureType::KeyRevocation, HashAlgorithm::Sha256);
        let public = self.key.public_key();
        self.revocations.push(config.sign_key(&self.key, &Password::empty(), public).unwrap());
    }

    /// Adds the key of `subkey` as a signing subkey, with its consent or without.
    pub(in super::super) fn adopt(&mut self, subkey: &Subkey, has_consent: bool) {
        let public = subkey.0.public_key();
        let mut binding = config(&self.key, SignatureType::SubkeyBinding, HashAlgorithm::Sha256);
        binding.hashed_subpackets.extend(signing_for(None));
        if has_consent {
            let back = config(&subkey.0, SignatureType::KeyBinding, HashAlgorithm::Sha256)
                .sign_primary_key_binding(&subkey.0, public, &Password::empty(), self.key.public_key())
                .unwrap();
            let back = SubpacketData::EmbeddedSignature(Box::new(back));
            binding.hashed_subpackets.push(Subpacket::regular(back).unwrap());
        }
        let binding = binding
            .sign_subkey_binding(&self.key, self.key.public_key(), &Password::empty(), public)
            .unwrap();
        self.subkeys.push(SignedPublicSubKey::new(public.clone(), vec![binding]));
    }

    /// The public key, armored.
    pub(in super::super) fn public(&self) -> String {
        let user = SignedUser::new(self.user.clone(), self.own.clone());
        let details = SignedKeyDetails::new(self.revocations.clone(), Vec::new(), vec![user], Vec::new());
        SignedPublicKey::new(self.key.public_key().clone(), details, self.subkeys.clone())
            .to_armored_string(ArmorOptions::default())
            .unwrap()
    }

    pub(in super::super) fn fingerprint(&self) -> String {
        self.key.fingerprint().to_string().to_uppercase()
    }

    /// The text as an `InRelease` file.
    pub(in super::super) fn sign(&self, text: &str) -> String {
        sign_with(&self.key, text, HashAlgorithm::Sha512)
    }

    pub(in super::super) fn sign_hashed(&self, text: &str, hash: HashAlgorithm) -> String {
        sign_with(&self.key, text, hash)
    }
}

/// A key that can be adopted as a subkey.
pub(in super::super) struct Subkey(SecretSubkey);

impl Subkey {
    pub(in super::super) fn new(seed: u8) -> Self {
        let (inner, secret) = key_pair(seed);
        Self(SecretSubkey::new(PublicSubkey::from_inner(inner).unwrap(), secret).unwrap())
    }

    pub(in super::super) fn fingerprint(&self) -> String {
        self.0.fingerprint().to_string().to_uppercase()
    }

    pub(in super::super) fn sign(&self, text: &str) -> String {
        sign_with(&self.0, text, HashAlgorithm::Sha512)
    }
}

/// Both signatures in one file, as Debian's have several.
pub(in super::super) fn sign_twice(text: &str, first: &Signer, second: &Signer) -> String {
    let message = CleartextSignedMessage::new_many(text, |normalized| {
        [first, second]
            .into_iter()
            .map(|signer| {
                config(&signer.key, SignatureType::Text, HashAlgorithm::Sha256).sign(
                    &signer.key,
                    &Password::empty(),
                    normalized.as_bytes(),
                )
            })
            .collect()
    });
    message.unwrap().to_armored_string(ArmorOptions::default()).unwrap()
}

fn sign_with(key: &impl SigningKey, text: &str, hash: HashAlgorithm) -> String {
    CleartextSignedMessage::new(text, config(key, SignatureType::Text, hash), key, &Password::empty())
        .unwrap()
        .to_armored_string(ArmorOptions::default())
        .unwrap()
}

fn config(key: &impl KeyDetails, kind: SignatureType, hash: HashAlgorithm) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, PublicKeyAlgorithm::Ed25519, hash);
    config.hashed_subpackets = [
        SubpacketData::SignatureCreationTime(Timestamp::from_secs(CREATED)),
        SubpacketData::IssuerFingerprint(key.fingerprint()),
    ]
    .into_iter()
    .map(|data| Subpacket::regular(data).unwrap())
    .collect();
    config
}

fn signing_for(lifetime: Option<u32>) -> Vec<Subpacket> {
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    let mut data = vec![SubpacketData::KeyFlags(flags)];
    data.extend(lifetime.map(|seconds| SubpacketData::KeyExpirationTime(Duration::from_secs(seconds))));
    data.into_iter().map(|data| Subpacket::regular(data).unwrap()).collect()
}

fn key_pair(seed: u8) -> (PubKeyInner, SecretParams) {
    let secret = Ed25519::try_from_bytes([seed; 32], Mode::Ed25519).unwrap();
    let public = PublicParams::Ed25519(Ed25519PublicParams::from(&secret));
    let created = Timestamp::from_secs(CREATED);
    let inner = PubKeyInner::new(KeyVersion::V4, PublicKeyAlgorithm::Ed25519, created, None, public);
    (inner.unwrap(), SecretParams::Plain(PlainSecretParams::Ed25519(secret)))
}
