//! Environment variables that imgbuild reads.

/// Debian mirror to fetch packages from, as `--mirror`.
pub(super) const MIRROR: &str = "IMGBUILD_MIRROR";
/// Folder of the cache, as `--cache`.
pub(super) const CACHE: &str = "IMGBUILD_CACHE";
/// The user's home folder: `init` looks for SSH keys in its `.ssh`.
pub(super) const HOME: &str = "HOME";
/// The user's time zone (POSIX), which `init` prefers to the host's.
pub(super) const TIME_ZONE: &str = "TZ";
