//! Files that a power cut leaves as they were or as they shall be, and never in between.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Makes the regular file at `path`, whose directory exists, hold `content` with permission bits `mode`.
///
/// A link at `path` is replaced, not followed.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    install(path, |temporary| {
        // The mode is set again explicitly, for the umask, and both times before any content is in the file.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()
    })
}

/// Makes `path` a symbolic link to `target`.
pub fn replace_link(path: &Path, target: &str) -> io::Result<()> {
    install(path, |temporary| symlink(target, temporary))
}

/// Removes the file at `path`.
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_parent(path)
}

/// `make` makes a file beside `path`, which then takes its place.
fn install(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = beside(path);
    // Left by a power cut.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let installed = make(&temporary).and_then(|()| fs::rename(&temporary, path));
    if installed.is_err() {
        // The first error says more than a second one would.
        let _ = fs::remove_file(&temporary);
    }
    installed.and_then(|()| sync_parent(path))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_power_cut_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(beside(&path), "half").unwrap();
        replace(&path, b"whole", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        fs::write(beside(&path), "half").unwrap();
        replace_link(&path, "elsewhere").unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("elsewhere"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_replaced_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder");
        fs::create_dir(&path).unwrap();
        assert_eq!(replace(&path, b"x", 0o644).unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
