//! The machine id: made once, kept on state, and put into `/etc` before systemd starts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::durable;

/// Where it is kept, below the state partition.
const KEPT: &str = "lib/imgbuild/machine-id";

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{doing} `{path}`")]
pub struct Error {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The id, and whether this boot made it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MachineId {
    /// 32 lower-case hexadecimal digits.
    pub text: String,
    /// It was not there, or not an id.
    pub is_new: bool,
}

/// Reads the id below `state`, or makes one from `random` and keeps it.
pub fn load_or_make(state: &Path, random: [u8; 16]) -> Result<MachineId, Error> {
    let path = state.join(KEPT);
    match fs::read_to_string(&path) {
        Ok(text) if is_machine_id(text.trim_end_matches('\n')) => {
            return Ok(MachineId { text: text.trim_end().to_owned(), is_new: false });
        }
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {}
        Err(source) => return Err(Error { doing: "reading", path, source }),
    }
    // `machine-id(5)` asks for a version 4 UUID without its dashes.
    let text = crate::gpt::Guid::from_random(random).to_string().replace('-', "");
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| durable::replace(&path, format!("{text}\n").as_bytes(), 0o444))
        .map_err(|source| Error { doing: "writing", path, source })?;
    Ok(MachineId { text, is_new: true })
}

/// Puts the id where systemd looks for it.
pub fn install(etc: &Path, id: &MachineId) -> Result<(), Error> {
    let path = etc.join("machine-id");
    fs::write(&path, format!("{}\n", id.text)).map_err(|source| Error { doing: "writing", path, source })
}

fn is_machine_id(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 32 && text.bytes().all(is_digit) && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_once_and_kept() {
        let state = tempfile::tempdir().unwrap();
        let first = load_or_make(state.path(), [0xab; 16]).unwrap();
        assert_eq!((first.text.as_str(), first.is_new), ("abababababab4bababababababababab", true));
        let second = load_or_make(state.path(), [0x11; 16]).unwrap();
        assert_eq!(second, MachineId { is_new: false, ..first });
    }

    #[test]
    fn what_is_no_id_is_replaced() {
        for wrong in ["", "uninitialized\n", &"0".repeat(32), &"A".repeat(32), "\u{ff}"] {
            let state = tempfile::tempdir().unwrap();
            fs::create_dir_all(state.path().join("lib/imgbuild")).unwrap();
            fs::write(state.path().join(KEPT), wrong).unwrap();
            fs::write(state.path().join("lib/imgbuild/.machine-id.new"), "left over").unwrap();
            assert!(load_or_make(state.path(), [7; 16]).unwrap().is_new, "{wrong:?}");
        }
    }

    #[test]
    fn the_id_ends_in_a_newline_in_etc() {
        let etc = tempfile::tempdir().unwrap();
        let id = MachineId { text: "0123456789abcdef0123456789abcdef".to_owned(), is_new: true };
        install(etc.path(), &id).unwrap();
        assert_eq!(fs::read_to_string(etc.path().join("machine-id")).unwrap(), format!("{}\n", id.text));
    }

    #[test]
    fn a_folder_in_its_place_is_named() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir_all(state.path().join(KEPT)).unwrap();
        let error = load_or_make(state.path(), [7; 16]).unwrap_err();
        assert_eq!(error.to_string(), format!("reading `{}`", state.path().join(KEPT).display()));
    }
}
