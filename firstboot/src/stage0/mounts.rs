//! Mounts: the kernel's file systems, the root and what lies over it, and the move into it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{self, MountFlags, UnmountFlags};

/// Where the root is put together.
pub const SYSROOT: &str = "/sysroot";
/// What is mounted at first, and moved into the root at last.
const KERNEL_MOUNTS: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

/// A mount that did not come about.
#[derive(Debug, thiserror::Error)]
#[error("mounting {kind} on `{target}`")]
pub struct Error {
    /// File system or kind of mount.
    pub kind: &'static str,
    /// Mount point.
    pub target: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Mounts `source` on `target`, which is made where it is missing and can be made.
pub fn mount(
    source: &Path,
    target: &Path,
    kind: &'static str,
    flags: MountFlags,
    options: &str,
) -> Result<(), Error> {
    let wrong = |source: io::Error| Error { kind, target: target.to_owned(), source };
    let is_there = target.is_dir();
    if !is_there {
        fs::create_dir_all(target).map_err(wrong)?;
    }
    let options = std::ffi::CString::new(options).map_err(|error| wrong(error.into()))?;
    mount::mount(source, target, kind, flags, options.as_c_str()).map_err(|errno| wrong(errno.into()))
}

/// Mounts `/proc`, `/sys`, `/dev` and `/run`, with the flags that systemd would use.
///
/// `/dev` that the kernel has mounted already is left alone.
pub fn mount_kernel_file_systems() -> Result<(), Error> {
    let strict = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let no_device = MountFlags::NOSUID | MountFlags::NODEV;
    for (kind, target, flags, options) in [
        ("proc", "/proc", strict, ""),
        ("sysfs", "/sys", strict, ""),
        ("devtmpfs", "/dev", MountFlags::NOSUID, "mode=0755"),
        ("tmpfs", "/run", no_device, "mode=0755,size=20%"),
    ] {
        match mount(Path::new(kind), Path::new(target), kind, flags, options) {
            Err(error) if error.source.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Puts an overlay in memory over the root's `/etc`.
///
/// Its upper layer stays visible at `/run/imgbuild/etc`, so that what changed in this boot can be looked at.
pub fn mount_etc_overlay(sysroot: &Path, memory: &Path) -> Result<(), Error> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount(Path::new("tmpfs"), memory, "tmpfs", flags, "mode=0755,size=10%")?;
    let (upper, work) = (memory.join("upper"), memory.join("work"));
    for folder in [&upper, &work] {
        fs::create_dir(folder).map_err(|source| Error { kind: "tmpfs", target: folder.clone(), source })?;
    }
    let etc = sysroot.join("etc");
    let options =
        format!("lowerdir={},upperdir={},workdir={}", etc.display(), upper.display(), work.display());
    mount(Path::new("overlay"), &etc, "overlay", MountFlags::empty(), &options)
}

/// The kernel's file systems seen inside the root, for programs that run there; taken away by [`Bound::close`].
#[derive(Debug)]
pub struct Bound {
    targets: Vec<PathBuf>,
}

impl Bound {
    /// Binds `/dev`, `/proc`, `/sys` and `/run` into `sysroot`.
    pub fn open(sysroot: &Path) -> Result<Self, Error> {
        let mut bound = Self { targets: Vec::new() };
        for source in KERNEL_MOUNTS {
            let target = inside(sysroot, source);
            mount::mount_bind(source, &target).map_err(|errno| Error {
                kind: "bind",
                target: target.clone(),
                source: errno.into(),
            })?;
            bound.targets.push(target);
        }
        Ok(bound)
    }

    /// Takes the mounts away again.
    pub fn close(mut self) -> Result<(), Error> {
        while let Some(target) = self.targets.pop() {
            mount::unmount(&target, UnmountFlags::DETACH).map_err(|errno| Error {
                kind: "unbind",
                target,
                source: errno.into(),
            })?;
        }
        Ok(())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Only on the way to the failure screen; `close` reports on the good one.
        for target in self.targets.drain(..).rev() {
            let _stays = mount::unmount(&target, UnmountFlags::DETACH);
        }
    }
}

fn inside(sysroot: &Path, path: &str) -> PathBuf {
    sysroot.join(path.trim_start_matches('/'))
}

/// Makes `sysroot` the root of this process: moves the kernel's file systems, then itself, onto it.
///
/// The initrd's files are removed first, for they are memory that nothing else would give back.
pub fn switch_root(sysroot: &Path) -> Result<(), Error> {
    for source in KERNEL_MOUNTS {
        let target = inside(sysroot, source);
        mount::mount_move(source, &target).map_err(|errno| Error {
            kind: "move",
            target: target.clone(),
            source: errno.into(),
        })?;
    }
    let wrong = |source: io::Error| Error { kind: "root", target: sysroot.to_owned(), source };
    remove_files_of_one_device(Path::new("/")).map_err(wrong)?;
    std::env::set_current_dir(sysroot).map_err(wrong)?;
    mount::mount_move(".", "/").map_err(|errno| wrong(errno.into()))?;
    rustix::process::chroot(".").map_err(|errno| wrong(errno.into()))?;
    std::env::set_current_dir("/").map_err(wrong)
}

/// Removes everything below `folder` that lies on the same file system; mount points stay.
fn remove_files_of_one_device(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let device = fs::symlink_metadata(folder)?.dev();
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.dev() != device {
            continue;
        }
        // What cannot be removed costs memory and nothing else.
        if metadata.is_dir() {
            remove_files_of_one_device(&path)?;
            drop(fs::remove_dir(&path));
        } else {
            drop(fs::remove_file(&path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_is_refused_names_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("made");
        let error = mount(Path::new("x"), &target, "nosuchfs", MountFlags::empty(), "").unwrap_err();
        assert_eq!(error.to_string(), format!("mounting nosuchfs on `{}`", target.display()));
        assert!(target.is_dir());
    }

    #[test]
    fn files_are_removed_and_links_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let kept = tempfile::tempdir().unwrap();
        fs::write(kept.path().join("file"), "x").unwrap();
        fs::create_dir_all(folder.path().join("lib/modules")).unwrap();
        fs::write(folder.path().join("lib/modules/a.ko"), "x").unwrap();
        std::os::unix::fs::symlink(kept.path(), folder.path().join("link")).unwrap();
        remove_files_of_one_device(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(kept.path().join("file").exists());
    }
}
