//! A user's own network: namespaces in which an ordinary user may do what only root may do outside.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount, mount_bind};
use rustix::process::{Signal, getgid, getuid, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;
use thiserror::Error;

/// Where network devices of machines come from.
const TUN: &str = "/dev/net/tun";
/// Which name servers programs ask.
const RESOLVER: &str = "/etc/resolv.conf";
/// Where a resolver of the host listens, which is not on this network.
const HOST_RESOLVER: &str = "/run/systemd/resolve/io.systemd.Resolve";

/// Why there is no such network here.
#[derive(Debug, Error)]
pub(crate) enum NamespaceError {
    /// The kernel does not give any.
    #[error("this user may make no namespaces of users and networks")]
    Unshare(#[source] io::Error),
    /// Who is root in it cannot be said.
    #[error("writing `{}`", path.display())]
    Map {
        /// The map.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Machines cannot be attached.
    #[error("opening `{TUN}`, through which machines are attached to the network")]
    Tun(#[source] io::Error),
    /// Names cannot be resolved.
    #[error("putting the simulator's name server into `{}`", path.display())]
    Resolver {
        /// What was to be covered.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The end of the parent would not be noticed.
    #[error("asking to end with the parent")]
    Parent(#[source] io::Error),
}

impl NamespaceError {
    /// What an administrator may do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unshare(_) | Self::Map { .. } => Some(
                "an administrator lets users make them: `sysctl kernel.unprivileged_userns_clone=1` on older \
                 Debian, `sysctl kernel.apparmor_restrict_unprivileged_userns=0` on Ubuntu, and containers need \
                 to be started with leave to",
            ),
            Self::Tun(_) => Some("`modprobe tun` brings it, and `chmod 666 /dev/net/tun` lets users open it"),
            _ => None,
        }
    }
}

/// Whether machines can be attached to a network.
pub(crate) fn check() -> Result<(), NamespaceError> {
    File::options().read(true).write(true).open(TUN).map(drop).map_err(NamespaceError::Tun)
}

/// Goes into new namespaces of users, networks and mounts, as their root. What is started from then on is in a new
/// namespace of processes, too: the first ends all others with it. The caller must have one thread only.
pub(crate) fn enter() -> Result<(), NamespaceError> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    let flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNET | UnshareFlags::NEWNS | UnshareFlags::NEWPID;
    #[expect(deprecated, reason = "unsafe is only what shares no file descriptors, which is not asked for")]
    rustix::thread::unshare(flags).map_err(|error| NamespaceError::Unshare(error.into()))?;
    for (name, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ] {
        let path = Path::new("/proc/self").join(name);
        fs::write(&path, text).map_err(|source| NamespaceError::Map { path, source })?;
    }
    Ok(())
}

/// Ends this process when the one that started it has ended, however that came about.
pub(crate) fn end_with_parent() -> Result<(), NamespaceError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| NamespaceError::Parent(error.into()))
}

/// Lets all programs of the namespace see its processes, by the numbers that they have in it. Where parts of `/proc` are
/// hidden, as in containers, nobody may, and it stays that of the host.
pub(crate) fn see_processes() {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let _ = mount("proc", "/proc", "proc", flags, None);
}

/// Lets all programs of the namespace ask the name servers in `file`.
pub(crate) fn resolve_by(file: &Path) -> Result<(), NamespaceError> {
    let cover = |source: &Path, place: &Path| {
        mount_bind(source, place)
            .map_err(|error| NamespaceError::Resolver { path: place.to_owned(), source: error.into() })
    };
    // Where a link leads, since mounts are not put on links.
    let place = fs::canonicalize(RESOLVER)
        .map_err(|source| NamespaceError::Resolver { path: RESOLVER.into(), source })?;
    cover(file, &place)?;
    let host = Path::new(HOST_RESOLVER);
    if host.exists() {
        cover(Path::new("/dev/null"), host)?;
    }
    Ok(())
}
