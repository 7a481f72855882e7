//! The kernel arguments in a UKI, read without the rest of it: which root does it start?
//!
//! Spec: PE format (section table), UAPI.5 (section `.cmdline`).

/// Headers lie within it, with systemd's stub.
const HEADERS: usize = 4096;
/// More than any kernel takes.
const LONGEST: usize = 64 << 10;
/// Bytes of a section's header.
const SECTION: usize = 40;
const NAME: &[u8; 8] = b".cmdline";
/// Fields, from the PE signature on.
const NUMBER_OF_SECTIONS: usize = 6;
const SIZE_OF_OPTIONAL_HEADER: usize = 20;
const OPTIONAL_HEADER: usize = 24;

/// The text of section `.cmdline`; `read` gives bytes of the file by offset and length, fewer at its end.
pub(super) fn command_line<E>(
    read: impl Fn(usize, usize) -> Result<Vec<u8>, E>,
) -> Result<Option<String>, E> {
    let headers = read(0, HEADERS)?;
    let Some((offset, length)) = section(&headers) else { return Ok(None) };
    let text = read(offset, length)?;
    Ok(String::from_utf8(text).ok().map(|text| text.trim_end_matches('\0').trim_end().to_owned()))
}

/// Where the section lies in the file, and its length.
fn section(headers: &[u8]) -> Option<(usize, usize)> {
    let long = |at: usize| {
        let bytes = headers.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let short = |at: usize| {
        let bytes = headers.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(usize::from(u16::from_le_bytes(bytes)))
    };
    let signature = long(0x3c)?;
    if headers.get(..2)? != b"MZ" || headers.get(signature..signature.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let count = short(signature + NUMBER_OF_SECTIONS)?;
    let table = signature + OPTIONAL_HEADER + short(signature + SIZE_OF_OPTIONAL_HEADER)?;
    let is_ours = |at: &usize| headers.get(*at..*at + NAME.len()).is_some_and(|name| name == NAME);
    let header = (0..count).map(|index| table + index * SECTION).find(is_ours)?;
    let (used, room, offset) = (long(header + 8)?, long(header + 16)?, long(header + 20)?);
    Some((offset, used.min(room))).filter(|(_, length)| *length <= LONGEST)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A PE file with two sections and nothing else of a UKI.
    pub(in crate::slot) fn uki(text: &str) -> Vec<u8> {
        let mut file = vec![0; 1024];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"MZ");
        put(0x3c, &64_u32.to_le_bytes());
        put(64, b"PE\0\0");
        put(64 + NUMBER_OF_SECTIONS, &2_u16.to_le_bytes());
        put(64 + SIZE_OF_OPTIONAL_HEADER, &112_u16.to_le_bytes());
        let table = 64 + OPTIONAL_HEADER + 112;
        put(table, b".osrel\0\0");
        put(table + SECTION, NAME);
        let length = u32::try_from(text.len()).unwrap();
        for (at, value) in [(8, length), (16, 512), (20, 512)] {
            put(table + SECTION + at, &value.to_le_bytes());
        }
        put(512, text.as_bytes());
        file
    }

    fn read(file: &[u8]) -> Option<String> {
        let part = |offset: usize, length: usize| {
            let part = file.iter().skip(offset).take(length);
            Ok::<_, std::convert::Infallible>(part.copied().collect())
        };
        let Ok(text) = command_line(part);
        text
    }

    #[test]
    fn the_arguments_are_found_and_damage_is_survived() {
        let file = uki("roothash=12 quiet\n\0");
        assert_eq!(read(&file).as_deref(), Some("roothash=12 quiet"));
        assert_eq!(read(b"MZ"), None);
        for at in 0..400 {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = file.clone();
                damaged[at] = value;
                let _ = read(&damaged);
            }
        }
    }
}
