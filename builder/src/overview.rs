//! What is known of a cluster's nodes at a time, from the cluster file and from what its API holds.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use firstboot::claim::code::Code;
use firstboot::claim::report::NodeReport;
use firstboot::claim::store::{Joined, Verdict, Waiting};
use firstboot::kubernetes::{is_true, ready_condition};
use firstboot::lifetime::AwayDays;
use firstboot::status::Phase;
use firstboot::ticket::Hardware;
use serde::Serialize;
use serde_json::Value;

use crate::cluster::{Cluster, Role};
use crate::printable::text as printable;

/// All nodes, and those that wait to become one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Overview {
    /// By role, then in the order of the cluster file; those that are in no cluster file come last.
    pub nodes: Vec<Seen>,
    /// Who waits for a person's word.
    pub waiting: Vec<Waiter>,
}

/// A node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Its role; unknown of a node that is in no cluster file and says nothing of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Its address inside the VPN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// How it is.
    pub state: State,
    /// Why it is not Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Days that it may be away before it is forgotten; for ever without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transient: Option<AwayDays>,
    /// What it last said of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<NodeReport>,
}

/// How a node is, as the cluster sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Kubernetes says so.
    Ready,
    /// Kubernetes knows it, and says no.
    NotReady,
    /// It has claimed its place, and Kubernetes does not know it yet.
    Joined,
    /// It has never asked for its place.
    Absent,
    /// A person has taken its place away.
    Revoked,
}

/// A node that waits.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiter {
    /// What is compared.
    pub code: Code,
    /// Fingerprint of its key.
    pub fingerprint: String,
    /// From which address it asks.
    pub from: String,
    /// What machine it is.
    pub hardware: Hardware,
    /// The node that it is by its ticket or record, as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl Overview {
    /// Puts together what Kubernetes (`nodes`, `reports`) and the claim service (`joined`, `waiting`) know.
    pub fn new(
        cluster: &Cluster,
        nodes: &[Value],
        reports: Vec<NodeReport>,
        joined: Vec<Joined>,
        waiting: Vec<Waiting>,
    ) -> Self {
        let name = |object: &Value| object["metadata"]["name"].as_str().map(str::to_owned);
        let nodes: BTreeMap<String, &Value> =
            nodes.iter().filter_map(|object| Some((name(object)?, object))).collect();
        let reports: BTreeMap<String, NodeReport> =
            reports.into_iter().map(|report| (report.node.clone(), report)).collect();
        let joined: BTreeMap<String, Joined> =
            joined.into_iter().map(|node| (node.node.clone(), node)).collect();
        let seen = |name: &str, role: Option<Role>, address: Option<Ipv4Addr>| {
            let place = joined.get(name);
            let report = reports.get(name).cloned();
            let (role, address) =
                (role.or(place.map(|place| place.role)), address.or(place.map(|place| place.address)));
            Seen { role, address, ..Seen::new(name, nodes.get(name).copied(), place, report) }
        };
        let roles = [Role::ControlPlane, Role::Worker, Role::Edge];
        let planned = roles.into_iter().flat_map(|role| cluster.nodes_of(role));
        let mut all: Vec<Seen> =
            planned.map(|node| seen(node.name.as_str(), Some(node.role), Some(node.vpn_address))).collect();
        let strangers: Vec<&String> = nodes
            .keys()
            .chain(joined.keys().filter(|name| !nodes.contains_key(*name)))
            .filter(|name| cluster.node(name).is_err())
            .collect();
        all.extend(strangers.into_iter().map(|name| seen(name, None, None)));
        let undecided = waiting
            .into_iter()
            .filter(|waiting| !matches!(waiting.verdict, Some(Verdict::Approved { .. } | Verdict::Rejected)));
        Self { nodes: all, waiting: undecided.map(Waiter::from).collect() }
    }
}

