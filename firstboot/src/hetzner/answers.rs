//! What the metadata service has said: of this boot all of it, of an earlier boot what is no secret.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Network, NetworkError, is_here, serial};
use crate::converge::{ConvergeError, System};
use crate::source::{Found, Item};
use crate::user_data::{self, DecodeError, UserData};

/// What every later boot knows, on the state partition: no ticket and no one-time key.
pub const KEPT: &str = "/var/lib/imgbuild/metadata.json";
/// What this boot was told; on a tmpfs, mode 0600.
const HEARD: &str = "/run/imgbuild/metadata.json";
/// Format of both.
const VERSION: u32 = 1;

/// What the service said, as it said it.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Answers {
    version: u32,
    /// The server's ID.
    pub(super) instance: String,
    /// The user data that it was created with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user_data: Option<String>,
    /// The public interface, in YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) network_config: Option<String>,
    /// Interfaces in private networks, in YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) private_networks: Option<String>,
}

/// User data is secret in part.
impl fmt::Debug for Answers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Answers").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// Answers, and of when they are.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(super) answers: Answers,
    is_of_this_boot: bool,
}

impl Answers {
    /// Of the server `instance`, each as it was said.
    pub(super) const fn of(
        instance: String,
        user_data: Option<String>,
        network_config: Option<String>,
        private_networks: Option<String>,
    ) -> Self {
        Self { version: VERSION, instance, user_data, network_config, private_networks }
    }

    /// What the server was given.
    pub(super) fn items(&self) -> Result<UserData, DecodeError> {
        user_data::decode(self.user_data.as_deref().unwrap_or_default().as_bytes())
    }

    /// Keeps all for the rest of this boot, and what is no secret for every later one.
    pub(super) fn keep(&self, system: &System) -> anyhow::Result<()> {
        let user_data = match self.items() {
            Ok(items) if items != UserData::default() => {
                // Both are good for one use, and the disk may be looked at for years.
                Some(user_data::encode(&UserData { ticket: None, push_key: None, ..items })?)
            }
            // What nobody can read, nobody needs.
            _ => None,
        };
        let public = Self { user_data, ..self.clone() };
        system.ensure_file(KEPT, &serde_json::to_vec(&public)?, 0o600)?;
        system.ensure_file(HEARD, &serde_json::to_vec(self)?, 0o600)?;
        Ok(())
    }
}

impl Known {
    /// The network, and what is wrong with the rest of it.
    pub(super) fn network(&self) -> (Network, Vec<NetworkError>) {
        Network::of(&self.answers)
    }

    /// An item with the source in words.
    pub(crate) fn find(&self) -> Result<impl FnMut(Item) -> Option<Found>, DecodeError> {
        let items = self.answers.items()?;
        let place = if self.is_of_this_boot {
            "the server's user data"
        } else {
            "the server's user data, as kept from an earlier boot"
        };
        Ok(move |item| {
            let text = items.get(item)?.as_bytes().to_vec();
            Some(Found { place: place.to_owned(), text })
        })
    }
}

/// What is known of this server; `None` where nothing is, and on every other machine.
pub(crate) fn known(system: &System) -> Result<Option<Known>, ConvergeError> {
    if !is_here(system) {
        return Ok(None);
    }
    let read = |path: &str| -> Result<Option<Answers>, ConvergeError> {
        // A file that is none is as good as one that was never made: the service says it all again.
        let answers = system.read(path)?.and_then(|json| serde_json::from_slice::<Answers>(&json).ok());
        Ok(answers.filter(|answers| answers.version == VERSION))
    };
    if let Some(answers) = read(HEARD)? {
        return Ok(Some(Known { answers, is_of_this_boot: true }));
    }
    // The disk may be a copy of another server's.
    let serial = serial(system);
    let is_own = |answers: &Answers| serial.as_ref().is_none_or(|serial| *serial == answers.instance);
    Ok(read(KEPT)?.filter(is_own).map(|answers| Known { answers, is_of_this_boot: false }))
}

/// Whether the service has answered in this boot.
pub(crate) fn is_heard(system: &System) -> bool {
    system.path(HEARD).exists()
}
