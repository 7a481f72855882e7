//! `imgbuild node approve` and `reject`: what becomes of a machine that waits.

use anyhow::Context as _;
use clap::{Args, value_parser};
use firstboot::claim::code::Code;
use firstboot::claim::objects::DecisionError;
use firstboot::claim::store::{Store as _, Verdict, Waiting};
use firstboot::lifetime::AwayDays;
use firstboot::record;
use firstboot::ticket::Hardware;
use serde::Serialize;

use super::super::api::Access;
use super::super::{Context, Note as _, failure, now};
use crate::cluster::{Cluster, Node, Role};

/// Arguments of `node approve`.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The code that the machine shows
    code: Code,
    /// Node of the cluster file that it becomes; without it, the one that its ticket or record names
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Days that it may be away before all traces of it are removed; without it, it may be for ever
    #[arg(long, value_name = "DAYS", value_parser = value_parser!(u16).range(1..=3650))]
    transient: Option<u16>,
    #[command(flatten)]
    access: Access,
}

/// Arguments of `node reject`.
#[derive(Debug, Args)]
pub(super) struct Reject {
    /// The code that the machine shows
    code: Code,
    #[command(flatten)]
    access: Access,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Decided<'a> {
    code: &'a Code,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
}

/// Runs `node approve`.
pub(super) fn approve(arguments: &Approve, context: &Context) -> anyhow::Result<()> {
    let Approve { code, access, .. } = arguments;
    let cluster = context.cluster()?;
    // A slip in the name is told before a passphrase is asked for.
    let named =
        arguments.name.as_deref().map(|name| cluster.node(name).map_err(failure::of_node)).transpose()?;
    let secrets = access.unlock.secrets(&cluster)?;
    let store = access.store(&cluster, &secrets)?;
    let waiting = store.waiting_with(code).map_err(of_decision)?;
    let node = becomes(&waiting, named, &cluster)?;
    check_hardware(node, &waiting.hardware)?;
    let record =
        record::sign(&cluster.record(node), &secrets.operator_key).context("signing the node record")?;
    let before = store.joined(node.name.as_str())?;
    if let Some(other) = before.as_ref().filter(|other| other.revoked.is_none() && other.key != waiting.key) {
        let fault = anyhow::anyhow!(
            "`{}` is the machine with key {}, and the one that waits has key {}",
            node.name,
            other.key.fingerprint(),
            waiting.key.fingerprint()
        );
        let hint = format!("`imgbuild node revoke {}` first, if this one is to take its place", node.name);
        return Err(fault.input().hint(hint));
    }
    let since = now()?.0;
    // As tickets have it: what is said later counts more, whatever the clock of who said it before.
    let generation = before.map_or(since, |before| since.max(before.generation.saturating_add(1)));
    let verdict = Verdict::Approved {
        node: node.name.to_string(),
        role: node.role,
        address: node.vpn_address,
        generation,
        record: Some(record),
        transient: arguments.transient.map(AwayDays),
    };
    store.decide(code, &verdict).map_err(of_decision)?;
    let machine = waiting.key.fingerprint();
    context.printer.note(&format!(
        "{code} becomes `{}`: the machine with key {machine}, from {}",
        node.name, waiting.from
    ));
    show(&Decided { code, decision: "approved", node: Some(node.name.as_str()) }, context)
}

/// Runs `node reject`.
pub(super) fn reject(Reject { code, access }: &Reject, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let secrets = access.unlock.secrets(&cluster)?;
    let store = access.store(&cluster, &secrets)?;
    let waiting = store.decide(code, &Verdict::Rejected).map_err(of_decision)?;
    let machine = waiting.key.fingerprint();
    context
        .printer
        .note(&format!("{code} is turned away: the machine with key {machine}, from {}", waiting.from));
    show(&Decided { code, decision: "rejected", node: None }, context)
}