impl Seen {
    fn new(name: &str, node: Option<&Value>, place: Option<&Joined>, report: Option<NodeReport>) -> Self {
        let condition = node.and_then(ready_condition);
        let is_ready = condition.is_some_and(is_true);
        let revoked = place.and_then(|place| place.revoked.as_deref());
        let state = match (node, is_ready, place) {
            _ if revoked.is_some() => State::Revoked,
            (Some(_), true, _) => State::Ready,
            (Some(_), false, _) => State::NotReady,
            (None, _, Some(_)) => State::Joined,
            (None, _, None) => State::Absent,
        };
        // The node itself knows best what it waits for; one that is cut off has said it before.
        let said = report.as_ref().filter(|report| state != State::Ready && report.phase != Phase::Ready);
        let by_kubernetes =
            || condition.and_then(|condition| condition["message"].as_str()).map(str::to_owned);
        let reason = match (state, said) {
            (State::Ready, _) => None,
            (State::Revoked, _) => revoked.map(|since| format!("since {since}")),
            (_, Some(report)) => {
                let overdue = if report.overdue { ", for longer than it should" } else { "" };
                Some(format!("{}{overdue}: {} (heard {})", report.phase.words(), report.reason, report.at))
            }
            (State::NotReady, None) => {
                by_kubernetes().or_else(|| Some("Kubernetes does not say why".to_owned()))
            }
            (State::Joined, None) => Some("it has its place, and k3s has not shown up yet".to_owned()),
            (State::Absent, None) => Some("it has not asked for its place".to_owned()),
        };
        let hint = said.filter(|_| state != State::Revoked).and_then(|report| report.hint.clone());
        let transient = place.and_then(|place| place.transient);
        Self { name: name.to_owned(), role: None, address: None, state, reason, hint, transient, report }
    }
}

impl From<Waiting> for Waiter {
    fn from(waiting: Waiting) -> Self {
        let Waiting { code, key, hardware, from, node, .. } = waiting;
        Self { code, fingerprint: key.fingerprint().to_string(), from, hardware, node }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ready => "Ready",
            Self::NotReady => "NotReady",
            Self::Joined => "joined",
            Self::Absent => "absent",
            Self::Revoked => "revoked",
        })
    }
}

