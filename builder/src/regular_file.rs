//! Files that come from outside, opened and read so that nothing waits and nothing grows without end.
//!
//! A pipe would be waited for, `/dev/zero` read for ever, and a sparse file may be longer than memory.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use crate::units::Bytes;

/// Opens a regular file; a pipe or a device is refused before anybody waits for it.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    // What a folder is, the system says in its own words.
    if kind.is_file() || kind.is_dir() {
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
}

/// Reads a regular file that has `longest` bytes at most.
pub fn read(path: &Path, longest: Bytes) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.take(longest.0.saturating_add(1)).read_to_end(&mut content)?;
    if Bytes::of(&content) > longest {
        let fault = format!("it is longer than {longest}, the most that is read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, fault));
    }
    Ok(content)
}

/// Reads a regular file of text, as [`read`].
pub fn read_to_string(path: &Path, longest: Bytes) -> io::Result<String> {
    String::from_utf8(read(path, longest)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_up_to_the_limit_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"1234").unwrap();
        assert_eq!(read(&path, Bytes(4)).unwrap(), b"1234");
        let fault = read(&path, Bytes(3)).unwrap_err();
        assert_eq!(fault.to_string(), "it is longer than 3 B, the most that is read");
    }

    #[test]
    fn refuses_what_would_be_waited_for_or_never_ends() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [Path::new("/dev/zero"), &socket] {
            let fault = read(path, Bytes(4)).unwrap_err();
            assert_eq!(fault.to_string(), "it is no regular file", "{}", path.display());
        }
        let fault = read(folder.path(), Bytes(4)).unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::IsADirectory);
    }
}
