//! Whether a machine knows a hash of a password: why a host is trusted.
//!
//! Nobody tells the host key of a rescue system, so a client cannot know whom it has reached. Hetzner's API, over TLS,
//! tells the password that `root` has there. Who answers at the address shows root's entry of `/etc/shadow`: to have a
//! hash of the password, one must know the password, or be able to read that file. Somebody in between has neither.
//! They can let every key in, but they cannot log in to the server themselves: a signature of our key is bound to the
//! one connection it was made for (RFC 4252, 7), and our key alone opens the server. The password itself is never sent,
//! so that nothing can be learned from a host which fails.
//!
//! The proof holds only for whole hashes. Of a hash of few bytes, somebody in between could guess all; therefore
//! lengths are exact. The salt is theirs to choose, which is of no use to them.
//!
//! Formats: crypt(5).

use std::ops::RangeInclusive;

use sha_crypt::password_hash::Error;
use sha_crypt::{PasswordVerifier as _, ShaCrypt};
use yescrypt::Yescrypt;

use super::ShadowError;
use crate::printable;
use crate::secret::Secret;

/// Characters of a digest: 64 bytes, and 32 bytes, 6 bits each.
const SHA512: usize = 86;
/// See there.
const SHA256: usize = 43;
/// More rounds would only keep us busy. Debian's default is 5000.
const MOST_ROUNDS: u32 = 1_000_000;
/// Characters of an unknown scheme that are shown.
const LONGEST_SCHEME: usize = 20;

/// Checks root's line of `/etc/shadow`.
pub(super) fn check(line: &[u8], password: &Secret) -> Result<(), ShadowError> {
    let line = std::str::from_utf8(line).map_err(|_| ShadowError::Malformed)?;
    let mut fields = line.trim_end_matches('\n').split(':');
    let hash = match (fields.next(), fields.next()) {
        (Some("root"), Some(hash)) if !line.trim_end_matches('\n').contains('\n') => hash,
        _ => return Err(ShadowError::NoEntry),
    };
    // An invalid hash is how a password is locked; `x` is elsewhere.
    if hash.is_empty() || hash.starts_with(['!', '*']) || hash == "x" {
        return Err(ShadowError::NoPassword);
    }
    let [scheme, rest @ ..] = &hash.split('$').skip(1).collect::<Vec<_>>()[..] else {
        return Err(ShadowError::Scheme { scheme: "DES".to_owned() });
    };
    let (is_whole, verified): (bool, Verify) = match *scheme {
        "6" => (is_sha(rest, SHA512), verify_sha),
        "5" => (is_sha(rest, SHA256), verify_sha),
        "y" => (is_yescrypt(rest), verify_yescrypt),
        other => {
            let scheme = printable::text(other).chars().take(LONGEST_SCHEME).collect();
            return Err(ShadowError::Scheme { scheme });
        }
    };
    if !is_whole {
        return Err(ShadowError::Malformed);
    }
    match verified(password.expose().as_bytes(), hash) {
        Ok(()) => Ok(()),
        Err(Error::PasswordInvalid) => Err(ShadowError::Mismatch),
        Err(_) => Err(ShadowError::Malformed),
    }
}

type Verify = fn(&[u8], &str) -> Result<(), Error>;

fn verify_sha(password: &[u8], hash: &str) -> Result<(), Error> {
    // Which of both it is, the hash says.
    ShaCrypt::SHA512.verify_password(password, hash)
}

fn verify_yescrypt(password: &[u8], hash: &str) -> Result<(), Error> {
    Yescrypt::default().verify_password(password, hash)
}

/// `[rounds=N$]salt$digest`.
fn is_sha(fields: &[&str], digest: usize) -> bool {
    match *fields {
        [salt, hash] => is_text(salt, 1..=16) && is_text(hash, digest..=digest),
        [rounds, salt, hash] => {
            let rounds = rounds.strip_prefix("rounds=").and_then(|number| number.parse::<u32>().ok());
            rounds.is_some_and(|rounds| rounds <= MOST_ROUNDS)
                && is_text(salt, 1..=16)
                && is_text(hash, digest..=digest)
        }
        _ => false,
    }
}

/// `parameters$salt$digest`. Of parameters, those are known that `crypt_gensalt` makes: three characters for flavour,
/// memory and block size, where memory ends at 256 MiB.
fn is_yescrypt(fields: &[&str]) -> bool {
    let [parameters, salt, hash] = *fields else { return false };
    let is_known = matches!(parameters.as_bytes(), [b'j', b'7'..=b'9' | b'A'..=b'D', b'5' | b'T']);
    is_known && is_text(salt, 1..=86) && is_text(hash, SHA256..=SHA256)
}