/// For people: a line for each node, and what can be done below it. What nodes say of themselves is made harmless.
impl fmt::Display for Overview {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.nodes.iter().map(|node| node.name.chars().count()).max().unwrap_or(0).max(4);
        writeln!(formatter, "{:width$}  {:13}  {:15}  {:8}  WHY", "NODE", "ROLE", "ADDRESS", "STATE")?;
        for node in &self.nodes {
            let role = node.role.map_or("", Role::name);
            let address = node.address.map(|address| address.to_string()).unwrap_or_default();
            let transient = node.transient.map(|days| format!("may be away for {days}"));
            let reason = [node.reason.clone(), transient];
            let reason = reason.into_iter().flatten().collect::<Vec<_>>().join("; ");
            let reason = printable(&reason);
            let name = printable(&node.name);
            let line = format!("{name:width$}  {role:13}  {address:15}  {:8}  {reason}", node.state);
            writeln!(formatter, "{}", line.trim_end())?;
            if let Some(hint) = &node.hint {
                writeln!(formatter, "{:width$}  hint: {}", "", printable(hint))?;
            }
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        writeln!(
            formatter,
            "\nWaiting for your word (`imgbuild node approve CODE --as NODE`, or `reject CODE`):"
        )?;
        for waiter in &self.waiting {
            write!(
                formatter,
                "  {}  key {}, from {}",
                waiter.code,
                waiter.fingerprint,
                printable(&waiter.from)
            )?;
            let Hardware { serial, macs, .. } = &waiter.hardware;
            if let Some(serial) = serial {
                write!(formatter, ", serial {}", printable(serial))?;
            }
            if !macs.is_empty() {
                write!(formatter, ", MAC {}", printable(&macs.join(" ")))?;
            }
            match &waiter.node {
                Some(node) => writeln!(formatter, ", says it is `{}`", printable(node))?,
                None => writeln!(formatter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use firstboot::claim::challenge::Challenger;
    use firstboot::peers::PeerEndpoints;
    use firstboot::public_key::PublicKey;
    use serde_json::json;

    use super::*;
    use crate::identity::documents::tests::cluster;
    use crate::identity::tests::cluster_secrets;

    fn node(name: &str, status: &str, message: &str) -> Value {
        let ready = json!({ "type": "Ready", "status": status, "message": message });
        json!({ "metadata": { "name": name }, "status": { "conditions": [{ "type": "DiskPressure", "status": "False" }, ready] } })
    }

    fn joined(name: &str) -> Joined {
        Joined {
            node: name.to_owned(),
            role: Role::Edge,
            address: [10, 44, 1, 9].into(),
            key: PublicKey::of(&cluster_secrets().update_key),
            wireguard: String::new(),
            endpoints: PeerEndpoints::default(),
            generation: 1,
            revoked: None,
            transient: None,
            claimed: None,
        }
    }

    #[test]
    fn each_node_is_told_with_why_it_is_not_ready() {
        let nodes = [
            node("cp1", "True", "fine"),
            node("cp2", "Unknown", "Kubelet stopped posting node status."),
            node("stray", "True", "fine"),
        ];
        let report = NodeReport {
            node: "edge1".to_owned(),
            role: Role::Edge,
            phase: Phase::Connecting,
            since: "2027-01-15T09:00:00Z".to_owned(),
            reason: "no \u{1b}[31mhandshake".to_owned(),
            hint: Some("is UDP let through?".to_owned()),
            overdue: true,
            root_hash: None,
            slot: None,
            generation: None,
            standing: None,
            unpinned: Vec::new(),
            at: "2027-01-15T09:30:00Z".to_owned(),
        };
        let secrets = cluster_secrets();
        let first = Challenger::new(&secrets.membership_key).make(SystemTime::UNIX_EPOCH);
        let key = PublicKey::of(&secrets.ticket_key);
        let waiting = |verdict| Waiting {
            code: Code::of(&key, &key, &first),
            key,
            hardware: Hardware { serial: Some("SN9".to_owned()), macs: vec!["52:54:00:00:00:09".to_owned()] },
            from: "198.51.100.7".to_owned(),
            node: Some("edge9".to_owned()),
            verdict,
        };
        let overview = Overview::new(
            &cluster(),
            &nodes,
            vec![report],
            vec![
                joined("edge1"),
                Joined { transient: Some(AwayDays(30)), ..joined("stray") },
                Joined { transient: Some(AwayDays(30)), ..joined("newer") },
                Joined { revoked: Some("2027-01-15T08:00:00Z".to_owned()), ..joined("stolen") },
            ],
            vec![waiting(None), waiting(Some(Verdict::Rejected))],
        );
        let states: Vec<_> = overview.nodes.iter().map(|node| (node.name.as_str(), node.state)).collect();
        let expected = [
            ("cp1", State::Ready),
            ("cp2", State::NotReady),
            ("cp3", State::Absent),
            ("edge1", State::Joined),
            ("stray", State::Ready),
            ("newer", State::Joined),
            ("stolen", State::Revoked),
        ];
        assert_eq!(states, expected);
        let text = overview.to_string();
        assert!(!text.contains('\u{1b}'), "{text:?}");
        for line in [
            "cp1     control-plane  10.44.0.1        Ready",
            "cp2     control-plane  10.44.0.2        NotReady  Kubelet stopped posting node status.",
            "cp3     control-plane  10.44.0.3        absent    it has not asked for its place",
            "        hint: is UDP let through?",
            "stray   edge           10.44.1.9        Ready     may be away for 30 days",
            "newer   edge           10.44.1.9        joined    it has its place, and k3s has not shown up yet; may be away for 30 days",
            "stolen  edge           10.44.1.9        revoked   since 2027-01-15T08:00:00Z",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(overview.waiting.len(), 1, "who was decided on waits no more");
        assert!(
            text.ends_with(", from 198.51.100.7, serial SN9, MAC 52:54:00:00:00:09, says it is `edge9`\n"),
            "{text}"
        );
    }
}
