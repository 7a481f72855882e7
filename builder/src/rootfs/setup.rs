//! Declared setup: what maintainer scripts would have done, done to the tree by general generators.
//!
//! No maintainer script runs. [`STEPS`] is the whole list, in order; an entry of the
//! [`review`](super::review) table says which of them stand for a package's scripts. Everything here
//! is a pure function of the packages, the profile and the lock.

pub mod accounts;
pub mod certificates;
pub mod declared;
mod identity;
mod layout;
mod nss;
pub mod pam;
pub mod profile_files;
mod stamps;
pub mod state;
pub mod sysusers;
pub mod units;
mod users;
mod words;

use std::collections::BTreeMap;

use thiserror::Error;

use super::DebInfo;
use super::review::ReviewTable;
use crate::diagnostic::Faults;
use crate::profile::Profile;
use crate::tree::{Kind, Metadata, Tree, TreeError};
use crate::units::Timestamp;
use accounts::Accounts;
pub use sysusers::Numbers;

/// What setup works from, beside the tree.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The profile being built.
    pub profile: &'a Profile,
    /// Every package that was unpacked into the tree.
    pub debs: &'a [DebInfo],
    /// Reviewed packages and the setup they declare.
    pub reviews: &'a ReviewTable,
    /// Numbers of users in the lock.
    pub users: &'a BTreeMap<String, u32>,
    /// Numbers of groups in the lock.
    pub groups: &'a BTreeMap<String, u32>,
    /// Time of everything in the image.
    pub date: Timestamp,
}

