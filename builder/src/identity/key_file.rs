//! Files with private keys that open an identity: age's own, and OpenSSH's.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{IdentityError, Recipient};
use crate::units::Bytes;

/// The longest identity or key file that is read; a real one has some 10 KiB.
pub(super) const LONGEST: Bytes = Bytes(1 << 20);

/// The public halves of an age key file, or of an SSH private key by its `.pub` file.
pub fn recipients(path: &Path) -> Result<Vec<Recipient>, IdentityError> {
    let failed = |path: &Path, source| IdentityError::Read { path: path.to_owned(), source };
    let text = read(path).map_err(|source| failed(path, source))?;
    if text.starts_with(b"-----BEGIN") {
        let mut public = path.as_os_str().to_owned();
        public.push(".pub");
        let public = PathBuf::from(public);
        let line = fs::read_to_string(&public).map_err(|source| failed(&public, source))?;
        return Ok(vec![line.trim().parse()?]);
    }
    let text = std::str::from_utf8(&text).unwrap_or_default();
    let keys = text.lines().filter_map(|line| line.trim().parse::<age::x25519::Identity>().ok());
    let recipients: Vec<_> = keys.map(|key| Recipient::Age(key.to_public())).collect();
    if recipients.is_empty() {
        let fault = io::Error::new(io::ErrorKind::InvalidData, "it has neither an age key nor an SSH one");
        return Err(failed(path, fault));
    }
    Ok(recipients)
}

/// Makes an age key file for its owner alone and returns its public half. A file that is there stays.
pub fn create(path: &Path) -> Result<Recipient, IdentityError> {
    let failed = |source| IdentityError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let key = age::x25519::Identity::generate();
    let text = Zeroizing::new(format!(
        "# Opens an identity of imgbuild. public key: {}\n{}\n",
        key.to_public(),
        key.to_string().expose_secret()
    ));
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Recipient::Age(key.to_public()))
}

/// Reads a key file, which may be a pipe (`<(…)`).
pub(super) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    fs::File::open(path)?.take(LONGEST.0).read_to_end(&mut text)?;
    if Bytes::of(&text) == LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than any key"));
    }
    Ok(text)
}
