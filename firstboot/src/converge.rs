//! The converge core: look, act only on difference, say what changed.
//!
//! Every path is below a root directory, so that the whole of firstboot can be tested without
//! privileges. A power cut at any instant leaves the old file or the new one.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::durable;

/// Whether differences are acted on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Differences are removed.
    Apply,
    /// Differences are only reported; nothing is touched.
    DryRun,
}

/// What a converging action found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// There was a difference; in [`Mode::DryRun`] it is still there.
    Changed,
    /// All was as wanted.
    Unchanged,
}

impl Outcome {
    /// `Changed` if either is.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Changed { self } else { other }
    }
}

/// An action on `path` that the system refused.
#[derive(Debug, Error)]
#[error("{action} `{}`", path.display())]
pub struct ConvergeError {
    /// Gerund: what was being done.
    pub action: &'static str,
    /// The path on the running system, root directory included.
    pub path: PathBuf,
    /// Why it was refused.
    #[source]
    pub source: io::Error,
}

/// The system that converges: a root directory and a mode.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
    mode: Mode,
}

impl System {
    /// A system whose files lie below `root`.
    pub fn new(root: impl Into<PathBuf>, mode: Mode) -> Self {
        Self { root: root.into(), mode }
    }

    /// Whether this is the running system and not a directory of a test.
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Whether differences are acted on.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Places an absolute path of the node below the root directory.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Makes the regular file at `path` hold `content` with permission bits `mode`.
    pub fn ensure_file(&self, path: &str, content: &[u8], mode: u32) -> Result<Outcome, ConvergeError> {
        let target = self.path(path);
        if file_matches(&target, content, mode).map_err(failed("reading", &target))? {
            return Ok(Outcome::Unchanged);
        }
        if self.mode == Mode::Apply {
            self.make_parents(&target)?;
            durable::replace(&target, content, mode).map_err(failed("writing", &target))?;
        }
        Ok(Outcome::Changed)
    }

    /// Makes `path` a symbolic link to `link`.
    pub fn ensure_symlink(&self, path: &str, link: &str) -> Result<Outcome, ConvergeError> {
        let target = self.path(path);
        match fs::read_link(&target) {
            Ok(found) if found == Path::new(link) => return Ok(Outcome::Unchanged),
            // EINVAL: something is there and it is no link.
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {}
            Err(error) => return Err(failed("reading", &target)(error)),
        }
        if self.mode == Mode::Apply {
            self.make_parents(&target)?;
            durable::replace_link(&target, link).map_err(failed("linking", &target))?;
        }
        Ok(Outcome::Changed)
    }

    /// Makes sure that no file is at `path`.
    pub fn ensure_absent(&self, path: &str) -> Result<Outcome, ConvergeError> {
        let target = self.path(path);
        if fs::symlink_metadata(&target).is_err() {
            return Ok(Outcome::Unchanged);
        }
        if self.mode == Mode::Apply {
            durable::remove(&target).map_err(failed("removing", &target))?;
        }
        Ok(Outcome::Changed)
    }

    /// Makes sure that of the files in `folder` whose names have these ends, only `names` are there.
    pub fn ensure_no_others(
        &self,
        folder: &str,
        (prefix, suffix): (&str, &str),
        names: &[String],
    ) -> Result<Outcome, ConvergeError> {
        let target = self.path(folder);
        let entries = match fs::read_dir(&target) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Outcome::Unchanged),
            Err(error) => return Err(failed("reading", &target)(error)),
        };
        let mut outcome = Outcome::Unchanged;
        for entry in entries {
            let name = entry.map_err(failed("reading", &target))?.file_name();
            // A name that is no text is none of ours.
            let Some(name) = name.to_str() else { continue };
            let is_ours = name.starts_with(prefix) && name.ends_with(suffix);
            if is_ours && !names.iter().any(|kept| kept == name) {
                outcome = outcome.or(self.ensure_absent(&format!("{folder}/{name}"))?);
            }
        }
        Ok(outcome)
    }

    /// Reads a whole file of the node, `None` where there is none.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ConvergeError> {
        let target = self.path(path);
        match fs::read(&target) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("reading", &target)(error)),
        }
    }

    fn make_parents(&self, target: &Path) -> Result<(), ConvergeError> {
        let parent = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).map_err(failed("creating directory", parent))
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ConvergeError {
    let path = path.to_owned();
    move |source| ConvergeError { action, path, source }
}

fn file_matches(target: &Path, content: &[u8], mode: u32) -> io::Result<bool> {
    let metadata = match fs::symlink_metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() || metadata.permissions().mode() & 0o7777 != mode {
        return Ok(false);
    }
    Ok(fs::read(target)? == content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(mode: Mode) -> (tempfile::TempDir, System) {
        let directory = tempfile::tempdir().unwrap();
        let system = System::new(directory.path(), mode);
        (directory, system)
    }

    #[test]
    fn writes_once_and_then_finds_nothing_to_do() {
        let (_directory, system) = system(Mode::Apply);
        assert_eq!(system.ensure_file("/etc/a", b"x", 0o600).unwrap(), Outcome::Changed);
        assert_eq!(system.ensure_file("/etc/a", b"x", 0o600).unwrap(), Outcome::Unchanged);
        assert_eq!(system.ensure_file("/etc/a", b"x", 0o644).unwrap(), Outcome::Changed);
        let names: Vec<_> = fs::read_dir(system.path("/etc")).unwrap().collect();
        assert_eq!(names.len(), 1, "no temporary file is left: {names:?}");
    }

    #[test]
    fn replaces_a_link_by_a_file_without_following_it() {
        let (_directory, system) = system(Mode::Apply);
        system.ensure_file("/etc/real", b"real", 0o644).unwrap();
        system.ensure_symlink("/etc/name", "real").unwrap();
        assert_eq!(system.ensure_file("/etc/name", b"own", 0o644).unwrap(), Outcome::Changed);
        assert_eq!(system.read("/etc/real").unwrap().unwrap(), b"real");
        assert_eq!(system.ensure_symlink("/etc/name", "real").unwrap(), Outcome::Changed);
        assert_eq!(system.ensure_symlink("/etc/name", "real").unwrap(), Outcome::Unchanged);
    }

    #[test]
    fn dry_run_reports_and_touches_nothing() {
        let (directory, system) = system(Mode::DryRun);
        assert_eq!(system.ensure_file("/etc/a", b"x", 0o600).unwrap(), Outcome::Changed);
        assert_eq!(system.ensure_symlink("/etc/b", "a").unwrap(), Outcome::Changed);
        assert_eq!(system.ensure_absent("/etc/b").unwrap(), Outcome::Unchanged);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_the_path_that_was_refused() {
        let (_directory, system) = system(Mode::Apply);
        system.ensure_file("/etc", b"no directory", 0o644).unwrap();
        let fault = system.ensure_file("/etc/a", b"x", 0o644).unwrap_err();
        assert_eq!(fault.to_string(), format!("reading `{}`", system.path("/etc/a").display()));
    }
}
