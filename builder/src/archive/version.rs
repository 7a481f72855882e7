//! Debian package versions and their order (Debian Policy 5.6.12).

use std::cmp::Ordering;
use std::fmt;

/// A version `[epoch:]upstream[-revision]`, borrowed from the text it was read from.
///
/// The order is dpkg's. Two spellings can be equal: an absent epoch is 0, an absent revision equals `0`,
/// and numbers ignore leading zeros; so `==` follows the order and not the text.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    text: &'a str,
    epoch: u32,
    upstream: &'a str,
    revision: &'a str,
}

/// Why a text is no Debian version.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VersionError {
    /// Nothing, or nothing between epoch and revision.
    #[error("version `{text}` has no upstream part")]
    Empty {
        /// The whole version.
        text: String,
    },
    /// A hyphen with nothing after it.
    #[error("version `{text}` has an empty revision")]
    EmptyRevision {
        /// The whole version.
        text: String,
    },
    /// The part before the first colon is no number below 2^31 (dpkg's limit).
    #[error("version `{text}` has the epoch `{epoch}`, which is no number up to {}", i32::MAX)]
    Epoch {
        /// The whole version.
        text: String,
        /// What stands before the colon.
        epoch: String,
    },
    /// A character outside Policy's alphabet.
    #[error("version `{text}` has `{character}` at byte {position}")]
    Character {
        /// The whole version.
        text: String,
        /// The character.
        character: char,
        /// Its offset in bytes.
        position: usize,
    },
}

impl<'a> Version<'a> {
    /// Reads a version; like dpkg, lets the upstream part begin with a letter.
    pub fn parse(text: &'a str) -> Result<Self, VersionError> {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (Self::parse_epoch(text, epoch)?, rest),
            None => (0, text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        if upstream.is_empty() {
            return Err(VersionError::Empty { text: text.to_owned() });
        }
        if rest.ends_with('-') {
            return Err(VersionError::EmptyRevision { text: text.to_owned() });
        }
        let start = text.len() - rest.len();
        let is_wrong = |(position, character): &(usize, char)| {
            let in_upstream = *position < upstream.len() && matches!(character, '-' | ':');
            let is_separator = *position == upstream.len() && *character == '-';
            !(character.is_ascii_alphanumeric()
                || matches!(character, '.' | '+' | '~')
                || in_upstream
                || is_separator)
        };
        if let Some((position, character)) = rest.char_indices().find(is_wrong) {
            let position = start + position;
            return Err(VersionError::Character { text: text.to_owned(), character, position });
        }
        Ok(Self { text, epoch, upstream, revision })
    }

    /// The version as it was written.
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    fn parse_epoch(text: &str, epoch: &str) -> Result<u32, VersionError> {
        let is_number = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
        epoch
            .parse()
            .ok()
            .filter(|&number: &u32| is_number && i32::try_from(number).is_ok())
            .ok_or_else(|| VersionError::Epoch { text: text.to_owned(), epoch: epoch.to_owned() })
    }
}

impl fmt::Display for Version<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text)
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_part(self.upstream, other.upstream))
            .then_with(|| compare_part(self.revision, other.revision))
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version<'_> {}

