//! What k3s is told: flags, its configuration file and the drop-ins beside it.

pub mod file;
pub mod flags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use flags::Flags;

/// Why k3s does not start.
#[derive(Debug, Error)]
pub enum OptionsError {
    /// The configuration file.
    #[error("configuration `{path}`")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its text.
    #[error("configuration `{path}`: {source}")]
    Parse {
        /// Which.
        path: String,
        /// Why.
        source: crate::yaml::YamlError,
    },
    /// Not a map of keys.
    #[error("configuration `{path}`: it is no map of keys to values")]
    NoMap {
        /// Which.
        path: String,
    },
    /// As the library that k3s uses says it.
    #[error("flag provided but not defined: -{name}")]
    Unknown {
        /// Which.
        name: String,
    },
    /// Nothing after it.
    #[error("flag needs an argument: --{name}")]
    NoValue {
        /// Which.
        name: String,
    },
    /// A value of another form.
    #[error("--{name}: `{value}` is no {wanted}")]
    Value {
        /// Of which flag.
        name: String,
        /// What is there.
        value: String,
        /// What should be.
        wanted: &'static str,
    },
    /// A flag that is needed.
    #[error("--{name} is required")]
    Required {
        /// Which.
        name: &'static str,
    },
    /// A token that is none for a server.
    #[error("--token: a server token must not have the form of a bootstrap token (`id.secret`)")]
    BootstrapForm,
}

/// `server` or `agent`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Control plane, and a node unless `disable-agent`.
    Server,
    /// A node.
    Agent,
}

/// What is told, in types.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which of both.
    pub mode: Mode,
    /// In front of every path, for tests without root.
    pub root: PathBuf,
    flags: Flags,
}

impl Options {
    /// Reads arguments (what follows `server` or `agent`) and the configuration file they lead to.
    pub fn read(
        mode: Mode,
        arguments: &[String],
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, OptionsError> {
        let root = flags::find(arguments, &["--root"]).map(PathBuf::from).unwrap_or_default();
        let named = environment
            .get("K3S_CONFIG_FILE")
            .filter(|path| !path.is_empty())
            .cloned()
            .or_else(|| flags::find(arguments, &["--config", "-c"]));
        let path = rooted(&root, named.as_deref().unwrap_or("/etc/rancher/k3s/config.yaml"));
        let mut all = file::arguments(&path, named.is_some())?;
        all.extend(arguments.iter().cloned());
        let mut flags = Flags::parse(&all)?;
        for (variable, name) in [
            ("K3S_TOKEN", "token"),
            ("K3S_TOKEN_FILE", "token-file"),
            ("K3S_URL", "server"),
            ("K3S_NODE_NAME", "node-name"),
            ("K3S_AGENT_TOKEN", "agent-token"),
            ("K3S_DATA_DIR", "data-dir"),
        ] {
            if let Some(value) = environment.get(variable) {
                flags.set_default(name, value);
            }
        }
        Ok(Self { mode, root, flags })
    }

    /// One value; empty if it was not given.
    pub fn text(&self, name: &str) -> &str {
        self.flags.last(name)
    }

    /// Whether a switch is on.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1")
    }

    /// All values, those with commas split.
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.flags.all(name).flat_map(|value| value.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// A path below the root.
    pub fn path(&self, path: &str) -> PathBuf {
        rooted(&self.root, path)
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        let given = self.text("data-dir");
        self.path(if given.is_empty() { "/var/lib/rancher/k3s" } else { given })
    }

    /// The node's name: as given, or the host's.
    pub fn node_name(&self) -> String {
        match self.text("node-name") {
            "" => {
                let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
                if name.is_empty() { "localhost".to_owned() } else { name }
            }
            name => name.to_lowercase(),
        }
    }

    /// Addresses of a flag.
    pub fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, OptionsError> {
        self.list(name)
            .into_iter()
            .map(|value| {
                value.parse().map_err(|_| OptionsError::Value {
                    name: name.to_owned(),
                    value,
                    wanted: "IP address",
                })
            })
            .collect()
    }

    /// A port, or what it is otherwise.
    pub fn port(&self, name: &str, otherwise: u16) -> Result<u16, OptionsError> {
        match self.text(name) {
            "" => Ok(otherwise),
            value => value.parse().map_err(|_| OptionsError::Value {
                name: name.to_owned(),
                value: value.to_owned(),
                wanted: "port",
            }),
        }
    }

    /// A value of a component's own flags, such as `kubelet-arg`.
    pub fn component(&self, flag: &str, name: &str) -> Option<String> {
        let given =
            self.flags.all(flag).filter_map(|argument| argument.trim_start_matches('-').split_once('='));
        given.filter(|(own, _)| *own == name).last().map(|(_, value)| value.to_owned())
    }

    /// The same, a duration such as `40s`.
    pub fn duration(
        &self,
        flag: &str,
        name: &str,
        otherwise: std::time::Duration,
    ) -> Result<std::time::Duration, OptionsError> {
        self.component(flag, name).map_or(Ok(otherwise), |value| {
            humantime::parse_duration(&value).map_err(|_| OptionsError::Value {
                name: flag.to_owned(),
                value: format!("{name}={value}"),
                wanted: "duration",
            })
        })
    }

    /// What was given, for the node's annotation, without secrets.
    pub fn shown(&self) -> Vec<String> {
        let secret = |name: &str| {
            matches!(name, "token" | "agent-token" | "vpn-auth" | "etcd-s3-secret-key" | "etcd-s3-access-key")
        };
        self.flags
            .iter()
            .flat_map(|(name, value)| {
                [format!("--{name}"), if secret(name) { "********".to_owned() } else { value.to_owned() }]
            })
            .collect()
    }
}

fn rooted(root: &Path, path: &str) -> PathBuf {
    if root.as_os_str().is_empty() || !path.starts_with('/') || Path::new(path).starts_with(root) {
        return PathBuf::from(path);
    }
    root.join(path.trim_start_matches('/'))
}
