//! Processor microcode as the kernel loads it, before anything else: one file per vendor.
//!
//! ```text
//! Intel   updates one after the other, each
//!         0 version 1 | 4 revision | 8 date | 12 signature | 16 checksum | 20 loader 1 | 24 platforms
//!         28 size of data, 0 for 2000 | 32 size of all, 0 for 2048 | 36 … 48 reserved | data | further signatures
//! AMD     containers one after the other, each beginning with "DMA" NUL
//! ```
//!
//! Formats: Intel's Software Developer's Manual, volume 3, 11.11 (microcode update facilities), and
//! `arch/x86/kernel/cpu/microcode/amd.c`. The kernel wants the files at fixed paths in an uncompressed cpio archive
//! before the initrd (`Documentation/arch/x86/microcode.rst`).

use std::collections::HashSet;

use thiserror::Error;

/// Where the kernel looks for Intel's updates in the archive.
pub const INTEL_PATH: &str = "kernel/x86/microcode/GenuineIntel.bin";
/// Where the kernel looks for AMD's containers in the archive.
pub const AMD_PATH: &str = "kernel/x86/microcode/AuthenticAMD.bin";
/// The processor takes an update from a multiple of this only (Intel's manual, 11.11.6).
pub const ALIGNMENT: u64 = 16;

const AMD_MAGIC: &[u8; 4] = b"DMA\0";
const INTEL_HEADER: usize = 48;
/// Size of an update whose header says 0.
const INTEL_DEFAULT_SIZE: usize = 2048;
/// Updates are multiples of this.
const INTEL_UNIT: usize = 1024;

/// Why a file is no microcode.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum MicrocodeError {
    /// Other versions of header or loader have another layout.
    #[error(
        "`{name}` has an update at byte {offset} whose header has version {header} and loader {loader}, not 1 and 1"
    )]
    Version {
        /// File name.
        name: String,
        /// Where the update begins.
        offset: usize,
        /// Version of the header.
        header: u32,
        /// Version of the loader it is for.
        loader: u32,
    },
    /// The file ends before the update does.
    #[error("`{name}` has an update at byte {offset} of {size} bytes, and {left} are left")]
    Truncated {
        /// File name.
        name: String,
        /// Where the update begins.
        offset: usize,
        /// Bytes that it has.
        size: usize,
        /// Bytes from there to the end of the file.
        left: usize,
    },
    /// No processor would take the update.
    #[error("`{name}` has an update at byte {offset} of {size} bytes, which is no multiple of {INTEL_UNIT}")]
    Size {
        /// File name.
        name: String,
        /// Where the update begins.
        offset: usize,
        /// Bytes that it says to have.
        size: usize,
    },
    /// A bit has flipped.
    #[error("`{name}` has an update at byte {offset} whose sum is {sum:#010x}, not 0")]
    Checksum {
        /// File name.
        name: String,
        /// Where the update begins.
        offset: usize,
        /// Sum of its 32-bit words.
        sum: u32,
    },
    /// No container of AMD's.
    #[error("`{name}` does not begin as a microcode container of AMD's")]
    Container {
        /// File name.
        name: String,
    },
}

/// Intel's updates out of `files`, names and contents, in their order; each once, though packages ship one update in
/// a file for each processor that it is for.
pub fn join_intel<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<u8>, MicrocodeError> {
    let mut joined = Vec::new();
    let mut seen = HashSet::new();
    for (name, file) in files {
        let mut offset = 0_usize;
        while let Some(rest) = file.get(offset..).filter(|rest| !rest.is_empty()) {
            let update = first_update(name, offset, rest)?;
            if seen.insert(update) {
                joined.extend(update);
            }
            offset = offset.saturating_add(update.len());
        }
    }
    Ok(joined)
}

/// The update that `rest`, what `name` holds from `offset` on, begins with.
fn first_update<'a>(name: &str, offset: usize, rest: &'a [u8]) -> Result<&'a [u8], MicrocodeError> {
    let name = || name.to_owned();
    let truncated = |size| MicrocodeError::Truncated { name: name(), offset, size, left: rest.len() };
    let header = rest.get(..INTEL_HEADER).ok_or_else(|| truncated(INTEL_HEADER))?;
    let [version, _, _, _, _, loader, _, data_size, total_size] =
        std::array::from_fn(|index| words(header).nth(index).unwrap_or_default());
    if (version, loader) != (1, 1) {
        return Err(MicrocodeError::Version { name: name(), offset, header: version, loader });
    }
    // Early updates have neither size; their total then says nothing either.
    let size = match data_size {
        0 => INTEL_DEFAULT_SIZE,
        _ => usize::try_from(total_size).unwrap_or(usize::MAX),
    };
    if size < INTEL_HEADER || !size.is_multiple_of(INTEL_UNIT) {
        return Err(MicrocodeError::Size { name: name(), offset, size });
    }
    let update = rest.get(..size).ok_or_else(|| truncated(size))?;
    match words(update).fold(0, u32::wrapping_add) {
        0 => Ok(update),
        sum => Err(MicrocodeError::Checksum { name: name(), offset, sum }),
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word))
}

