//! Who asks, and what they may.

pub mod rbac;

/// Everything is allowed to it.
pub const MASTERS: &str = "system:masters";
/// Kubelets.
pub const NODES: &str = "system:nodes";
/// Everybody who is somebody.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Bearers of bootstrap tokens.
pub const BOOTSTRAPPERS: &str = "system:bootstrappers";
/// Who has the server's token (k3s, `genUsers`).
pub const SERVERS: &str = "k3s:server";
/// Who has the agents' token.
pub const AGENTS: &str = "k3s:agent";
/// User name of a node's kubelet.
pub const NODE_PREFIX: &str = "system:node:";

/// Somebody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// Common name of the certificate, or the token's user.
    pub name: String,
    /// Organisations of the certificate, or the token's groups.
    pub groups: Vec<String>,
}

impl User {
    /// A user in these groups.
    pub fn new(name: impl Into<String>, groups: &[&str]) -> Self {
        Self { name: name.into(), groups: groups.iter().map(|group| (*group).to_owned()).collect() }
    }

    /// Whether it is in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        group == AUTHENTICATED || self.groups.iter().any(|own| own == group)
    }

    /// The node whose kubelet it is.
    pub fn node(&self) -> Option<&str> {
        self.name.strip_prefix(NODE_PREFIX).filter(|_| self.is_in(NODES))
    }
}
