//! A machine's own disk: a copy of a built image, with room for state.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::bundle::sparse;
use crate::units::Bytes;

/// A disk that could not be copied.
#[derive(Debug, Error)]
#[error("copying `{}` to `{}`", from.display(), to.display())]
pub struct CopyError {
    /// The image.
    pub from: PathBuf,
    /// The machine's disk.
    pub to: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// Copies what is not a hole of `from` to the new file `to`, which is longer by `room`.
pub fn copy(from: &Path, to: &Path, room: Bytes) -> Result<(), CopyError> {
    copy_sections(from, to, room).map_err(|source| CopyError { from: from.into(), to: to.into(), source })
}

/// The copy has its name only when it is whole: the next boot takes any file of that name for a disk.
fn copy_sections(from: &Path, to: &Path, room: Bytes) -> std::io::Result<()> {
    let mut source = File::open(from)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut target = tempfile::NamedTempFile::new_in(folder)?;
    let length = source.metadata()?.len();
    target.as_file().set_len(length.saturating_add(room.0))?;
    // Holes are not even read.
    for section in sparse::sections(&source, Bytes(length))? {
        source.seek(SeekFrom::Start(section.start))?;
        target.seek(SeekFrom::Start(section.start))?;
        let mut section = (&mut source).take(section.end.saturating_sub(section.start));
        std::io::copy(&mut section, &mut target)?;
    }
    target.persist_noclobber(to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_copy_is_the_image_and_room() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("image"), folder.path().join("disk"));
        let mut image = File::create(&from).unwrap();
        image.set_len(3 << 20).unwrap();
        image.seek(SeekFrom::Start(1 << 20)).unwrap();
        image.write_all(b"data").unwrap();
        copy(&from, &to, Bytes(1 << 20)).unwrap();
        let (mut image, copied) = (std::fs::read(&from).unwrap(), std::fs::read(&to).unwrap());
        image.resize(4 << 20, 0);
        assert!(image == copied);
        let fault = copy(&from, &to, Bytes(0)).unwrap_err();
        assert_eq!(fault.source.kind(), std::io::ErrorKind::AlreadyExists);
    }
}
