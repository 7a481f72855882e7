//! Files that commands leave behind: whole or not at all.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

/// Readable by all, as far as the umask lets.
const MODE: u32 = 0o666;
/// For the owner alone.
const SECRET_MODE: u32 = 0o600;

/// Puts a file in its place, over one that is there.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    temporary(path, content, MODE)?.persist(path).map(drop).map_err(|error| error.error)
}

/// The same with a file that the user has written: it keeps its permissions, and stays where a link leads to.
pub(super) fn rewrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let file = temporary(&path, content, SECRET_MODE)?;
    file.as_file().set_permissions(path.metadata()?.permissions())?;
    file.persist(&path).map(drop).map_err(|error| error.error)
}

/// The same with a secret: nobody else can read it, at no time.
pub(super) fn replace_secret(path: &Path, content: &[u8]) -> io::Result<()> {
    temporary(path, content, SECRET_MODE)?.persist(path).map(drop).map_err(|error| error.error)
}

/// Creates a file; `false` if there is one, which stays as it is.
pub(super) fn create(path: &Path, content: &[u8]) -> io::Result<bool> {
    match temporary(path, content, MODE)?.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// The content on disk, beside the place it is for, under a name that vanishes with the value.
fn temporary(path: &Path, content: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    // Asked first for a plain answer: the temporary name means nothing to people.
    folder.metadata()?;
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(|error| io::Error::from(error.kind()))?;
    // By the file itself, since the handle would add the temporary name to what went wrong.
    file.as_file_mut().write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}