fn is_text(field: &str, length: RangeInclusive<usize>) -> bool {
    length.contains(&field.len())
        && field.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn checked(line: &str) -> Result<(), ShadowError> {
        check(line.as_bytes(), &Secret::from(Zeroizing::new("pa55 word".to_owned())))
    }

    fn of(hash: &str) -> Result<(), ShadowError> {
        checked(&format!("root:{hash}:20000:0:99999:7:::\n"))
    }

    /// By `crypt()` of Debian's libxcrypt 4.4.33, for `pa55 word`.
    const HASHES: [&str; 5] = [
        "$y$j9T$abcdefgh$dPf67cAL1JCeKHjvRfzqOw0kmDJ6gRTa8vQsg79KFb0",
        "$y$j75$8sVWbPi0Z1rXQ5wmGzvTs.$5/5HDdN92/ht9YPZomA99q1IKstGnVn6GEvyYb9ouV0",
        "$6$saltsalt$VN954FnxiaoomK1zFXHbZeX8cO85Dwt42D2OcVQvfto6711LkYrHk5P3XUN06q8cGjPq3Sd7LexpUp1UpzfwI/",
        "$6$rounds=65000$s$ONYDuXaBXy71wRTxz9MxoeuU8gt1RjTvK.9WGqHhAkZ3ljWwcEJxbJYMMfUTw3o7PPErFGeqmBsM6xko.KTLv0",
        "$5$rounds=1234$saltsaltsaltsalt$9YDeO6G5nBuM88deKnRHIKv/rcj5JT.OflXKsVQtJhB",
    ];

    #[test]
    fn knows_the_password_behind_what_debian_writes() {
        for hash in HASHES {
            assert_eq!(of(hash), Ok(()), "{hash}");
            let other =
                check(format!("root:{hash}:1").as_bytes(), &Secret::from(Zeroizing::new("pa55".to_owned())));
            assert_eq!(other, Err(ShadowError::Mismatch), "{hash}");
        }
    }

    #[test]
    fn a_part_of_a_hash_proves_nothing() {
        for hash in HASHES {
            let start = hash.rfind('$').unwrap();
            for end in start..hash.len() {
                assert_eq!(of(&hash[..end]), Err(ShadowError::Malformed), "{}", &hash[..end]);
            }
            // Nor does one with a wrong character, wherever it stands.
            for at in (start + 1..hash.len() - 1).step_by(9) {
                let other = if &hash[at..=at] == "a" { "b" } else { "a" };
                let wrong = format!("{}{other}{}", &hash[..at], &hash[at + 1..]);
                assert_eq!(of(&wrong), Err(ShadowError::Mismatch), "{wrong}");
            }
        }
    }

    #[test]
    fn names_what_is_no_proof() {
        let digest = "a".repeat(86);
        for (line, expected) in [
            (String::new(), ShadowError::NoEntry),
            ("daemon:*:1:".to_owned(), ShadowError::NoEntry),
            (format!("root:{}:1\nroot:{}:1\n", HASHES[0], HASHES[0]), ShadowError::NoEntry),
            ("root::1:".to_owned(), ShadowError::NoPassword),
            ("root:*:1:".to_owned(), ShadowError::NoPassword),
            (format!("root:!{}:1:", HASHES[0]), ShadowError::NoPassword),
            ("root:x:1:".to_owned(), ShadowError::NoPassword),
            ("root:ab01FAX.bQRSU:1:".to_owned(), ShadowError::Scheme { scheme: "DES".to_owned() }),
            ("root:$1$salt$aaaa:1:".to_owned(), ShadowError::Scheme { scheme: "1".to_owned() }),
            ("root:$\u{1b}[2J$a:1:".to_owned(), ShadowError::Scheme { scheme: "\\u{1b}[2J".to_owned() }),
            ("root:$6$:1:".to_owned(), ShadowError::Malformed),
            (format!("root:$6$$${digest}:1:"), ShadowError::Malformed),
            (format!("root:$6$rounds=999999999$salt${digest}:1:"), ShadowError::Malformed),
            (format!("root:$6$rounds=10$salt${digest}:1:"), ShadowError::Malformed),
            (format!("root:$6$sa lt${digest}:1:"), ShadowError::Malformed),
            (format!("root:$y$jZT$salt${}:1:", &digest[..43]), ShadowError::Malformed),
            (format!("root:$y$j9T.......$salt${}:1:", &digest[..43]), ShadowError::Malformed),
        ] {
            assert_eq!(checked(&line), Err(expected), "{line}");
        }
        let said = check(b"root:\xff:1", &Secret::from(Zeroizing::new(String::new())));
        assert_eq!(said, Err(ShadowError::Malformed));
    }
}
