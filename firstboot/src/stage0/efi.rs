//! UEFI variables: where the machine was booted from, whether on trial, and how often it failed in a row.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::gpt::Guid;
use crate::slot::names::UkiName;

/// Where the kernel shows variables.
pub const EFIVARS: &str = "/sys/firmware/efi/efivars";
/// Vendor GUID of the Boot Loader Interface.
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Vendor GUID of this project's variables.
const IMGBUILD: &str = "9a1f5c0e-6f0c-4b1e-9d57-3c8f8f0f2b61";
/// Non-volatile, and visible to boot services and to the running system.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];

/// What is wrong with a variable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The variable is not the text it should be.
    #[error("UEFI variable `{name}` is {bytes} bytes that are no UTF-16 text")]
    Text {
        /// Name.
        name: &'static str,
        /// Length without the attributes.
        bytes: usize,
    },
    /// The text is no PARTUUID.
    #[error("UEFI variable `{name}` is `{value}`, expected a PARTUUID")]
    Value {
        /// Name.
        name: &'static str,
        /// Text.
        value: String,
    },
}

/// The variables of the running machine.
#[derive(Clone, Debug)]
pub struct Variables {
    folder: PathBuf,
}

impl Variables {
    /// Reads and writes below `folder`, usually [`EFIVARS`]; without UEFI it is empty.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Whether the machine has any, which one that was started by a BIOS has not.
    pub fn is_there(&self) -> bool {
        self.read("LoaderDevicePartUUID", LOADER).is_some()
    }

    /// PARTUUID of the ESP that the boot loader came from; `None` where no loader says.
    pub fn loader_partition(&self) -> Result<Option<Guid>, Error> {
        let name = "LoaderDevicePartUUID";
        let Some(bytes) = self.read(name, LOADER) else { return Ok(None) };
        let text = utf16(&bytes).ok_or(Error::Text { name, bytes: bytes.len() })?;
        text.parse().map(Some).map_err(|_| Error::Value { name, value: text })
    }

    /// Whether the boot loader counts this boot's tries as those of a slot on trial; a committed slot that another can
    /// stand in for is counted too. A path that is not understood is taken for a trial, whose faults end in a restart.
    pub fn is_on_trial(&self) -> bool {
        let Some(bytes) = self.read("LoaderBootCountPath", LOADER) else { return false };
        let path = utf16(&bytes).unwrap_or_default();
        let name = path.rsplit('\\').next().unwrap_or_default();
        name.parse::<UkiName>().map_or(true, UkiName::is_trial)
    }

    /// How often stage0 failed in a row, as far as known.
    pub fn failures(&self) -> u8 {
        self.read("ImgbuildStage0Failures", IMGBUILD).and_then(|bytes| bytes.first().copied()).unwrap_or(0)
    }

    /// Keeps how often stage0 failed; 0 removes the variable. What is unchanged is not written: flash wears out.
    pub fn set_failures(&self, count: u8) -> io::Result<()> {
        if !self.folder.is_dir() || self.failures() == count {
            return Ok(());
        }
        let path = self.path("ImgbuildStage0Failures", IMGBUILD);
        if let Ok(file) = fs::File::open(&path) {
            // The kernel protects variables that it does not know from `rm`.
            let flags = ioctl_getflags(&file)?;
            ioctl_setflags(&file, flags - IFlags::IMMUTABLE)?;
        }
        if count == 0 {
            return fs::remove_file(&path);
        }
        let [a, b, c, d] = ATTRIBUTES;
        // One write: the kernel makes one call to the firmware of it.
        fs::write(&path, [a, b, c, d, count])
    }

    fn read(&self, name: &str, vendor: &str) -> Option<Vec<u8>> {
        let bytes = fs::read(self.path(name, vendor)).ok()?;
        // The kernel puts the attributes before the value.
        Some(bytes.get(4..)?.to_vec())
    }

    fn path(&self, name: &str, vendor: &str) -> PathBuf {
        self.folder.join(format!("{name}-{vendor}"))
    }
}

/// Little-endian UTF-16, with or without a final NUL.
fn utf16(bytes: &[u8]) -> Option<String> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let units: Vec<_> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let text = String::from_utf16(&units).ok()?;
    Some(text.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str, value: &[u8]) -> (tempfile::TempDir, Variables) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = vec![6, 0, 0, 0];
        bytes.extend(value);
        fs::write(folder.path().join(format!("{name}-{LOADER}")), bytes).unwrap();
        let variables = Variables::at(folder.path());
        (folder, variables)
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn the_loader_tells_its_partition_in_upper_case_utf16() {
        let (_folder, variables) =
            variables("LoaderDevicePartUUID", &wide("C12A7328-F81F-11D2-BA4B-00A0C93EC93B\0"));
        assert_eq!(variables.loader_partition(), Ok(Some(Guid::ESP)));
    }

    #[test]
    fn without_the_variable_nothing_is_known() {
        let variables = Variables::at(Path::new("/nonexistent"));
        assert_eq!(variables.loader_partition(), Ok(None));
        assert!(!variables.is_on_trial());
        assert_eq!(variables.failures(), 0);
        variables.set_failures(3).unwrap();
    }

    #[test]
    fn values_that_are_no_partition_are_named() {
        let name = "LoaderDevicePartUUID";
        for (value, expected) in [
            (vec![1, 2, 3], Error::Text { name, bytes: 3 }),
            (vec![0, 0xd8], Error::Text { name, bytes: 2 }),
            (wide("sda1"), Error::Value { name, value: "sda1".to_owned() }),
        ] {
            let (_folder, variables) = variables(name, &value);
            assert_eq!(variables.loader_partition(), Err(expected));
        }
    }

    #[test]
    fn a_counted_boot_is_on_trial_unless_the_count_is_that_of_a_committed_slot() {
        for (name, expected) in [
            ("imgbuild_2+2-1.efi", true),
            ("imgbuild_2+0-3.efi", true),
            ("imgbuild_2+4-1.efi", false),
            ("imgbuild_2+0-5.efi", false),
            ("os.efi", true),
        ] {
            let (_folder, variables) =
                variables("LoaderBootCountPath", &wide(&format!("\\EFI\\Linux\\{name}\0")));
            assert_eq!(variables.is_on_trial(), expected, "{name}");
        }
    }
}
