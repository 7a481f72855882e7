//! The approval code, which an operator compares: what the box shows is what the cluster lists.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::challenge::Challenge;
use crate::by_text::by_text;
use crate::public_key::PublicKey;

/// Crockford's base 32: no letter is taken for a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LETTERS: usize = 8;

/// 40 bits over the node's key, the cluster's key and the challenge that the node was given first, as `7QK2-M4TD`.
///
/// The challenge keeps a stranger from searching in advance for a key that has the code of an expected box.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code(String);

/// A text that is no approval code.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{}` is no approval code, which looks like `7QK2-M4TD`", .0.escape_debug())]
pub struct NoCode(pub String);

impl Code {
    /// The code of a node that waits.
    pub fn of(node: &PublicKey, cluster: &PublicKey, first: &Challenge) -> Self {
        let digest = Sha256::new()
            .chain_update(b"imgbuild approval\0")
            .chain_update(node.0.as_bytes())
            .chain_update(cluster.0.as_bytes())
            .chain_update(first.to_string())
            .finalize();
        let bits = digest[..5].iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let letter = |index: usize| {
            let five = usize::try_from(bits >> (5 * (LETTERS - 1 - index)) & 31).unwrap_or_default();
            char::from(ALPHABET[five])
        };
        let letters: String = (0..LETTERS).map(letter).collect();
        Self(format!("{}-{}", &letters[..4], &letters[4..]))
    }

    /// As names of objects have it: lower case.
    pub fn object_name(&self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// People may leave the hyphen out, write small letters, and take O for 0 and I or L for 1.
impl FromStr for Code {
    type Err = NoCode;

    fn from_str(text: &str) -> Result<Self, NoCode> {
        let read = |letter: char| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let letters: String = text.trim().chars().filter(|letter| *letter != '-').map(read).collect();
        if letters.len() != LETTERS || !letters.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(NoCode(text.to_owned()));
        }
        Ok(Self(format!("{}-{}", &letters[..4], &letters[4..])))
    }
}

by_text!(Code, NoCode);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::challenge::Challenger;
    use crate::cluster::tests::{membership_key, operator_key};
    use crate::membership::tests::node_key;
    use crate::ticket::tests::now;

    #[test]
    fn the_code_depends_on_all_three_and_is_read_as_people_write_it() {
        let key = |seed| PublicKey::of(&node_key(seed));
        let (cluster, other) = (PublicKey::of(&membership_key()), PublicKey::of(&operator_key()));
        let challenger = Challenger::new(&membership_key());
        let (first, later) =
            (challenger.make(now()), challenger.make(now() + std::time::Duration::from_secs(1)));
        let code = Code::of(&key(1), &cluster, &first);
        assert_eq!(code.to_string().len(), 9, "{code}");
        for different in [
            Code::of(&key(2), &cluster, &first),
            Code::of(&key(1), &other, &first),
            Code::of(&key(1), &cluster, &later),
        ] {
            assert_ne!(different, code);
        }
        assert_eq!(code.to_string().to_lowercase().replace('-', "").parse(), Ok(code));
        assert_eq!("oil0-0000".parse::<Code>().unwrap().to_string(), "0110-0000");
        for text in ["", "7QK2", "7QK2-M4TDX", "7QK2-M4TU", "7QK2-M4T\u{e9}"] {
            assert_eq!(text.parse::<Code>(), Err(NoCode(text.to_owned())));
        }
    }
}
