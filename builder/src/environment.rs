//! Environment variables that are read, each with its meaning; `docs/reference/environment.md` is made of this.
//!
//! The HTTP client knows the usual `http_proxy`, `https_proxy` and `no_proxy` beside these, and
//! `SSL_CERT_FILE` where CA certificates lie elsewhere.

use std::path::PathBuf;

/// URL of a Debian mirror, ending in `/debian`; `--mirror` goes before it, the cluster file after it.
pub const MIRROR: &str = "IMGBUILD_MIRROR";

/// Folder of the cache; `--cache` goes before it, the user's own cache folder after it.
pub const CACHE: &str = "IMGBUILD_CACHE";

/// Folder with one folder per architecture (`amd64`) that holds the node programs `firstboot` and `stage0`.
pub const PROGRAMS: &str = "IMGBUILD_PROGRAMS";

/// Folder of users' caches (XDG Base Directory Specification); the cache is its folder `imgbuild`.
pub const CACHE_HOME: &str = "XDG_CACHE_HOME";

/// File with an age or SSH private key that opens the identity; `--identity-key` goes before it.
pub const IDENTITY_KEY: &str = "IMGBUILD_IDENTITY_KEY";

/// File whose first line is the passphrase of the identity; `--passphrase-file` goes before it.
pub const PASSPHRASE_FILE: &str = "IMGBUILD_PASSPHRASE_FILE";

/// API token of a project of Hetzner Cloud, which may read and write; `--token-file` goes before it.
pub const HCLOUD_TOKEN: &str = "HCLOUD_TOKEN";

/// Base URL of the Hetzner Cloud API, where it is not `https://api.hetzner.cloud/v1`: a simulator. Without TLS on the
/// loopback interface only, for every request carries the token.
pub const HCLOUD_ENDPOINT: &str = "HCLOUD_ENDPOINT";

/// Access key of the S3 service that `[backup]` names; `--s3-key-file` goes before it.
pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";

/// The secret key that belongs to it.
pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// URL of the S3 service, where it is not `https://` and the `endpoint` of `[backup]`: a test server. Without TLS on the
/// loopback interface only.
pub const AWS_ENDPOINT_URL_S3: &str = "AWS_ENDPOINT_URL_S3";

/// Folder of users' settings (XDG Base Directory Specification); keys that `identity` makes lie in its folder `imgbuild`.
pub const CONFIG_HOME: &str = "XDG_CONFIG_HOME";

/// The user's home: without `XDG_CACHE_HOME` the cache is `.cache/imgbuild` below it; `init` takes SSH keys from `.ssh`,
/// and the identity is opened by those there.
pub const HOME: &str = "HOME";

/// The user's name, by which others see who works on a cluster.
pub const USER: &str = "USER";

/// The user's time zone (POSIX), which `init` prefers to the host's.
pub const TIME_ZONE: &str = "TZ";

/// Where set and not empty, nothing is coloured unless `--color always` is given.
pub const NO_COLOR: &str = "NO_COLOR";

/// A terminal named `dumb` gets neither colour nor redrawn lines.
pub const TERMINAL: &str = "TERM";

/// The folder `imgbuild` in the one that `variable` names, or else in `below` the user's home; relative paths count for
/// nothing (XDG Base Directory Specification). `None` where there is neither.
pub fn own_folder(variable: &str, below: &str) -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder(variable).or_else(|| Some(folder(HOME)?.join(below)))?;
    Some(base.join("imgbuild"))
}
