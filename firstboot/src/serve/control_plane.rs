//! A control-plane node: it is given its bundle once, begins the cluster or goes on with it, and takes others in.

use std::convert::Infallible;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use super::bootstrap;
use super::k3s_node::{self, Seen};
use super::machine::{Machine, Start};
use super::reporter::{Reporter, say};
use super::{Facts, write_files};
use crate::apply::StepState;
use crate::claim::objects::Objects;
use crate::claim::report::NodeReport;
use crate::claim::server::{self, Limits};
use crate::claim::service::Service;
use crate::claim::store::{Joined, Store as _};
use crate::control_plane::bundle::{self, Bundle};
use crate::control_plane::install::{self, KEPT};
use crate::control_plane::push::Listener;
use crate::converge::System;
use crate::k3s::RunMode;
use crate::kubernetes::Api;
use crate::lifetime::Listening;
use crate::peers::{Peer, PeerEndpoints};
use crate::record::Role;
use crate::status::Phase;
use crate::tls;
use crate::wireguard::{Endpoint, private_key};

/// Between two looks while the cluster is on its way up, and afterwards.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks at who has joined: a node whose peer is not there yet tries every five seconds.
const LOOK_AT_PEERS: Duration = Duration::from_secs(5);
/// Between two looks at how long nodes are away.
const LOOK_AT_TRANSIENTS: Duration = Duration::from_mins(1);

/// Runs until the machine is switched off.
pub(super) fn run(facts: &Facts, system: &System, machine: &mut impl Machine) -> anyhow::Result<Infallible> {
    let mut reporter = Reporter::new(system);
    let bundle = given(facts, system, &mut reporter)?;
    reporter.step("claim", StepState::Changed)?;
    install::install(&bundle, system)?;
    machine.connect(&bundle.wireguard_key, &[])?;
    write_files(facts, "vpn", system)?;
    reporter.step("vpn", StepState::Changed)?;
    let store = Arc::new(Objects::reached_by(machine.api()));
    answer_claims(facts, &bundle, &store)?;
    write_files(facts, "k3s", system)?;
    machine.start_k3s(RunMode::Server, Start::IfNeeded).context("starting k3s")?;
    reporter.step("k3s", StepState::Changed)?;
    let api = wait_for_api(&mut reporter, machine)?;
    bundle.order.finish(system)?;
    bootstrap::run(facts, &bundle, &api, system, &mut reporter, machine)?;
    let (mut joined, mut listening, mut looked) = (Vec::new(), Listening::default(), None);
    loop {
        match store.all_joined() {
            Ok(all) => joined = all,
            // Those of before stay: a restart of the API cuts no tunnel.
            Err(fault) => say(&format!("who has joined is not known: {fault}")),
        }
        let peers: Vec<Peer> = joined.iter().cloned().map(Peer::from).collect();
        let tunnels = machine.connect(&bundle.wireguard_key, &peers)?;
        for fault in tunnels.faults {
            say(&fault);
        }
        let now = machine.now();
        if looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_AT_TRANSIENTS) {
            looked = Some(now);
            let may_forget = listening.is_long_enough(machine.knows_time(), now);
            look_after_transients(&joined, may_forget, SystemTime::now(), &store);
        }
        let node = &facts.record.node.name;
        tell(&k3s_node::look(&api, &facts.record), &mut reporter)?;
        reporter.report(|status| {
            let report = NodeReport::of(status, node, Role::ControlPlane, SystemTime::now());
            store.report(&report).map_err(anyhow::Error::from)
        });
        machine.pause(LOOK_AT_PEERS)?;
    }
}

/// The bundle that was kept, or that is waited for.
fn given(facts: &Facts, system: &System, reporter: &mut Reporter<'_>) -> anyhow::Result<Bundle> {
    let node = &facts.record.node.name;
    if let Some(text) = system.read(KEPT)? {
        return bundle::open(&text, &facts.cluster, node).with_context(|| format!("opening `{KEPT}`"));
    }
    let key =
        facts.push_key.as_ref().context("this node has no one-time key: nobody can give it its bundle")?;
    let port = facts.record.vpn.port;
    let listener = listen(port)?;
    let from = &facts.record.operator_addresses;
    let allowed: Vec<String> = from.iter().map(ToString::to_string).collect();
    let allowed = if allowed.is_empty() { String::new() } else { format!(", from {}", allowed.join(" or ")) };
    let hint = format!("`imgbuild up` or `boot` pushes the bundle to TCP port {port}{allowed}");
    reporter.phase(Phase::WaitingForOperator, "waiting for the bundle of this node", Some(&hint))?;
    let waiting = Listener { cluster: &facts.cluster, node, from, system };
    Ok(waiting.wait(&listener, key)?)
}

fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    TcpListener::bind(address).with_context(|| format!("listening on TCP port {port}"))
}

/// Begins to answer claims, for as long as this program runs; without a ready API they are told to come again.
fn answer_claims(facts: &Facts, bundle: &Bundle, store: &Arc<Objects>) -> anyhow::Result<()> {
    let service = Arc::new(Service {
        cluster: bundle.cluster.clone(),
        membership_key: bundle.membership_key(),
        password_key: bundle.password_key(),
        revocations: bundle.revocations.iter().chain(&facts.record.revocations).cloned().collect(),
        hubs: vec![own_peer(facts, bundle)],
        k3s_hash: hash(&bundle.server_token)?.to_owned(),
    });
    let listener = listen(facts.record.vpn.port)?;
    let config = tls::server(&bundle.membership_key())?;
    let store = Arc::clone(store);
    let serve = move || {
        server::serve(&listener, &config, &service, &store, Limits::default(), &AtomicBool::new(false));
    };
    thread::Builder::new().name("claims".to_owned()).spawn(serve).context("starting the claim service")?;
    Ok(())
}

/// This node, as all others are told of it.
fn own_peer(facts: &Facts, bundle: &Bundle) -> Peer {
    let (vpn, endpoints) = (&facts.record.vpn, PeerEndpoints::of(&facts.record));
    // The one control plane is where the cluster is.
    let endpoint = || Endpoint { host: facts.record.cluster.endpoint.clone(), port: vpn.port }.to_string();
    Peer {
        node: facts.record.node.name.clone(),
        role: Role::ControlPlane,
        key: private_key::public(&bundle.wireguard_key).to_string(),
        address: vpn.address,
        endpoint: endpoints.public.or_else(|| Some(endpoint())),
        private_endpoint: endpoints.private,
    }
}

/// What stands before the password in `K10<hash>::server:<password>`.
fn hash(token: &str) -> anyhow::Result<&str> {
    let hash = token.strip_prefix("K10").and_then(|rest| rest.split_once("::")).map(|(hash, _)| hash);
    let hash = hash.filter(|hash| hash.len() == 64);
    hash.context("the bundle's server token does not name the cluster's certificate")
}

fn wait_for_api(reporter: &mut Reporter<'_>, machine: &mut impl Machine) -> anyhow::Result<Api> {
    let reach = machine.api();
    loop {
        let ready = reach().and_then(|api| api.is_ready().map(|()| api));
        match ready {
            Ok(api) => return Ok(api),
            Err(error) => {
                let reason = format!("{:#}", anyhow::Error::from(error));
                let hint = "`journalctl --unit k3s` says what k3s does";
                reporter.phase(Phase::StartingK3s, &reason, Some(hint))?;
            }
        }
        machine.pause(LOOK)?;
    }
}

/// Forgets who was away for too long. A fault with one keeps none of the others from being looked after.
fn look_after_transients(joined: &[Joined], may_forget: bool, now: SystemTime, store: &Objects) {
    for (node, days) in joined.iter().filter_map(|node| Some((node, node.transient?))) {
        let name = &node.node;
        match store.is_overdue(node, days, now) {
            Ok(true) if may_forget => match store.forget(node) {
                Ok(()) => say(&format!("`{name}` was away for more than {days}, and is forgotten")),
                Err(fault) => say(&format!("`{name}` is not forgotten: {fault}")),
            },
            Ok(_) => {}
            Err(fault) => say(&format!("how long `{name}` is away is not known: {fault}")),
        }
    }
}

fn tell(seen: &Seen, reporter: &mut Reporter<'_>) -> anyhow::Result<()> {
    match seen {
        Seen::Ready => reporter.ready(),
        Seen::NotReady(reason) | Seen::Nothing(reason) | Seen::Unknown(reason) => {
            reporter.phase(Phase::StartingK3s, &format!("not Ready: {reason}"), None)
        }
    }
}
