//! Looks for secrets in files and streams: as they are, in hexadecimal digits of both cases, and in base64 (RFC 4648, 4
//! and 5) at each of its three alignments.
//!
//! Encoded secrets are found across line breaks too, also where a text holds them as `\n`, and across the colons that
//! OpenSSL puts between hexadecimal digits. Compressed or encrypted ones are not: give what is in there.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aho_corasick::{AhoCorasick, BuildError};
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// A secret is known by so many bytes of its beginning, so that one that was cut is found as well. No other bytes are
/// these by chance.
const KNOWN_BY: usize = 24;
/// Shortest secret that is looked for: shorter ones are found everywhere.
const SHORTEST: usize = 16;
/// Read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// Something to look for secrets with. Holds them.
pub struct Search {
    raw: Patterns,
    /// Looked for once what may stand between digits is gone.
    encoded: Patterns,
}

/// A secret that lies where it was looked for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Finding {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its name.
    pub secret: String,
    /// How it is written.
    pub form: Form,
}

/// How a secret is written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Form {
    /// Its bytes.
    Raw,
    /// Hexadecimal digits.
    Hexadecimal,
    /// Base64.
    Base64,
}

impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Raw => "as it is",
            Self::Hexadecimal => "in hexadecimal digits",
            Self::Base64 => "in base64",
        })
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Search(..)")
    }
}

impl Search {
    /// Looks for these secrets, each by its name. Those that are too short to be told from anything else are left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, BuildError> {
        let (mut raw, mut encoded) = (Vec::new(), Vec::new());
        for (name, secret) in secrets.into_iter().filter(|(_, secret)| secret.len() >= SHORTEST) {
            let secret = secret.get(..KNOWN_BY).unwrap_or(secret);
            raw.push((name.to_owned(), Form::Raw, Zeroizing::new(secret.to_vec())));
            let mut add = |form, text: String| {
                encoded.push((name.to_owned(), form, Zeroizing::new(text.into_bytes())));
            };
            let digits = hexadecimal(secret);
            add(Form::Hexadecimal, digits.to_uppercase());
            add(Form::Hexadecimal, digits.to_string());
            for before in 0..3 {
                add(Form::Base64, aligned(secret, before, &STANDARD_NO_PAD));
                add(Form::Base64, aligned(secret, before, &URL_SAFE_NO_PAD));
            }
        }
        Ok(Self { raw: Patterns::new(raw)?, encoded: Patterns::new(encoded)? })
    }

    /// Looks through all that `reader` gives.
    pub fn read(&self, mut reader: impl Read) -> io::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let (mut raw, mut encoded) = (Window::default(), Window::default());
        let mut separators = Separators::default();
        let mut chunk = Zeroizing::new(vec![0; CHUNK]);
        let mut offset = 0;
        loop {
            let length = match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for (at, byte) in (offset..).zip(&chunk[..length]) {
                raw.push(*byte, at);
                separators.pass(*byte, at, |byte, at| encoded.push(byte, at));
            }
            offset += u64::try_from(length).map_err(io::Error::other)?;
            raw.look(&self.raw, &mut findings);
            encoded.look(&self.encoded, &mut findings);
        }
        separators.finish(|byte, at| encoded.push(byte, at));
        encoded.look(&self.encoded, &mut findings);
        findings.sort();
        findings.dedup();
        Ok(findings)
    }

    /// Looks through a file.
    pub fn file(&self, path: &Path) -> io::Result<Vec<Finding>> {
        self.read(File::open(path)?)
    }
}

/// Bytes in small hexadecimal digits; at once in its full length, so that growing leaves no copies behind in memory.
pub(super) fn hexadecimal(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
    text
}

/// The base64 digits of `secret` that stand for nothing else where so many bytes come before it.
fn aligned(secret: &[u8], before: usize, engine: &impl base64::Engine) -> String {
    let text = Zeroizing::new(engine.encode([&[0; 2][..before], secret].concat()));
    // A digit has six bits, a byte eight.
    let (first, last) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
    text[first..last].to_owned()
}

/// What is looked for at once.
struct Patterns {
    automaton: AhoCorasick,
    names: Vec<(String, Form)>,
    longest: usize,
}

impl Patterns {
    fn new(patterns: Vec<(String, Form, Zeroizing<Vec<u8>>)>) -> Result<Self, BuildError> {
        Ok(Self {
            automaton: AhoCorasick::new(patterns.iter().map(|(_, _, pattern)| &pattern[..]))?,
            longest: patterns.iter().map(|(_, _, pattern)| pattern.len()).max().unwrap_or(0),
            names: patterns.into_iter().map(|(name, form, _)| (name, form)).collect(),
        })
    }
}

/// What was read last, with where each byte of it was: the end of one chunk is looked at again with the next.
#[derive(Default)]
struct Window {
    bytes: Zeroizing<Vec<u8>>,
    offsets: Vec<u64>,
}

impl Window {
    fn push(&mut self, byte: u8, offset: u64) {
        self.bytes.push(byte);
        self.offsets.push(offset);
    }

    fn look(&mut self, patterns: &Patterns, findings: &mut Vec<Finding>) {
        for found in patterns.automaton.find_overlapping_iter(&self.bytes[..]) {
            let (secret, form) = patterns.names[found.pattern().as_usize()].clone();
            findings.push(Finding { offset: self.offsets[found.start()], secret, form });
        }
        // One byte less than the longest: what is whole in there was found.
        let kept = patterns.longest.saturating_sub(1).min(self.bytes.len());
        let seen = self.bytes.len() - kept;
        self.bytes.drain(..seen);
        self.offsets.drain(..seen);
    }
}