/// AMD's containers out of `files`, names and contents, in their order.
pub fn join_amd<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<u8>, MicrocodeError> {
    let mut joined = Vec::new();
    for (name, file) in files {
        if !file.starts_with(AMD_MAGIC) {
            return Err(MicrocodeError::Container { name: name.to_owned() });
        }
        joined.extend(file);
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A valid update of `size` bytes for the processor with `signature`.
    fn update(signature: u32, revision: u32, size: u32) -> Vec<u8> {
        let mut words = vec![0_u32; usize::try_from(size).unwrap() / 4];
        words[..9].copy_from_slice(&[1, revision, 0x0203_2026, signature, 0, 1, 1, size - 48, size]);
        words[4] = words.iter().fold(0, |sum: u32, word| sum.wrapping_add(*word)).wrapping_neg();
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn joins_updates_and_drops_repeated_ones() {
        let (one, two) = (update(0x806f4, 7, 2048), update(0x906ea, 1, 1024));
        let both = [one.clone(), two.clone()].concat();
        let files = [("06-8f-04", &both[..]), ("06-8f-05", &one[..])];
        assert_eq!(join_intel(files).unwrap(), both);
        assert_eq!(join_intel([]).unwrap(), b"");
    }

    // Debian has the tool for x86 only.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn iucode_tool_reads_the_same_updates_from_the_joined_file_as_from_the_parts() {
        use std::ffi::OsStr;

        use crate::format::oracle;

        let folder = tempfile::tempdir().unwrap();
        let parts = [update(0x806f4, 7, 2048), update(0x906ea, 1, 1024), update(0x806f4, 6, 4096)];
        let files: Vec<_> = parts.iter().map(|part| ("part", &part[..])).collect();
        let listed = |paths: &[std::path::PathBuf]| -> Vec<String> {
            let arguments = ["-L".as_ref(), "-tb".as_ref()].into_iter();
            let arguments: Vec<&OsStr> = arguments.chain(paths.iter().map(|path| path.as_os_str())).collect();
            let output = oracle::must_accept("iucode_tool", &arguments);
            output.lines().filter_map(|line| Some(line.split_once("sig ")?.1.to_owned())).collect()
        };
        let joined = folder.path().join("joined.bin");
        std::fs::write(&joined, join_intel(files).unwrap()).unwrap();
        let paths: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(index, part)| {
                let path = folder.path().join(format!("{index}.bin"));
                std::fs::write(&path, part).unwrap();
                path
            })
            .collect();
        let found = listed(&[joined]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found, listed(&paths));
    }

    #[test]
    fn an_update_without_sizes_has_2048_bytes() {
        let mut early = update(0x6b1, 1, 2048);
        for (at, value) in [(28, 0_u32), (32, 0), (16, 0)] {
            early[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let sum = words(&early).fold(0, u32::wrapping_add).wrapping_neg();
        early[16..20].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(join_intel([("06-0b-01", &early[..])]).unwrap(), early);
    }

    #[test]
    fn refuses_what_no_processor_would_take() {
        let good = update(0x806f4, 7, 2048);
        let changed = |at: usize, value: u32| {
            let mut file = good.clone();
            file.extend(&good);
            file[2048 + at..2048 + at + 4].copy_from_slice(&value.to_le_bytes());
            file
        };
        for (file, expected) in [
            (
                changed(0, 2),
                "has an update at byte 2048 whose header has version 2 and loader 1, not 1 and 1",
            ),
            (changed(32, 4096), "has an update at byte 2048 of 4096 bytes, and 2048 are left"),
            (changed(32, 2000), "has an update at byte 2048 of 2000 bytes, which is no multiple of 1024"),
            (changed(32, 0), "has an update at byte 2048 of 0 bytes, which is no multiple of 1024"),
            (changed(100, 5), "has an update at byte 2048 whose sum is 0x00000005, not 0"),
            (good[..40].to_vec(), "has an update at byte 0 of 48 bytes, and 40 are left"),
        ] {
            let fault = join_intel([("06-8f-04", &file[..])]).unwrap_err();
            assert_eq!(fault.to_string(), format!("`06-8f-04` {expected}"));
        }
    }

    #[test]
    fn joins_containers_of_amd_and_refuses_others() {
        let files = [("a.bin", &b"DMA\0one"[..]), ("b.bin", b"DMA\0two")];
        assert_eq!(join_amd(files).unwrap(), b"DMA\0oneDMA\0two");
        let fault = join_amd([("README", &b"text"[..])]).unwrap_err();
        assert_eq!(fault.to_string(), "`README` does not begin as a microcode container of AMD's");
    }
}
