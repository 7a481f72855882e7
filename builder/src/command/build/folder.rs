//! The build folder: made under another name, then put in place whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::super::Note as _;
use super::super::interrupt::Cleanup;
use super::cached::BuildFacts;
use super::documents;
use crate::bundle::manifest::{self, DiskFacts, Manifest};
use crate::bundle::signature::SigningKey;
use crate::bundle::sparse;

/// A build under way.
#[derive(Debug)]
pub(super) struct Unfinished {
    output: PathBuf,
    path: PathBuf,
    is_published: bool,
    cleanup: Cleanup,
    /// Held for as long as this lives.
    _lock: Option<File>,
}

/// Refuses to replace what no build has made: a folder given by mistake keeps its files.
pub(super) fn check_replaceable(output: &Path) -> anyhow::Result<()> {
    let mut entries = match fs::read_dir(output) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(anyhow::Error::from(error)
                .context(format!("reading folder `{}`", output.display()))
                .input());
        }
    };
    if output.join(manifest::FILE).is_file() || entries.next().is_none() {
        return Ok(());
    }
    let fault = anyhow::anyhow!("`{}` holds files that no build has made", output.display());
    Err(fault.input().hint("give another folder with `--output`"))
}

impl Unfinished {
    /// Makes the folder, for this process alone; what an ended build left there is removed.
    pub(super) fn begin(output: &Path, path: &Path, cleanup: &Cleanup) -> anyhow::Result<Self> {
        let making = || format!("making folder `{}`", path.display());
        let make = || loop {
            fs::create_dir_all(path).with_context(making)?;
            let lock = lock_folder(path, output)?;
            // Between the two, the build that had it may have put it in place or removed it.
            if lock.as_ref().is_some_and(|lock| is_at(lock, path)) {
                return Ok::<_, anyhow::Error>(lock);
            }
        };
        let lock = cleanup.own(path, make)?;
        for entry in fs::read_dir(path).with_context(making)? {
            let entry = entry.with_context(making)?;
            let is_folder = entry.file_type().with_context(making)?.is_dir();
            let removed =
                if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
            removed.with_context(|| format!("removing `{}`", entry.path().display()))?;
        }
        Ok(Self {
            output: output.to_owned(),
            path: path.to_owned(),
            is_published: false,
            cleanup: cleanup.clone(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds manifest, signature and build facts and puts the folder in place of an older build.
    pub(super) fn publish(
        mut self,
        manifest: &Manifest,
        facts: BuildFacts,
        key: Option<&SigningKey>,
    ) -> anyhow::Result<BuildFacts> {
        self.write_json(manifest::FILE, manifest)?;
        documents::sign(&self.path, key)?;
        let facts = facts.with_files(&self.path, manifest)?;
        self.write_json(super::cached::FILE, &facts)?;
        let placing = || format!("putting the build in place as `{}`", self.output.display());
        // Once they have changed places, the older build lies where others would begin theirs.
        let older = lock_folder(&self.output, &self.output)?;
        if older.is_some() {
            // Whatever comes in between, the older build is what goes.
            swap(&self.path, &self.output).with_context(placing)?;
            fs::remove_dir_all(&self.path)
                .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
                .with_context(|| format!("removing the older build `{}`", self.path.display()))?;
        } else {
            self.cleanup.keep(|| fs::rename(&self.path, &self.output)).with_context(placing)?;
        }
        self.is_published = true;
        Ok(facts)
    }

    fn write_json(&self, name: &str, value: &impl serde::Serialize) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let mut text = serde_json::to_vec_pretty(value).with_context(|| format!("rendering `{name}`"))?;
        text.push(b'\n');
        fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))
    }
}

/// Locks a folder against other builds; `None` where there is none.
fn lock_folder(path: &Path, output: &Path) -> anyhow::Result<Option<File>> {
    let locking = || format!("locking folder `{}`", path.display());
    let folder = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.with_context(locking)?,
    };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => {
            Err(anyhow::anyhow!("another build into `{}` is under way", output.display()))
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(locking),
    }
}

/// Whether `path` still names the open `folder`.
fn is_at(folder: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let named = fs::metadata(path).map(identity).ok();
    named.is_some() && named == folder.metadata().map(identity).ok()
}

/// Lets two folders change places at once, so that there is always a whole build. Where the file
/// system cannot do that, the older build goes first.
fn swap(new: &Path, old: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::remove_dir_all(old)?;
            fs::rename(new, old)
        }
        other => Ok(other?),
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_published {
            // A left-over is replaced by the next build; there is nobody to tell while failing.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Size and digest of a disk that was just written.
pub(super) fn facts(path: &Path) -> anyhow::Result<DiskFacts> {
    let facts = File::open(path).and_then(|file| sparse::facts(&file));
    facts.with_context(|| format!("reading `{}` back", path.display()))
}