/// Why a root cannot be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// An entry has no place in the tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file that setup reads is not there.
    #[error("`{path}` is missing, which {step} reads")]
    Missing {
        /// Path below the root.
        path: String,
        /// Step that reads it.
        step: &'static str,
    },
    /// A file that should be text is not UTF-8.
    #[error("`{path}` is not UTF-8 text")]
    Text {
        /// Path below the root.
        path: String,
    },
    /// A link would lead nowhere.
    #[error("`{link}` would lead to `{target}`, which is not in the root")]
    Dangling {
        /// Path of the link below the root.
        link: String,
        /// Target as written.
        target: String,
    },
    /// Something that is neither user nor group is named.
    #[error("`{name}` is no user or group of the image, but owns `{path}`")]
    Owner {
        /// User or group.
        name: String,
        /// Path below the root.
        path: String,
    },
    /// A database of base-passwd is malformed.
    #[error("base-passwd's masters are malformed")]
    Accounts(#[from] accounts::AccountsError),
    /// Users and groups cannot be made.
    #[error("users and groups cannot be made")]
    Sysusers(#[from] sysusers::SysusersError),
    /// Units cannot be enabled.
    #[error("units cannot be enabled")]
    Units(#[from] units::UnitsError),
    /// A PAM profile is malformed.
    #[error("PAM's common files cannot be made")]
    Pam(#[from] pam::PamError),
    /// Files of the profile stand in the way of others.
    #[error("placing the profile's files")]
    Files(#[from] Faults),
    /// A CA certificate is malformed.
    #[error("the CA bundle cannot be made")]
    Certificates(#[from] certificates::CertificateError),
}

impl SetupError {
    /// Whether the profile or a review declares what can't be, and not a package.
    pub fn is_declared(&self) -> bool {
        match self {
            Self::Dangling { .. } | Self::Owner { .. } => true,
            Self::Missing { step, .. } => *step == declared::STEP,
            Self::Units(error) => matches!(error, units::UnitsError::Unknown { .. }),
            _ => false,
        }
    }
}

/// One generator.
pub struct Step {
    /// Name that reviews use.
    pub name: &'static str,
    /// What it does, for people.
    pub what: &'static str,
    run: fn(&mut Tree, &mut Work<'_>) -> Result<(), SetupError>,
}

/// All generators in the order they run.
///
/// Users come before everything that names an owner; units, tmpfiles and stamps come after all
/// files; the profile's own files are placed before generators read them and again at the end, so
/// that they always win.
pub const STEPS: &[Step] = &[
    Step {
        name: "merged-usr",
        what: "checks /bin, /lib, /sbin and /lib64, adds mount points",
        run: layout::merged_usr,
    },
    Step { name: "profile-files", what: "places the profile's files", run: profile_files::place },
    Step {
        name: "users",
        what: "passwd, group, shadow and gshadow from base-passwd and sysusers.d",
        run: users::make,
    },
    Step {
        name: declared::STEP,
        what: "files, links and directories that reviews declare",
        run: declared::place,
    },
    Step { name: "nss", what: "the databases of nsswitch.conf that packages add", run: nss::edit },
    Step { name: "pam", what: "PAM's common files from /usr/share/pam-configs", run: pam::make },
    Step { name: "certificates", what: "the CA bundle and OpenSSL's hash links", run: certificates::make },
    Step {
        name: "host",
        what: "resolv.conf, locale, modules to load, default target",
        run: layout::host_files,
    },
    Step {
        name: "ssh-host-key",
        what: "sshd's host key on the state partition",
        run: identity::ssh_host_key,
    },
    Step {
        name: "iscsi-initiator",
        what: "the iSCSI initiator's name on the state partition",
        run: identity::iscsi_initiator,
    },
    Step { name: "units", what: "enables, disables and masks units", run: units::link },
    Step {
        name: "writable",
        what: "leads /root, /home, /srv and the like to the state partition",
        run: layout::writable,
    },
    Step {
        name: "profile-files-again",
        what: "places the profile's files over what was made",
        run: profile_files::place,
    },
    Step { name: "state", what: "tmpfiles.d lines and factory copies for /var", run: state::make },
    Step { name: "stamps", what: "marks /etc and /var as up to date", run: stamps::make },
];

/// Steps that stand for a whole kind of package script without being a generator of their own.
pub const NOTIONS: &[(&str, &str)] = &[
    ("upgrade-only", "the script acts on upgrades from older versions; an image is never upgraded"),
    ("restart-only", "the script restarts or reloads running daemons"),
    ("diversions", "the script guards against files of an unmerged /usr"),
    ("ldconfig", "the loader's cache is written with the tree"),
    ("initrd", "the script makes an initrd; ours is made outside"),
    ("kernel", "module indexes and initrd are made outside; hooks have nothing to do"),
    ("package-tools", "state of tools that only package scripts use"),
    ("configured-at-boot", "firstboot or a unit decides it on the node"),
    ("not-needed", "the feature is left out on purpose; the note says why"),
];

/// What steps share while they run.
struct Work<'a> {
    context: Context<'a>,
    /// Users and groups of the image, once step `users` made them.
    accounts: Accounts,
    /// Numbers handed out that the lock does not have yet.
    added: Numbers,
    /// Units that steps made and want enabled.
    own_units: Vec<String>,
}

/// Sets `tree` up; returns the numbers of users and groups to be added to the lock.
pub fn apply(tree: &mut Tree, context: &Context<'_>) -> Result<Numbers, SetupError> {
    let mut work = Work {
        context: *context,
        accounts: Accounts::default(),
        added: Numbers::default(),
        own_units: Vec::new(),
    };
    for step in STEPS {
        (step.run)(tree, &mut work).map_err(|error| profile_files::blame(error, tree, context.profile))?;
    }
    Ok(work.added)
}

impl Work<'_> {
    fn has_package(&self, name: &str) -> bool {
        self.context.debs.iter().any(|deb| deb.name == name)
    }
}

/// The text of the file at `path`, which `step` cannot do without.
fn text<'tree>(tree: &'tree Tree, path: &str, step: &'static str) -> Result<&'tree str, SetupError> {
    let content = tree.file(path).ok_or_else(|| SetupError::Missing { path: path.to_owned(), step })?;
    std::str::from_utf8(content).map_err(|_| SetupError::Text { path: path.to_owned() })
}

/// Places a file of root, mode 0644, unless something is there already.
fn write_new(tree: &mut Tree, path: &str, content: impl Into<bytes::Bytes>) -> Result<(), TreeError> {
    if tree.get(path).is_none() {
        tree.write(path, Metadata::FILE, content)?;
    }
    Ok(())
}

/// Regular files of configuration folders such as `sysusers.d`, by file name: one in `/etc` hides
/// the one of the same name in `/usr/lib` (systemd's rule).
fn configuration<'tree>(tree: &'tree Tree, folder: &str, suffix: &str) -> Vec<(&'tree str, &'tree str)> {
    let mut files: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for base in ["usr/lib", "etc"] {
        let directory = format!("{base}/{folder}");
        for (path, entry) in tree.below(&directory) {
            let name = &path[directory.len() + 1..];
            if name.contains('/') || !name.ends_with(suffix) {
                continue;
            }
            match &entry.kind {
                Kind::File(content) => match std::str::from_utf8(content) {
                    Ok(text) => files.insert(name, (path, text)),
                    Err(_) => files.remove(name),
                },
                // A link to /dev/null masks the file of the same name.
                Kind::Symlink(_) => files.remove(name),
                Kind::Directory => None,
            };
        }
    }
    files.into_values().collect()
}
