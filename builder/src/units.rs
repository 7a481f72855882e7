//! Quantities and identifiers that several modules exchange, so that no bare `u64` crosses a module.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256 as Hasher};
use thiserror::Error;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// One kibibyte.
    pub const KIB: Self = Self(1 << 10);
    /// One mebibyte.
    pub const MIB: Self = Self(1 << 20);

    /// Converts a length in memory; lossless on every supported host.
    pub fn of(data: &[u8]) -> Self {
        Self(u64::try_from(data.len()).unwrap_or(u64::MAX))
    }
}

/// Renders with the largest binary unit that leaves at least one whole, e.g. `512 MiB`, `1.5 GiB`.
impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
        for (name, shift) in UNITS {
            let unit = 1_u64 << shift;
            if self.0 >= unit {
                let whole = self.0 >> shift;
                let tenths = (self.0 & (unit - 1)).saturating_mul(10) >> shift;
                return if tenths == 0 {
                    write!(formatter, "{whole} {name}")
                } else {
                    write!(formatter, "{whole}.{tenths} {name}")
                };
            }
        }
        write!(formatter, "{} B", self.0)
    }
}

/// A size as settings files write it, with its unit: `512 MiB`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size(pub Bytes);

/// A text is no size.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("`{text}` is no size such as `512 MiB`; units are KiB, MiB, GiB and TiB")]
pub struct SizeError {
    /// The text.
    pub text: String,
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
        let size = || {
            let (number, shift) =
                UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?.trim_end(), *shift)))?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let number: u64 = is_number.then(|| number.parse().ok()).flatten()?;
            number.checked_mul(1 << shift)
        };
        size().map(|size| Self(Bytes(size))).ok_or_else(|| SizeError { text: text.to_owned() })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A logical block address, in sectors of the disk it belongs to.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lba(pub u64);

/// The sector size of a disk: 512 or 4096 bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum SectorSize {
    /// 512-byte sectors.
    #[default]
    B512,
    /// 4096-byte sectors; UEFI only.
    B4096,
}

impl SectorSize {
    /// Bytes per sector.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4096,
        }
    }
}

impl From<SectorSize> for firstboot::gpt::SectorSize {
    fn from(size: SectorSize) -> Self {
        match size {
            SectorSize::B512 => Self::S512,
            SectorSize::B4096 => Self::S4096,
        }
    }
}

impl From<SectorSize> for u32 {
    fn from(size: SectorSize) -> Self {
        size.bytes()
    }
}

impl TryFrom<u32> for SectorSize {
    type Error = String;

    fn try_from(bytes: u32) -> Result<Self, Self::Error> {
        match bytes {
            512 => Ok(Self::B512),
            4096 => Ok(Self::B4096),
            other => Err(format!("sector size is 512 or 4096 bytes, not {other}")),
        }
    }
}

/// A processor architecture, by Debian's name.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Arch {
    /// Debian's name: `amd64`, `arm64`.
    pub const fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Debian's multiarch directory name, e.g. `x86_64-linux-gnu`.
    pub const fn multiarch(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// The suffix of UEFI file names: `x64` (UEFI 2.10, 3.5.1.1), `aa64`.
    pub const fn efi(self) -> &'static str {
        match self {
            Self::Amd64 => "x64",
            Self::Arm64 => "aa64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.debian())
    }
}

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Hashes `data`.
    pub fn of(data: &[u8]) -> Self {
        Self(Hasher::digest(data).into())
    }

    /// Hashes `parts`, each with its length before it: none can be taken for the end of the one before.
    pub fn of_all(parts: &[&[u8]]) -> Self {
        let mut hasher = Hasher::new();
        for part in parts {
            hasher.update(Bytes::of(part).0.to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// A UUID of version 8 (RFC 9562, 5.8) made of the first bytes: it names what was hashed.
    pub fn uuid(self) -> uuid::Uuid {
        let mut bytes = [0_u8; 16];
        bytes.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Sha256 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("a sha256 is 64 hexadecimal digits, not `{text}`");
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut digest = [0_u8; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(digest))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The root hash of a dm-verity tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RootHash(pub Sha256);

impl RootHash {
    /// PARTUUID of the root partition: the first 128 bits (Discoverable Partitions Specification).
    pub fn root_partuuid(self) -> uuid::Uuid {
        self.half(0)
    }

    /// PARTUUID of the verity partition: the last 128 bits (Discoverable Partitions Specification).
    pub fn verity_partuuid(self) -> uuid::Uuid {
        self.half(16)
    }

    fn half(self, start: usize) -> uuid::Uuid {
        let mut bytes = [0_u8; 16];
        bytes.iter_mut().zip(self.0.0.iter().skip(start)).for_each(|(to, from)| *to = *from);
        uuid::Uuid::from_bytes(bytes)
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// Seconds since 1970-01-01T00:00:00Z; every time in an image is the lock's date. Written as RFC 3339
/// in UTC, `2026-11-21T02:10:46Z`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(pub u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.0)) {
            Some(time) => humantime::format_rfc3339_seconds(time).fmt(formatter),
            None => write!(formatter, "{} s after 1970", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("a time is `2026-11-21T02:10:46Z`, not `{text}`");
        let time = humantime::parse_rfc3339(text).map_err(|_| wrong())?;
        let since = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| wrong())?;
        Ok(Self(since.as_secs()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_of_parts_tells_where_they_end() {
        let parts = [&[b"ab".as_slice(), b"c"][..], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""]];
        let digests: std::collections::BTreeSet<_> = parts.into_iter().map(Sha256::of_all).collect();
        assert_eq!(digests.len(), parts.len());
    }

    #[test]
    fn shows_bytes_with_the_largest_fitting_unit() {
        for (bytes, shown) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (512 << 20, "512 MiB"), (1 << 30, "1 GiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), shown, "{bytes}");
        }
    }

    #[test]
    fn reads_sizes_with_binary_units_only() {
        for (text, bytes) in [("1 MiB", Some(1 << 20)), ("2GiB", Some(2 << 30)), ("0 KiB", Some(0))] {
            assert_eq!(text.parse::<Size>().ok().map(|size| size.0.0), bytes, "{text}");
        }
        for text in ["", "1", "1 MB", "1.5 GiB", "-1 MiB", "99999999999 TiB", "MiB"] {
            assert_eq!(text.parse::<Size>(), Err(SizeError { text: text.to_owned() }), "{text}");
        }
    }

    #[test]
    fn splits_a_root_hash_into_two_partuuids() {
        let hash = RootHash(Sha256(std::array::from_fn(|index| u8::try_from(index).unwrap())));
        assert_eq!(hash.root_partuuid().to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(hash.verity_partuuid().to_string(), "10111213-1415-1617-1819-1a1b1c1d1e1f");
    }

    #[test]
    fn reads_back_the_time_it_writes() {
        let time = Timestamp(1_795_227_046);
        assert_eq!(time.to_string(), "2026-11-21T02:10:46Z");
        assert_eq!(time.to_string().parse::<Timestamp>(), Ok(time));
        let fault = "1795227046".parse::<Timestamp>().unwrap_err();
        assert_eq!(fault, "a time is `2026-11-21T02:10:46Z`, not `1795227046`");
    }

    #[test]
    fn reads_back_the_digest_it_writes() {
        let digest = Sha256::of(b"imgbuild");
        assert_eq!(digest.to_string().parse::<Sha256>(), Ok(digest));
        assert!("zz".repeat(32).parse::<Sha256>().unwrap_err().starts_with("a sha256 is 64"));
    }
}
