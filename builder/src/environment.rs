//! Environment variables that are read, each with its meaning; `docs/reference/environment.md` is made of this.
//!
//! The HTTP client knows the usual `http_proxy`, `https_proxy` and `no_proxy` beside these, and
//! `SSL_CERT_FILE` where CA certificates lie elsewhere.

/// URL of a Debian mirror, ending in `/debian`; `--mirror` goes before it, the cluster file after it.
pub const MIRROR: &str = "IMGBUILD_MIRROR";

/// Folder of the cache; `--cache` goes before it, the user's own cache folder after it.
pub const CACHE: &str = "IMGBUILD_CACHE";

/// Folder with one folder per architecture (`amd64`) that holds the node programs `firstboot` and `stage0`.
pub const PROGRAMS: &str = "IMGBUILD_PROGRAMS";

/// File with the key that `build` signs manifests with; `--signing-key` goes before it.
pub const SIGNING_KEY: &str = "IMGBUILD_SIGNING_KEY";

/// Folder of users' caches (XDG Base Directory Specification); the cache is its folder `imgbuild`.
pub const CACHE_HOME: &str = "XDG_CACHE_HOME";

/// The user's home: without `XDG_CACHE_HOME` the cache is `.cache/imgbuild` below it; `init` takes SSH keys from `.ssh`.
pub const HOME: &str = "HOME";

/// The user's time zone (POSIX), which `init` prefers to the host's.
pub const TIME_ZONE: &str = "TZ";

/// Where set and not empty, nothing is coloured unless `--color always` is given.
pub const NO_COLOR: &str = "NO_COLOR";

/// A terminal named `dumb` gets neither colour nor redrawn lines.
pub const TERMINAL: &str = "TERM";
