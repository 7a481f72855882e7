//! Loads modules into the kernel, and walks the devices for what they ask for.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::Index;
use crate::stage0::journal::Journal;

/// `MODULE_INIT_COMPRESSED_FILE`
const COMPRESSED: i32 = 4;

/// The modules of one kernel release, and which of them were tried.
#[derive(Debug)]
pub struct Loader {
    folder: PathBuf,
    index: Index,
    /// Modules that were loaded, or that the kernel refused: neither is tried again.
    tried: BTreeSet<String>,
    /// Modaliases that were looked up.
    seen: BTreeSet<String>,
}

impl Loader {
    /// Reads the indexes in `folder`, `/lib/modules/<release>`; one that is missing counts as empty.
    pub fn open(folder: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let index = Index::parse(
            &text("modules.dep"),
            &text("modules.alias"),
            &text("modules.softdep"),
            &text("modules.builtin"),
        );
        Self { folder: folder.to_owned(), index, tried: BTreeSet::new(), seen: BTreeSet::new() }
    }

    /// Number of modules in the initrd.
    pub fn available(&self) -> usize {
        self.index.len()
    }

    /// Loads what `wish` asks for, a modalias or a name, and returns how many modules were added to the kernel.
    ///
    /// What the kernel refuses is reported and left: a driver without its hardware is no fault, and what is really
    /// missing shows where it is used.
    pub fn load(&mut self, wish: &str, journal: &mut Journal) -> usize {
        let names: Vec<String> = self
            .index
            .resolve(wish)
            .into_iter()
            .flat_map(|name| self.index.load_order(name))
            .map(str::to_owned)
            .collect();
        let mut loaded = 0;
        for name in names {
            if self.tried.insert(name.clone()) {
                match self.insert(&name) {
                    Ok(()) => loaded += 1,
                    // Built in, or without its hardware (a CPU's instructions): both are usual.
                    Err(Errno::EXIST | Errno::NODEV) => {}
                    Err(error) => journal.warn(&format!("module {name}: {error}")),
                }
            }
        }
        loaded
    }

    fn insert(&self, name: &str) -> Result<(), Errno> {
        let Some(path) = self.index.path(name) else { return Ok(()) };
        let file = File::open(self.folder.join(path))
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let is_plain = Path::new(path).extension().is_some_and(|extension| extension == "ko");
        rustix::system::finit_module(&file, c"", if is_plain { 0 } else { COMPRESSED })
    }

    /// Loads what the devices below `devices`, `/sys/devices`, ask for and were not asked for before.
    ///
    /// Returns how many modules were added; each may bring new devices, so 0 means that all is quiet.
    pub fn coldplug(&mut self, devices: &Path, journal: &mut Journal) -> usize {
        let mut aliases = BTreeSet::new();
        collect_modaliases(devices, &mut aliases);
        let new: Vec<_> = aliases.difference(&self.seen).cloned().collect();
        self.seen.extend(new.iter().cloned());
        new.iter().map(|alias| self.load(alias, journal)).sum()
    }
}

/// Reads each `modalias` below `folder`; links are not followed, so each device is met once.
fn collect_modaliases(folder: &Path, aliases: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        // A device that goes away while it is looked at is no fault.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            collect_modaliases(&entry.path(), aliases);
        } else if kind.is_file() && entry.file_name() == "modalias" {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            if !text.trim().is_empty() {
                aliases.insert(text.trim().to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modaliases_are_collected_once_and_links_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        for (device, alias) in
            [("pci/a", "pci:v1\n"), ("pci/a/virtio0", "virtio:d2\n"), ("b", "pci:v1"), ("c", "\n")]
        {
            fs::create_dir_all(folder.path().join(device)).unwrap();
            fs::write(folder.path().join(device).join("modalias"), alias).unwrap();
        }
        std::os::unix::fs::symlink("..", folder.path().join("b/subsystem")).unwrap();
        let mut aliases = BTreeSet::new();
        collect_modaliases(folder.path(), &mut aliases);
        assert_eq!(aliases.into_iter().collect::<Vec<_>>(), ["pci:v1", "virtio:d2"]);
    }

    #[test]
    fn missing_indexes_mean_no_modules() {
        let folder = tempfile::tempdir().unwrap();
        let mut loader = Loader::open(folder.path());
        let mut journal = Journal::silent();
        assert_eq!(loader.load("erofs", &mut journal), 0);
        assert_eq!(loader.coldplug(folder.path(), &mut journal), 0);
        assert_eq!(journal.notes(), Vec::<String>::new());
    }
}
