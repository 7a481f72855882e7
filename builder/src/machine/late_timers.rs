//! Lets the kernel of a BIOS start take timer interrupts that come late, as they do by emulation on a busy host.
//!
//! For UEFI the argument goes to systemd's stub by SMBIOS. GRUB has no such door, and none is wanted in images: the
//! argument is put into the slots' files on the machine's own copy of the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fatfs::{FileSystem, FsOptions};
use thiserror::Error;

use crate::units::Bytes;

/// Arguments of a slot end so.
const END: &str = " $mode\n";
/// Under KVM the kernel skips this check itself.
const ARGUMENT: &str = " no_timer_check";

/// A disk whose arguments could not be changed.
#[derive(Debug, Error)]
#[error("changing kernel arguments on `{}`", path.display())]
pub struct ArgumentsError {
    /// The machine's disk.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Adds the argument to the slots on the ESP, which begins at `start` of `disk` and has `size`.
pub fn allow(disk: &Path, start: Bytes, size: Bytes) -> Result<(), ArgumentsError> {
    change(disk, start, size).map_err(|source| ArgumentsError { path: disk.to_owned(), source })
}

fn change(disk: &Path, start: Bytes, size: Bytes) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(disk)?;
    let esp = Part { file, start: start.0, size: size.0, position: 0 };
    let volume = FileSystem::new(esp, FsOptions::new())?;
    for slot in ["a", "b"] {
        let mut config = match volume.root_dir().open_file(&format!("grub/{slot}/slot.cfg")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let mut text = String::new();
        config.read_to_string(&mut text)?;
        let changed = text.replace(END, &format!("{ARGUMENT}{END}"));
        config.seek(SeekFrom::Start(0))?;
        config.write_all(changed.as_bytes())?;
    }
    volume.unmount()
}

/// A part of a file.
struct Part {
    file: File,
    start: u64,
    size: u64,
    position: u64,
}

impl Part {
    /// Goes to the position, and cuts `length` to what is left behind it.
    fn enter(&mut self, length: usize) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        self.file.seek(SeekFrom::Start(self.start.saturating_add(self.position)))?;
        Ok(usize::try_from(left).unwrap_or(usize::MAX).min(length))
    }

    fn advance(&mut self, length: usize) -> usize {
        self.position = self.position.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        length
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.enter(buffer.len())?;
        let read = self.file.read(&mut buffer[..length])?;
        Ok(self.advance(read))
    }
}

impl Write for Part {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let length = self.enter(data.len())?;
        let written = self.file.write(&data[..length])?;
        Ok(self.advance(written))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes as Content;

    use super::*;
    use crate::format::fat::{self, Format};
    use crate::units::{SectorSize, Timestamp};

    #[test]
    fn both_slots_get_the_argument_and_nothing_else_changes() {
        let config = "function load {\n  linux $prefix/a/linux 'quiet' $mode\n  initrd $prefix/a/initrd\n}\n";
        let text = Content::from_static(config.as_bytes());
        let files = [("grub/a/slot.cfg".to_owned(), text.clone()), ("grub/grub.cfg".to_owned(), text)];
        let (start, size) = (Bytes::MIB, Bytes(40 << 20));
        let format = Format {
            size,
            sector_size: SectorSize::B512,
            label: "ESP",
            volume_id: 1,
            time: Timestamp(1_787_977_142),
        };
        let disk = tempfile::NamedTempFile::new().unwrap();
        disk.as_file().set_len(start.0 + size.0).unwrap();
        for (place, block) in fat::build(&format, &files).unwrap().blocks() {
            std::os::unix::fs::FileExt::write_all_at(disk.as_file(), block, start.0 + place).unwrap();
        }
        allow(disk.path(), start, size).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(disk.path()).unwrap();
        let esp = Part { file, start: start.0, size: size.0, position: 0 };
        let volume = FileSystem::new(esp, FsOptions::new()).unwrap();
        let read = |path| {
            let mut text = String::new();
            volume.root_dir().open_file(path).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(read("grub/a/slot.cfg"), config.replace(" $mode", " no_timer_check $mode"));
        assert_eq!(read("grub/grub.cfg"), config);
    }
}
