//! Environment variables that are read, each with its meaning.
//!
//! The HTTP client knows the usual `http_proxy`, `https_proxy` and `no_proxy` beside these, and
//! `SSL_CERT_FILE` where CA certificates lie elsewhere.

/// URL of a Debian mirror, ending in `/debian`; `--mirror` goes before it, the cluster file after it.
pub const MIRROR: &str = "IMGBUILD_MIRROR";

/// Folder of users' caches (XDG Base Directory Specification); the cache is its folder `imgbuild`.
pub const CACHE_HOME: &str = "XDG_CACHE_HOME";

/// The user's home; without `XDG_CACHE_HOME` the cache is `.cache/imgbuild` below it.
pub const HOME: &str = "HOME";

/// Folder with one folder per architecture (`amd64`) that holds the node programs `firstboot` and `stage0`.
pub const PROGRAMS: &str = "IMGBUILD_PROGRAMS";
