use super::super::keyring::{Keyring, KeyringError};
use super::super::tests::signer::{CREATED, Signer, Subkey, sign_twice};
use super::*;

const TEXT: &str = "Suite: test\nDescription: has\n - a dash\n\n-----BEGIN at a line's start\nlast: line\n";
const NOW: Timestamp = Timestamp(1_795_227_046);

fn trusting(keys: &[&Signer]) -> Keyring {
    let mut keyring = Keyring::default();
    for key in keys {
        keyring.add("test.asc", key.public().as_bytes()).unwrap();
    }
    keyring
}

fn refusal(data: &str, keyring: &Keyring) -> String {
    verify(data.as_bytes(), keyring, NOW).unwrap_err().to_string()
}

#[test]
fn returns_exactly_the_signed_text() {
    let signer = Signer::new(1, None);
    let verified = verify(signer.sign(TEXT).as_bytes(), &trusting(&[&signer]), NOW).unwrap();
    assert_eq!(verified, Verified { text: TEXT.to_owned(), fingerprint: signer.fingerprint() });
}

#[test]
fn refuses_text_without_signature() {
    let keyring = trusting(&[&Signer::new(1, None)]);
    assert_eq!(refusal(TEXT, &keyring), "no OpenPGP signature");
    assert_eq!(refusal("", &keyring), "no OpenPGP signature");
    let message = Signer::new(1, None).sign(TEXT);
    let (head, _) = message.split_once("-----BEGIN PGP SIGNATURE").unwrap();
    assert_eq!(refusal(head, &keyring), "malformed OpenPGP signature");
}

#[test]
fn refuses_text_around_the_signed_part() {
    let signer = Signer::new(1, None);
    let keyring = trusting(&[&signer]);
    let message = signer.sign(TEXT);
    assert_eq!(refusal(&format!("Suite: evil\n{message}"), &keyring), "no OpenPGP signature");
    assert_eq!(refusal(&format!("{message}Suite: evil\n"), &keyring), "malformed OpenPGP signature");
    let header = message.replacen("Hash:", "Suite: evil\nHash:", 1);
    assert_eq!(refusal(&header, &keyring), "malformed OpenPGP signature");
}

#[test]
fn refuses_changed_text() {
    let signer = Signer::new(1, None);
    let keyring = trusting(&[&signer]);
    let bad = format!("signature of key {} does not fit the text", signer.fingerprint());
    let message = signer.sign(TEXT);
    for (from, to) in
        [("test", "evil"), ("\nlast", "\n\nlast"), ("last: line\n", ""), (" - a", "- a"), ("test", "te\rst")]
    {
        let changed = message.replacen(from, to, 1);
        assert_ne!(changed, message, "{from:?}");
        assert_eq!(refusal(&changed, &keyring), bad, "{from:?} -> {to:?}");
    }
}

#[test]
fn names_the_keys_it_does_not_know() {
    let (trusted, other) = (Signer::new(1, None), Signer::new(2, None));
    let expected = format!("signed by no trusted key, but by {}", other.fingerprint());
    assert_eq!(refusal(&other.sign(TEXT), &trusting(&[&trusted])), expected);
    assert_eq!(refusal(&other.sign(TEXT), &Keyring::debian().unwrap()), expected);
}

#[test]
fn accepts_one_good_signature_beside_an_unknown_one() {
    let (first, second) = (Signer::new(1, None), Signer::new(2, None));
    let message = sign_twice(TEXT, &first, &second);
    for known in [&first, &second] {
        let verified = verify(message.as_bytes(), &trusting(&[known]), NOW).unwrap();
        assert_eq!(verified.fingerprint, known.fingerprint());
    }
}

#[test]
fn refuses_expired_keys_and_says_since_when() {
    let signer = Signer::new(1, Some(86_400));
    let keyring = trusting(&[&signer]);
    let message = signer.sign(TEXT);
    let expected = format!("signature of key {} expired on 2025-01-02T00:00:00Z", signer.fingerprint());
    assert_eq!(refusal(&message, &keyring), expected);
    let in_time = Timestamp(u64::from(CREATED) + 86_399);
    assert_eq!(verify(message.as_bytes(), &keyring, in_time).unwrap().text, TEXT);
    let unlimited = Signer::new(2, None);
    let both = sign_twice(TEXT, &signer, &unlimited);
    let verified = verify(both.as_bytes(), &trusting(&[&signer, &unlimited]), NOW).unwrap();
    assert_eq!(verified.fingerprint, unlimited.fingerprint());
}

#[test]
fn refuses_revoked_keys() {
    let mut signer = Signer::new(1, None);
    signer.revoke();
    let error = Keyring::default().add("old.asc", signer.public().as_bytes()).unwrap_err();
    assert!(matches!(error, KeyringError::NothingSigns { name } if name == "old.asc"));
}

#[test]
fn accepts_subkeys_only_with_their_consent() {
    let subkey = Subkey::new(3);
    let mut honest = Signer::new(1, None);
    honest.adopt(&subkey, true);
    let verified = verify(subkey.sign(TEXT).as_bytes(), &trusting(&[&honest]), NOW).unwrap();
    assert_eq!(verified.fingerprint, subkey.fingerprint());
    let mut thief = Signer::new(2, None);
    thief.adopt(&subkey, false);
    assert_eq!(
        refusal(&subkey.sign(TEXT), &trusting(&[&thief])),
        format!("signed by no trusted key, but by {}", subkey.fingerprint())
    );
}

#[test]
fn refuses_hashes_that_no_archive_uses() {
    let signer = Signer::new(1, None);
    let message = signer.sign_hashed(TEXT, HashAlgorithm::Sha3_256);
    assert_eq!(
        refusal(&message, &trusting(&[&signer])),
        format!(
            "signature of key {} uses hash SHA3-256 instead of SHA256, SHA384 or SHA512",
            signer.fingerprint()
        )
    );
}

#[test]
fn survives_cut_and_flipped_files() {
    let signer = Signer::new(1, None);
    let keyring = trusting(&[&signer]);
    let message = signer.sign(TEXT).into_bytes();
    for position in 0..message.len() {
        let mut flipped = message.clone();
        *flipped.get_mut(position).unwrap() ^= 1;
        // What still counts (a flip in a blank at a line's end, say) has the very same text.
        if let Ok(verified) = verify(&flipped, &keyring, NOW) {
            assert_eq!(verified.text, TEXT, "flip at {position}");
        }
        if let Ok(verified) = verify(message.get(..position).unwrap(), &keyring, NOW) {
            assert_eq!(verified.text, TEXT, "cut at {position}");
        }
    }
}
