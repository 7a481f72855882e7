//! Firewalls. A server with any firewall drops all that comes from the Internet but what rules let in; private networks
//! are not filtered.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::client::path;
use super::create::{Create, actions_of};
use super::open_enum::open_enum;
use super::resource::resource;
use super::transport::Body;
use super::{
    Action, Client, ErrorCode, FirewallId, HetznerError, Labels, Operation, Query, Selector, ServerId,
};

open_enum! {
    /// Which way a rule looks.
    Direction {
        /// To servers.
        In = "in",
        /// From servers.
        Out = "out",
    }
}

open_enum! {
    /// What a rule lets through.
    Protocol {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// ICMP.
        Icmp = "icmp",
        /// Of VPNs.
        Esp = "esp",
        /// Of tunnels.
        Gre = "gre",
    }
}

/// A rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rule {
    /// Which way it looks.
    pub direction: Direction,
    /// What it lets through.
    pub protocol: Protocol,
    /// One port or a range, `80`, `1024-5000`; of TCP and UDP only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Who may send, of rules that look in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_ips: Vec<IpNet>,
    /// Where to, of rules that look out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destination_ips: Vec<IpNet>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A firewall.
#[derive(Clone, Debug, Deserialize)]
pub struct Firewall {
    /// Its number.
    pub id: FirewallId,
    /// Its name.
    pub name: String,
    /// Its rules.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What it filters for.
    #[serde(default)]
    pub applied_to: Vec<AppliedTo>,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
}

/// What a firewall is applied to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AppliedTo {
    /// One server.
    Server {
        /// Which.
        server: AppliedServer,
    },
    /// All servers that a selector selects, now and later.
    LabelSelector {
        /// Which.
        label_selector: AppliedSelector,
    },
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}

/// A server that a firewall is applied to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AppliedServer {
    /// Its number.
    pub id: ServerId,
}

/// A selector that a firewall is applied to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AppliedSelector {
    /// As it was given.
    pub selector: String,
}

/// What a firewall is to be applied to.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ApplyTo {
    /// One server.
    Server {
        /// Which.
        server: AppliedServer,
    },
    /// All servers that a selector selects, now and later: none is a moment without.
    LabelSelector {
        /// Which.
        label_selector: AppliedSelector,
    },
}

impl ApplyTo {
    /// All servers that the selector selects.
    pub fn selector(selector: &Selector) -> Self {
        Self::LabelSelector { label_selector: AppliedSelector { selector: selector.to_string() } }
    }

    /// One server.
    pub const fn server(id: ServerId) -> Self {
        Self::Server { server: AppliedServer { id } }
    }

    /// The same that it is applied to.
    fn of(applied: AppliedTo) -> Option<Self> {
        match applied {
            AppliedTo::Server { server } => Some(Self::Server { server }),
            AppliedTo::LabelSelector { label_selector } => Some(Self::LabelSelector { label_selector }),
            AppliedTo::Other => None,
        }
    }
}

resource!(Firewall, FirewallId, "firewall", "firewalls", labelled);

/// A firewall to be made.
#[derive(Clone, Debug, Serialize)]
pub struct CreateFirewall {
    /// Its name.
    pub name: String,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// What it filters for.
    pub apply_to: Vec<ApplyTo>,
    /// Its labels.
    pub labels: Labels,
}

impl Create for CreateFirewall {
    type Made = Firewall;

    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn query(&self) -> Query {
        Query::default().name(&self.name)
    }

    fn has_made(&self, found: &Firewall) -> bool {
        found.name == self.name
    }

    fn actions(&self, made: &Firewall) -> Option<Vec<String>> {
        Some(actions_of(made))
    }
}

impl Client {
    /// Gives a firewall these rules and no others.
    pub async fn set_rules(
        &self,
        operation: &Operation,
        id: FirewallId,
        rules: &[Rule],
    ) -> Result<Vec<Action>, HetznerError> {
        #[derive(Serialize)]
        struct SetRules<'a> {
            rules: &'a [Rule],
        }
        self.act_on_firewall(operation, id, "set_rules", Body::of(&SetRules { rules }), &[]).await
    }

    /// Applies a firewall to more.
    pub async fn apply_to_resources(
        &self,
        operation: &Operation,
        id: FirewallId,
        apply_to: &[ApplyTo],
    ) -> Result<Vec<Action>, HetznerError> {
        #[derive(Serialize)]
        struct Apply<'a> {
            apply_to: &'a [ApplyTo],
        }
        let settled = [ErrorCode::FirewallAlreadyApplied];
        self.act_on_firewall(operation, id, "apply_to_resources", Body::of(&Apply { apply_to }), &settled)
            .await
    }

    /// Takes a firewall from all that it is applied to: one that is in use cannot be removed.
    pub async fn remove_from_resources(
        &self,
        operation: &Operation,
        id: FirewallId,
    ) -> Result<Vec<Action>, HetznerError> {
        #[derive(Serialize)]
        struct Remove {
            remove_from: Vec<ApplyTo>,
        }
        let Some(found) = self.get::<Firewall>(operation, id).await? else { return Ok(Vec::new()) };
        let remove_from: Vec<ApplyTo> = found.applied_to.into_iter().filter_map(ApplyTo::of).collect();
        if remove_from.is_empty() {
            return Ok(Vec::new());
        }
        let settled = [ErrorCode::FirewallAlreadyRemoved];
        let body = Body::of(&Remove { remove_from });
        self.act_on_firewall(operation, id, "remove_from_resources", body, &settled).await
    }

    async fn act_on_firewall(
        &self,
        operation: &Operation,
        id: FirewallId,
        command: &str,
        body: Body,
        settled: &[ErrorCode],
    ) -> Result<Vec<Action>, HetznerError> {
        let path = path(["firewalls", &id.to_string()]);
        self.act(operation, path, command, body, settled).await?.actions()
    }
}
