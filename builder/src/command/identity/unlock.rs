//! Options and places by which an identity is opened.

use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use anyhow::Context as _;
use clap::Args;
use zeroize::Zeroizing;

use super::super::Note as _;
use crate::cluster::{Cluster, DnsLabel};
use crate::environment;
use crate::identity::{Access, ClusterSecrets, Identity, IdentityError, Protection};

/// Keys of the user's own that OpenSSH uses too and age knows.
const SSH_KEYS: [&str; 2] = ["id_ed25519", "id_rsa"];

/// How an identity is opened.
#[derive(Clone, Debug, Default, Args)]
pub(in super::super) struct Unlock {
    /// File with an age or SSH private key that opens the identity
    #[arg(long, value_name = "FILE", env = environment::IDENTITY_KEY)]
    pub(super) identity_key: Option<PathBuf>,
    /// File whose first line is the identity's passphrase
    #[arg(long, value_name = "FILE", env = environment::PASSPHRASE_FILE)]
    passphrase_file: Option<PathBuf>,
}

impl Unlock {
    /// Opens the identity at `path`.
    pub(in super::super) fn open(
        &self,
        path: &Path,
        cluster: &Cluster,
    ) -> anyhow::Result<(Identity, Protection)> {
        let access = Access { key_files: self.key_files(cluster), passphrase: self.passphrase()? };
        Identity::open(path, &access).map_err(of_identity)
    }

    /// Opens the identity of `cluster`, for what makes it one and no other.
    pub(in super::super) fn secrets(&self, cluster: &Cluster) -> anyhow::Result<ClusterSecrets> {
        let path = super::path(cluster);
        let (identity, _) = self.open(&path, cluster)?;
        identity.cluster.ok_or_else(|| of_identity(IdentityError::NoCluster { path }))
    }

    /// The named key file, or else those of the user that are there.
    fn key_files(&self, cluster: &Cluster) -> Vec<PathBuf> {
        if let Some(file) = &self.identity_key {
            return vec![file.clone()];
        }
        let home = std::env::var_os(environment::HOME).map(PathBuf::from);
        let ssh = home.into_iter().flat_map(|home| SSH_KEYS.map(|name| home.join(".ssh").join(name)));
        default_key_file(&cluster.name).into_iter().chain(ssh).filter(|path| path.is_file()).collect()
    }

    /// The passphrase from the file that was named.
    pub(super) fn passphrase(&self) -> anyhow::Result<Option<SecretString>> {
        let Some(path) = &self.passphrase_file else { return Ok(None) };
        let reading = || format!("reading passphrase file `{}`", path.display());
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.with_context(reading).map_err(anyhow::Error::input)?;
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            return Err(anyhow::anyhow!("the first line of `{}` is empty", path.display()).input());
        }
        Ok(Some(SecretString::from(line.to_owned())))
    }
}

/// Where `identity` puts the key file that it makes; outside of any folder of a cluster.
pub(super) fn default_key_file(cluster: &DnsLabel) -> Option<PathBuf> {
    let folder = environment::own_folder(environment::CONFIG_HOME, ".config")?;
    Some(folder.join(format!("{cluster}.key")))
}

/// What opens an identity is the user's input.
pub(in super::super) fn of_identity(error: IdentityError) -> anyhow::Error {
    let is_locked = matches!(error, IdentityError::Locked { .. } | IdentityError::NoPassphrase { .. });
    let is_missing = matches!(error, IdentityError::Missing { .. });
    let is_old = matches!(error, IdentityError::NoCluster { .. });
    let error = anyhow::Error::new(error).input();
    if is_locked {
        error.hint("`--identity-key FILE` or `--passphrase-file FILE` opens it")
    } else if is_missing {
        error.hint("`imgbuild identity create` makes one")
    } else if is_old {
        error.hint("`imgbuild identity upgrade` makes them")
    } else {
        error
    }
}
