//! Tells GRUB, on BIOS machines, that its start has reached a running system.
//!
//! GRUB counts each start as a failure before it makes it, for nobody else would if it fails. The count goes back to 0
//! here. A block that GRUB could not use is made anew for the slot that runs, which GRUB chose by the UKIs' names.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::slot::environment::{self, Environment, LENGTH};
use crate::slot::{Generation, NoSlot, Slot};

/// Why GRUB does not know.
#[derive(Debug, Error)]
pub enum GrubError {
    /// The boot report names another slot than there are.
    #[error(transparent)]
    Slot(#[from] NoSlot),
    /// A file of GRUB's cannot be read or written.
    #[error("{action} `{}`", path.display())]
    File {
        /// Gerund.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The slot's file does not say what lies in it.
    #[error("`{}` names no generation", path.display())]
    Generation {
        /// The file.
        path: PathBuf,
    },
}

/// Sets the count of failed starts to 0, and mends a block that cannot be read. `esp` is the mounted ESP, `slot` what
/// runs. Returns a note for people where something was mended.
pub fn report_start(esp: &Path, slot: &str) -> Result<Option<String>, GrubError> {
    let path = esp.join(environment::PATH);
    let block = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|source| GrubError::File { action: "reading", path: path.clone(), source })?,
    };
    let (environment, note) = match Environment::parse(&block) {
        Ok(Environment { failures: 0, .. }) => return Ok(None),
        Ok(environment) => (Environment { failures: 0, ..environment }, None),
        Err(fault) => {
            let slot: Slot = slot.parse()?;
            let mut environment = Environment::NEW;
            environment.commit(slot, generation(esp, slot)?);
            (environment, Some(format!("{fault}: made anew, slot {slot} is committed")))
        }
    };
    let writing = |source| GrubError::File { action: "writing", path: path.clone(), source };
    write(&path, block.len() == LENGTH, &environment.to_block()).map_err(writing)?;
    Ok(note)
}

/// What lies in a slot, as GRUB reads it.
fn generation(esp: &Path, slot: Slot) -> Result<Generation, GrubError> {
    let path = esp.join(format!("grub/{slot}/slot.cfg"));
    let text = fs::read_to_string(&path);
    let text = text.map_err(|source| GrubError::File { action: "reading", path: path.clone(), source })?;
    let number = text.lines().find_map(|line| line.strip_prefix("set generation=")?.parse().ok());
    number.map(Generation).ok_or(GrubError::Generation { path })
}

/// In place where that can be: all that differs lies in one sector, and GRUB itself writes it so.
fn write(path: &Path, is_in_place: bool, block: &[u8; LENGTH]) -> io::Result<()> {
    let file = if is_in_place {
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(block, 0)?;
        file
    } else {
        let mut file = File::create(path)?;
        file.write_all(block)?;
        file
    };
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn esp(block: &[u8], config: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("grub/b")).unwrap();
        fs::write(folder.path().join(environment::PATH), block).unwrap();
        fs::write(folder.path().join("grub/b/slot.cfg"), config).unwrap();
        folder
    }

    fn block(esp: &tempfile::TempDir) -> Environment {
        Environment::parse(&fs::read(esp.path().join(environment::PATH)).unwrap()).unwrap()
    }

    #[test]
    fn a_start_that_came_up_is_no_failure() {
        let mut before = Environment { failures: 3, ..Environment::NEW };
        before.stage(Generation(2));
        let esp = esp(&before.to_block(), "");
        assert_eq!(report_start(esp.path(), "b").unwrap(), None);
        assert_eq!(block(&esp), Environment { failures: 0, ..before });
    }

    #[test]
    fn a_block_that_grub_cannot_use_is_made_anew() {
        for damaged in [vec![0; LENGTH], Vec::new(), vec![b'#'; 4096]] {
            let esp = esp(&damaged, "# Slot b\nset generation=7\nfunction load {\n");
            let note = report_start(esp.path(), "b").unwrap();
            assert_eq!(
                note.as_deref(),
                Some(
                    "the environment block has no signature, or is not 1024 bytes of text: made anew, slot b is \
                     committed"
                )
            );
            let expected =
                Environment { committed: Slot::B, generation: Generation(7), trial: None, failures: 0 };
            assert_eq!(block(&esp), expected);
        }
    }

    #[test]
    fn what_cannot_be_mended_is_named() {
        let fault = |config: &str, slot: &str| {
            let esp = esp(&[], config);
            let fault = report_start(esp.path(), slot).unwrap_err().to_string();
            fault.replace(esp.path().to_str().unwrap(), "ESP")
        };
        assert_eq!(fault("generation=1\n", "b"), "`ESP/grub/b/slot.cfg` names no generation");
        assert_eq!(fault("", "a"), "reading `ESP/grub/a/slot.cfg`");
        assert_eq!(fault("", "_empty"), "`_empty` is no slot, expected `a` or `b`");
    }
}
