//! GUIDs: text as people write it, bytes as GPT stores them.

use std::fmt;
use std::str::FromStr;

/// A GUID; the number is its 32 hexadecimal digits read from left to right.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Guid(u128);

/// What is wrong with a GUID's text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no GUID of the form 01234567-89ab-cdef-0123-456789abcdef")]
pub struct ParseGuidError {
    /// The text.
    pub text: String,
}

impl Guid {
    /// Marks an unused partition entry.
    pub const UNUSED: Self = Self(0);
    /// Type of an EFI system partition.
    pub const ESP: Self = Self(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
    /// Type of a partition with Linux data.
    pub const LINUX_DATA: Self = Self(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);

    /// The GUID whose digits are those of `number`.
    pub const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// A version 4 GUID from random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        let version = (number & !(0xf << 76)) | (0x4 << 76);
        Self((version & !(0b11 << 62)) | (0b10 << 62))
    }

    /// Reads GPT's mixed-endian form: the first three fields are little-endian.
    pub fn from_disk(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(swap_fields(bytes)))
    }

    /// GPT's mixed-endian form.
    pub fn to_disk(self) -> [u8; 16] {
        swap_fields(self.0.to_be_bytes())
    }
}

fn swap_fields(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        write!(
            f,
            "{}-{}-{}-{}-{}",
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..]
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Guid {
    type Err = ParseGuidError;

    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        let wrong = || ParseGuidError { text: text.to_owned() };
        let has_form = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        if !has_form {
            return Err(wrong());
        }
        u128::from_str_radix(&text.replace('-', ""), 16).map(Self).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_disk_form_are_those_of_the_specification() {
        let esp: Guid = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B".parse().unwrap();
        assert_eq!(esp, Guid::ESP);
        assert_eq!(esp.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(esp.to_disk()[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        assert_eq!(Guid::from_disk(esp.to_disk()), esp);
    }

    #[test]
    fn refuses_text_that_is_no_guid() {
        for text in [
            "",
            "c12a7328f81f11d2ba4b00a0c93ec93b",
            "c12a7328-f81f-11d2-ba4b-00a0c93ec93",
            "c12a7328-f81f-11d2-ba4b-00a0c93ec93g",
            "+12a7328-f81f-11d2-ba4b-00a0c93ec93b",
            "c12a7328-f81f-11d2-ba4b-00a0c93ec93ü",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(ParseGuidError { text: text.to_owned() }));
        }
    }

    #[test]
    fn random_guids_say_that_they_are_random() {
        assert_eq!(Guid::from_random([0xff; 16]).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(Guid::from_random([0; 16]).to_string(), "00000000-0000-4000-8000-000000000000");
    }
}