/// Leaves out what may stand between digits: space, line breaks, colons, and `\n` or `\r` as two characters.
#[derive(Default)]
struct Separators {
    /// A backslash that the next byte decides on.
    escape: Option<u64>,
}

impl Separators {
    fn pass(&mut self, byte: u8, at: u64, mut give: impl FnMut(u8, u64)) {
        if let Some(escape) = self.escape.take() {
            if matches!(byte, b'n' | b'r') {
                return;
            }
            give(b'\\', escape);
        }
        match byte {
            b'\\' => self.escape = Some(at),
            b' ' | b'\t' | b'\n' | b'\r' | b':' => {}
            _ => give(byte, at),
        }
    }

    fn finish(self, mut give: impl FnMut(u8, u64)) {
        if let Some(escape) = self.escape {
            give(b'\\', escape);
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    /// With digits in each alphabet that the other has not.
    const SECRET: [u8; 32] = [
        0xfb, 0xef, 0xbe, 0x14, 0xff, 0xfe, 0x3f, 0xbf, 0xc3, 0x0a, 0x5c, 0x3e, 0x99, 0xf0, 0x7f, 0xef, 0x81,
        0xfb, 0x12, 0x9d, 0x33, 0xee, 0xff, 0x01, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x00, 0x01,
    ];
    const OTHER: [u8; 32] = [0x5a; 32];

    fn search() -> Search {
        Search::new([("ours", &SECRET[..]), ("other", &OTHER), ("short", b"x")]).unwrap()
    }

    fn found(search: &Search, text: &[u8]) -> Vec<(u64, String, Form)> {
        let findings = search.read(text).unwrap();
        findings.into_iter().map(|found| (found.offset, found.secret, found.form)).collect()
    }

    /// Gives one byte less than a chunk at first, and then byte by byte: boundaries lie everywhere.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = if self.0.len() > CHUNK { CHUNK - 1 } else { 1 };
            let length = most.min(buffer.len()).min(self.0.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn forms() -> Vec<(&'static str, Form, Vec<u8>)> {
        let digits = hexadecimal(&SECRET);
        let colons: Vec<_> = SECRET.iter().map(|byte| format!("{byte:02X}")).collect();
        let after = |before: usize, engine: &dyn Fn(&[u8]) -> String| {
            engine(&[&b"abc"[..before], &SECRET, b"xyz"].concat()).into_bytes()
        };
        let standard = |bytes: &[u8]| STANDARD.encode(bytes);
        let wrapped: Vec<_> = STANDARD
            .encode(SECRET)
            .as_bytes()
            .chunks(10)
            .map(|line| String::from_utf8(line.into()).unwrap())
            .collect();
        vec![
            ("raw", Form::Raw, SECRET.to_vec()),
            ("cut", Form::Raw, SECRET[..KNOWN_BY].to_vec()),
            ("small digits", Form::Hexadecimal, digits.as_bytes().to_vec()),
            ("large digits", Form::Hexadecimal, digits.to_uppercase().into_bytes()),
            ("openssl's digits", Form::Hexadecimal, colons.join(":\n    ").into_bytes()),
            ("base64", Form::Base64, after(0, &standard)),
            ("base64 after one", Form::Base64, after(1, &standard)),
            ("base64 after two", Form::Base64, after(2, &standard)),
            ("base64url after one", Form::Base64, after(1, &|bytes| URL_SAFE.encode(bytes))),
            ("base64url after two", Form::Base64, after(2, &|bytes| URL_SAFE.encode(bytes))),
            ("base64url", Form::Base64, after(0, &|bytes| URL_SAFE.encode(bytes))),
            ("PEM", Form::Base64, wrapped.join("\r\n").into_bytes()),
            ("PEM in JSON", Form::Base64, wrapped.join("\\n").into_bytes()),
        ]
    }

    #[test]
    fn a_secret_is_found_in_each_form_wherever_it_lies() {
        let search = search();
        for (name, form, written) in forms() {
            // In the middle, across the end of a chunk, and at the end of the file.
            for before in [0, 1, 1000, CHUNK - written.len() / 2, CHUNK - 1, CHUNK, 2 * CHUNK - 5] {
                let text = [&vec![b'.'; before][..], &written, b"."].concat();
                let expected = |found: &[(u64, String, Form)]| {
                    // The digits of what comes before belong to it as well.
                    let near = u64::try_from(before).unwrap()..=u64::try_from(before).unwrap() + 3;
                    matches!(found, [(at, secret, is)] if near.contains(at) && secret == "ours" && *is == form)
                };
                let at_once = found(&search, &text);
                assert!(expected(&at_once), "{name} behind {before}: {at_once:?}");
                let slowly = search.read(Slow(&text)).unwrap();
                assert_eq!(slowly.len(), 1, "{name} behind {before}, in pieces");
            }
        }
    }

    #[test]
    fn all_of_several_are_found_and_where_there_is_none_none() {
        let search = search();
        let text = [&OTHER[..], b"x", &SECRET, &SECRET].concat();
        let found_offsets: Vec<_> = found(&search, &text)
            .into_iter()
            .filter(|(_, secret, _)| secret == "ours")
            .map(|(at, ..)| at)
            .collect();
        assert_eq!(found_offsets, [33, 65]);
        // All but the last byte that counts, the other way round, and much of nothing.
        let reversed: Vec<u8> = SECRET.iter().rev().copied().collect();
        let mut pattern = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            pattern = pattern.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            pattern.to_be_bytes()[0]
        })
        .take(3 * CHUNK + 7)
        .collect();
        for text in [&SECRET[..KNOWN_BY - 1], &reversed, &noise, b"", b"\\"] {
            assert_eq!(found(&search, text), []);
        }
    }

    #[test]
    fn it_shows_no_secret() {
        assert_eq!(format!("{:?}", search()), "Search(..)");
    }
}