/// Compares upstream parts or revisions: runs of non-digits and of digits in turn, from the left.
fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !(left.is_empty() && right.is_empty()) {
        let (left_text, left_rest) = split_run(left, |byte| !byte.is_ascii_digit());
        let (right_text, right_rest) = split_run(right, |byte| !byte.is_ascii_digit());
        let (left_number, left_rest) = split_run(left_rest, u8::is_ascii_digit);
        let (right_number, right_rest) = split_run(right_rest, u8::is_ascii_digit);
        let order =
            compare_text(left_text, right_text).then_with(|| compare_number(left_number, right_number));
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn split_run(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// Compares two runs of non-digits: `~` before the end, the end before letters, letters before the rest.
fn compare_text(left: &[u8], right: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => (0, 0),
        None => (1, 0),
        Some(byte) if byte.is_ascii_alphabetic() => (2, *byte),
        Some(byte) => (3, *byte),
    };
    (0..left.len().max(right.len()))
        .map(|index| weight(left.get(index)).cmp(&weight(right.get(index))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Compares two runs of digits as numbers of any length; an empty run is 0.
fn compare_number(left: &[u8], right: &[u8]) -> Ordering {
    let (_, left) = split_run(left, |&byte| byte == b'0');
    let (_, right) = split_run(right, |&byte| byte == b'0');
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(left: &str, right: &str) -> Ordering {
        Version::parse(left).unwrap().cmp(&Version::parse(right).unwrap())
    }

    #[test]
    fn orders_versions_as_policy_says() {
        for (smaller, greater) in [
            ("1.0~rc1", "1.0"),
            ("1.0~~", "1.0~"),
            ("1.0~~a", "1.0~"),
            ("1.0", "1.0a"),
            ("1.0a", "1.0+"),
            ("1.0Z", "1.0a"),
            ("1.9", "1.10"),
            ("1.2", "1.2.1"),
            ("9:1", "10:0.1"),
            ("2", "1:1"),
            ("1.0-1", "1.0-1.1"),
            ("1.0-1~deb13u1", "1.0-1"),
            ("1.0-1", "1.0-1+deb13u1"),
            ("1.0", "1.0-1"),
            ("1.0-9", "1.0.1-1"),
            ("1-2-3", "1-3-1"),
            ("99999999999999999999998", "99999999999999999999999"),
        ] {
            assert_eq!(order(smaller, greater), Ordering::Less, "{smaller} {greater}");
            assert_eq!(order(greater, smaller), Ordering::Greater, "{greater} {smaller}");
        }
    }

    #[test]
    fn takes_different_spellings_as_equal() {
        for (left, right) in [("1.0", "0:1.0"), ("1.0-0", "1.0"), ("1.01", "1.1"), ("1.0", "1.00")] {
            assert_eq!(order(left, right), Ordering::Equal, "{left} {right}");
            assert_eq!(Version::parse(left), Version::parse(right));
        }
    }

    #[test]
    fn refuses_what_is_no_version() {
        for (text, message) in [
            ("", "version `` has no upstream part"),
            ("1:", "version `1:` has no upstream part"),
            ("-1", "version `-1` has no upstream part"),
            (":1", "version `:1` has the epoch ``, which is no number up to 2147483647"),
            ("1.0-", "version `1.0-` has an empty revision"),
            ("+1:1", "version `+1:1` has the epoch `+1`, which is no number up to 2147483647"),
            (
                "2147483648:1",
                "version `2147483648:1` has the epoch `2147483648`, which is no number up to 2147483647",
            ),
            ("1:2.0_3", "version `1:2.0_3` has `_` at byte 5"),
            ("1.0-ä", "version `1.0-ä` has `ä` at byte 4"),
            ("1 2", "version `1 2` has ` ` at byte 1"),
        ] {
            assert_eq!(Version::parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    /// Draws from few characters, so that versions share prefixes and differ late.
    fn draw(seed: &mut u64) -> String {
        const PIECES: [&str; 14] =
            ["0", "1", "9", "10", "01", ".", "~", "+", "a", "Z", "-", "rc", "deb13u", ".0"];
        let mut next = |bound: u64| {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 33) % bound
        };
        let mut text = if next(4) == 0 { format!("{}:", next(3)) } else { String::new() };
        text += &next(3).to_string();
        for _ in 0..next(5) {
            text += PIECES[usize::try_from(next(14)).unwrap()];
        }
        text
    }

    #[test]
    #[expect(
        clippy::disallowed_types,
        reason = "dpkg is the oracle of this test, not a helper of the program"
    )]
    fn agrees_with_dpkg_on_drawn_pairs() {
        use std::process::Command;

        let dpkg_says = |left: &str, relation: &str, right: &str| {
            let arguments = ["--compare-versions", left, relation, right];
            let output = Command::new("dpkg").args(arguments).output().expect("dpkg runs");
            match output.status.code() {
                Some(0) => Some(true),
                Some(1) => Some(false),
                _ => None, // refused: bad syntax
            }
        };
        let mut seed = 13;
        let mut refused = 0;
        for _ in 0..400 {
            let (left, right) = (draw(&mut seed), draw(&mut seed));
            let expected = dpkg_says(&left, "lt", &right).map(|is_less| {
                if is_less {
                    Ordering::Less
                } else if dpkg_says(&left, "eq", &right) == Some(true) {
                    Ordering::Equal
                } else {
                    Ordering::Greater
                }
            });
            let parsed = Version::parse(&left).ok().zip(Version::parse(&right).ok());
            assert_eq!(parsed.map(|(left, right)| left.cmp(&right)), expected, "{left} {right}");
            refused += u32::from(expected.is_none());
        }
        assert!((1..200).contains(&refused), "most pairs are versions, some are not: {refused} refused");
    }
}
