//! What is sent as commands: fixed text with numbers and paths that were checked, for `bash`.
//!
//! Programs are those that Hetzner's rescue system is known to have, with options that Debian 11 has already.

use std::fmt::Write as _;
use std::ops::Range;

use super::device::Device;
use super::plan::BLOCK;
use crate::units::Bytes;

/// What the scripts use beside `bash`.
pub(super) const PROGRAMS: [&str; 6] = ["blkdiscard", "blockdev", "dd", "sha256sum", "sync", "zstd"];

/// Where things are on the machine. Only tests know other places than the usual ones.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// The passwords.
    pub(super) shadow: String,
    /// The folder of devices.
    pub(super) devices: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self { shadow: "/etc/shadow".to_owned(), devices: "/dev".to_owned() }
    }
}

impl Paths {
    /// Prints root's line among the passwords.
    pub(super) fn root_entry(&self) -> String {
        let Self { shadow, .. } = self;
        format!("while IFS= read -r line; do [[ $line != root:* ]] || echo \"$line\"; done <{shadow}")
    }

    /// Prints `missing PROGRAM` and `disk PATH SIZE`, a line for each.
    pub(super) fn find(&self) -> String {
        let Self { devices, .. } = self;
        let programs = PROGRAMS.join(" ");
        format!(
            "for program in {programs}; do command -v \"$program\" >/dev/null || echo \"missing $program\"; done; \
             for disk in {devices}/sd[a-z] {devices}/vd[a-z] {devices}/nvme[0-9]n[0-9]; do \
             [ -e \"$disk\" ] || continue; size=$(blockdev --getsize64 \"$disk\") && echo \"disk $disk $size\"; \
             done; true"
        )
    }
}

/// Discards all of a disk, whatever it holds. Older programs know no `--force`, and need none.
pub(super) fn discard(disk: &Device) -> String {
    format!("blkdiscard --force {disk} 2>/dev/null || blkdiscard {disk}")
}

/// Writes to these blocks what comes as a zstd stream.
pub(super) fn write(disk: &Device, runs: &[Range<u64>]) -> String {
    let mut script = format!(
        "set -o pipefail; \
         w() {{ dd of={disk} bs={BLOCK} seek=$1 count=$2 iflag=fullblock conv=notrunc,nocreat status=none; }}; \
         zstd -dcq | {{ true"
    );
    for run in runs {
        let count = run.end.saturating_sub(run.start);
        // Writing to a String cannot go wrong.
        let _ = write!(script, " && w {} {count}", run.start);
    }
    script.push_str("; }");
    script
}

/// Prints the digest of the first bytes of a disk, read from the disk itself.
pub(super) fn digest(disk: &Device, size: Bytes) -> String {
    let Bytes(size) = size;
    format!(
        "set -o pipefail; sync && blockdev --flushbufs {disk} && \
         dd if={disk} bs=1048576 count={size} iflag=fullblock,count_bytes status=none | sha256sum"
    )
}

/// The same for each part of `range` bytes, a line for each.
pub(super) fn digests(disk: &Device, size: Bytes, range: Bytes) -> String {
    let (Bytes(size), Bytes(range)) = (size, range);
    format!(
        "set -o pipefail; for ((at = 0; at < {size}; at += {range})); do \
         ((count = {size} - at < {range} ? {size} - at : {range})); \
         dd if={disk} bs=1048576 skip=$at count=$count iflag=fullblock,skip_bytes,count_bytes status=none | \
         sha256sum || exit; done"
    )
}

/// Switches the machine off.
pub(super) const POWER_OFF: &str = "sync; poweroff";

#[cfg(test)]
mod tests {
    use super::*;

    /// All scripts.
    fn all(disk: &Device, number: u64) -> Vec<String> {
        vec![
            Paths::default().root_entry(),
            Paths::default().find(),
            discard(disk),
            write(disk, &[number..number, number..number]),
            digest(disk, Bytes(number)),
            digests(disk, Bytes(number), Bytes(number)),
            POWER_OFF.to_owned(),
        ]
    }

    #[test]
    fn nothing_from_outside_is_in_a_command_but_numbers_and_a_checked_path() {
        let one = all(&Device::parse("/dev/sda", "1", "/dev").unwrap(), 3);
        let other = all(&Device::parse("/dev/nvme0n1", "1", "/dev").unwrap(), u64::MAX);
        // Put in the place of others, they leave the same text.
        for (one, other) in one.iter().zip(&other) {
            let number = u64::MAX.to_string();
            let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
            for (one, other) in words(one).into_iter().zip(words(other)) {
                let replaced = other.replace("/dev/nvme0n1", "/dev/sda").replace(&number, "3");
                // A run of blocks has a start and a length.
                assert!(replaced == one, "{one} {other}");
            }
            assert!(one.is_ascii() && !one.contains(['\'', '\n', '`', '\\']), "{one}");
        }
    }

    #[test]
    fn runs_are_given_by_start_and_count() {
        let disk = Device::parse("/dev/sda", "1", "/dev").unwrap();
        assert_eq!(
            write(&disk, &[3..5, 9..10]),
            "set -o pipefail; w() { dd of=/dev/sda bs=65536 seek=$1 count=$2 iflag=fullblock conv=notrunc,nocreat \
             status=none; }; zstd -dcq | { true && w 3 2 && w 9 1; }"
        );
    }
}
