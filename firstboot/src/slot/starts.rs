//! How many starts in a row of the committed slot did not come to firstboot, on UEFI machines: systemd-boot counts only
//! what is on trial. GRUB counts for itself, in its environment block.
//!
//! One digit in a file on the ESP, not a UEFI variable: each start writes it twice, and firmware's flash wears out.

use crate::fat::{Fat, FatError};
use crate::gpt::Disk;

/// The file on the ESP.
const PATH: &str = "firstboot/starts";
const FOLDER: &str = "firstboot";
/// From so many on, another slot is tried.
pub const TOO_MANY: u8 = 3;
/// The count stops here: the longest wait is reached.
const MOST: u8 = 6;

/// The count; a file that is missing or damaged counts nothing.
pub fn read<D: Disk>(fat: &Fat<D>) -> Result<u8, FatError> {
    let text = fat.read_range(PATH, 0, 1)?.unwrap_or_default();
    let count = text.first().filter(|digit| digit.is_ascii_digit()).map(|digit| digit - b'0');
    Ok(count.unwrap_or(0).min(MOST))
}

/// Keeps the count, at most 6; what is unchanged is not written.
pub fn write<D: Disk>(fat: &mut Fat<D>, count: u8) -> Result<(), FatError> {
    let count = count.min(MOST);
    // One byte more shows that it is longer.
    let found = fat.read_range(PATH, 0, 3)?;
    let text = format!("{count}\n");
    match found {
        Some(found) if found == text.as_bytes() => Ok(()),
        Some(found) if found.len() == text.len() => fat.overwrite(PATH, text.as_bytes()),
        None if count == 0 => Ok(()),
        _ => {
            if fat.list(FOLDER)?.is_none() {
                fat.make_folder(FOLDER)?;
            }
            fat.replace(PATH, text.as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fat::Stamp;
    use crate::fat::tests::{files, volume};

    #[test]
    fn the_count_is_kept_in_place() {
        let mut disk = volume(&[]);
        let mut fat = Fat::open(&mut disk, Stamp::from_unix(0)).unwrap();
        write(&mut fat, 0).unwrap();
        assert_eq!(fat.list(FOLDER).unwrap(), None, "nothing is made to say nothing");
        for count in [1, 2, 6, 9, 0] {
            write(&mut fat, count).unwrap();
            assert_eq!(read(&fat).unwrap(), count.min(6));
        }
        assert_eq!(files(&disk)[PATH], b"0\n");
        for (damaged, expected) in [(&b""[..], 0), (b"x\n", 0), (b"9\n", 6)] {
            let disk = volume(&[(PATH, damaged)]);
            assert_eq!(read(&Fat::open(disk, Stamp::from_unix(0)).unwrap()).unwrap(), expected);
        }
    }
}
