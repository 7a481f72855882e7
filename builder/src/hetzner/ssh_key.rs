//! SSH keys that a project knows. No two have one name, and no two are one key.

use serde::{Deserialize, Serialize};

use super::create::Create;
use super::resource::resource;
use super::{Client, HetznerError, Labels, Operation, Query, SshKeyId};

/// An SSH key.
#[derive(Clone, Debug, Deserialize)]
pub struct SshKey {
    /// Its number.
    pub id: SshKeyId,
    /// Its name.
    pub name: String,
    /// MD5 of the key, as OpenSSH wrote it once: `b7:2f:30:…`.
    pub fingerprint: String,
    /// In OpenSSH's format.
    pub public_key: String,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
}

resource!(SshKey, SshKeyId, "ssh_key", "ssh_keys", labelled);

/// A key for a project.
#[derive(Clone, Debug, Serialize)]
pub struct CreateSshKey {
    /// Its name.
    pub name: String,
    /// In OpenSSH's format.
    pub public_key: String,
    /// Its labels.
    pub labels: Labels,
}

impl Create for CreateSshKey {
    type Made = SshKey;

    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn query(&self) -> Query {
        Query::default().name(&self.name)
    }

    fn has_made(&self, found: &SshKey) -> bool {
        found.name == self.name && is_same_key(&found.public_key, &self.public_key)
    }
}

/// Whether two lines hold one key; comments do not count.
fn is_same_key(one: &str, other: &str) -> bool {
    let key = |line| str::split_whitespace(line).take(2).map(str::to_owned).collect::<Vec<_>>();
    key(one) == key(other)
}

impl Client {
    /// The project's entry for a key, whatever its name is: a second one of the same key would be refused.
    pub async fn ssh_key(
        &self,
        operation: &Operation,
        public_key: &str,
    ) -> Result<Option<SshKey>, HetznerError> {
        let all: Vec<SshKey> = self.list(operation, &Query::default()).await?;
        Ok(all.into_iter().find(|key| is_same_key(&key.public_key, public_key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_make_no_other_key() {
        assert!(is_same_key("ssh-ed25519 AAAA alice@laptop", "ssh-ed25519  AAAA\n"));
        assert!(!is_same_key("ssh-ed25519 AAAA alice@laptop", "ssh-ed25519 BBBB alice@laptop"));
    }
}
