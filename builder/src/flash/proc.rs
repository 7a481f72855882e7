//! What the kernel says of mounts and swap space (proc(5)).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A mounted file system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mount {
    /// Number of its device; of some file systems it is no device's.
    pub(super) number: (u32, u32),
    /// Where.
    pub(super) at: PathBuf,
    /// What, as whoever mounted it has said: `/dev/sda1`.
    pub(super) source: String,
}

/// All mounts that this process sees.
pub(super) fn mounts(system: &Path) -> io::Result<Vec<Mount>> {
    Ok(parse_mounts(&fs::read_to_string(system.join("proc/self/mountinfo"))?))
}

/// Files of all swap spaces.
pub(super) fn swaps(system: &Path) -> io::Result<Vec<PathBuf>> {
    let text = match fs::read_to_string(system.join("proc/swaps")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let files = text.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    Ok(files.map(|file| PathBuf::from(unescape(file))).collect())
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
fn parse_mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (place, device) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(2);
        let number = number(place.next()?)?;
        let at = PathBuf::from(unescape(place.nth(1)?));
        let source = unescape(device.split(' ').nth(1)?);
        Some(Mount { number, at, source })
    };
    text.lines().filter_map(mount).collect()
}

/// `8:1`.
pub(super) fn number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Spaces and their like are octal there, `\040`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| behind.get(..3)).flatten();
        let byte = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_have_a_number_a_place_and_a_source() {
        let text = "36 35 98:0 /a /mnt/my\\040stick rw,noatime master:1 shared:2 - vfat /dev/sd\\134b1 rw\n\
                    22 27 0:21 / / rw - btrfs /dev/sda2 rw\nbroken\n1 2 x:y / / - a b\n";
        let mount = |number, at: &str, source: &str| Mount {
            number,
            at: PathBuf::from(at),
            source: source.to_owned(),
        };
        assert_eq!(
            parse_mounts(text),
            [mount((98, 0), "/mnt/my stick", "/dev/sd\\b1"), mount((0, 21), "/", "/dev/sda2")]
        );
    }
}