fn show(decided: &Decided<'_>, context: &Context) -> anyhow::Result<()> {
    if context.printer.is_json() { Ok(context.printer.json(decided)?) } else { Ok(()) }
}

/// The node that a machine becomes: the one that is named, which is no other than the one of its ticket or record.
fn becomes<'a>(waiting: &Waiting, named: Option<&'a Node>, cluster: &'a Cluster) -> anyhow::Result<&'a Node> {
    let node = match (named, waiting.node.as_deref()) {
        (Some(node), None) => node,
        (Some(node), Some(name)) if node.name.as_str() == name => node,
        (Some(node), Some(name)) => {
            let fault = anyhow::anyhow!("the machine is `{name}` by its medium, and not `{}`", node.name);
            return Err(fault.input().hint(format!(
                "`--as {name}` approves it; a medium of `{}` makes it that one; `imgbuild node reject` turns it away",
                node.name
            )));
        }
        (None, Some(name)) => cluster.node(name).map_err(failure::of_node)?,
        (None, None) => {
            let fault = anyhow::anyhow!("it is not said which node of the cluster file the machine becomes");
            return Err(fault.input().hint("`--as NAME` names it"));
        }
    };
    if node.role == Role::ControlPlane {
        let fault =
            anyhow::anyhow!("`{}` is a control plane, which no machine becomes by approval", node.name);
        return Err(fault.input());
    }
    Ok(node)
}

/// Fails where the cluster file binds the node to another machine.
fn check_hardware(node: &Node, machine: &Hardware) -> anyhow::Result<()> {
    let Some(bound) = &node.hardware else { return Ok(()) };
    let (serial, mac) =
        (bound.serial.as_ref().map(ToString::to_string), bound.mac.as_ref().map(ToString::to_string));
    machine.check(serial.as_deref(), mac.as_deref()).map_err(|fault| {
        let fault = anyhow::anyhow!("the cluster file binds `{}` to {fault}", node.name);
        fault.input().hint("change `hardware` of the node in the cluster file, or name another node")
    })
}

fn of_decision(error: DecisionError) -> anyhow::Error {
    let is_input = matches!(error, DecisionError::Unknown(_) | DecisionError::Decided { .. });
    let error = anyhow::Error::new(error);
    if is_input { error.input().hint("`imgbuild status` lists who waits") } else { error }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use firstboot::claim::challenge::Challenger;
    use firstboot::public_key::PublicKey;

    use super::*;
    use crate::identity::documents::tests::cluster;
    use crate::identity::tests::cluster_secrets;

    #[test]
    fn a_machine_that_says_which_node_it_is_becomes_no_other() {
        let secrets = cluster_secrets();
        let key = PublicKey::of(&secrets.ticket_key);
        let first = Challenger::new(&secrets.membership_key).make(SystemTime::UNIX_EPOCH);
        let waiting = |node: Option<&str>| Waiting {
            code: Code::of(&key, &key, &first),
            key,
            hardware: Hardware::default(),
            from: "198.51.100.7".to_owned(),
            node: node.map(str::to_owned),
            verdict: None,
        };
        let cluster = cluster();
        for (own, named, expected) in [
            (Some("edge1"), None, Ok("edge1")),
            (Some("edge1"), Some("edge1"), Ok("edge1")),
            (None, Some("edge1"), Ok("edge1")),
            (Some("edge1"), Some("cp1"), Err("the machine is `edge1` by its medium, and not `cp1`")),
            (None, None, Err("it is not said which node of the cluster file the machine becomes")),
            (None, Some("cp1"), Err("`cp1` is a control plane, which no machine becomes by approval")),
        ] {
            let named = named.map(|name| cluster.node(name).unwrap());
            let node = becomes(&waiting(own), named, &cluster).map_err(|fault| fault.to_string());
            assert_eq!(node.map(|node| node.name.as_str()), expected.map_err(str::to_owned), "{own:?}");
        }
    }
}
