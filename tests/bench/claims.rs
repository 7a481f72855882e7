//! Claims of a thousand nodes in bursts, at a service whose store is the API of the k3s stand-in; and beside it what no
//! service can do without: the same number of exchanges over TLS, and of objects made in the same API.

mod control_plane;
mod node;
mod serving;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use firstboot::claim::objects::Objects;
use firstboot::claim::server::{self, Limits};
use firstboot::claim::store::Store as _;
use firstboot::exchange::{self, Peer};
use firstboot::http::{Answer, Request};
use firstboot::kubernetes::Api;
use firstboot::public_key::PublicKey;
use firstboot::tls;
use serde_json::json;

use self::control_plane::{ControlPlane, MEMBERSHIPS, key};
use self::node::Node;
use self::serving::Serving;

/// Nodes that claim.
const NODES: u16 = 1000;
/// How many of them do so at a time.
const BURST: usize = 50;
/// For one exchange of what runs beside.
const TIME: Duration = Duration::from_secs(20);
const CONFIG_MAPS: &str = "/api/v1/namespaces/kube-system/configmaps";

/// Where claims are made.
#[derive(Debug)]
pub(crate) struct Claims {
    control_plane: ControlPlane,
}

/// What came of the claims.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimed {
    pub(crate) seconds: f64,
    /// Claims that were not granted when they were asked for, or not kept.
    pub(crate) lost: u16,
}

impl Claims {
    /// Starts the stand-in, in `folder`.
    pub(crate) fn prepare(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self { control_plane: ControlPlane::start(folder)? })
    }

    /// All nodes claim their places; `run` makes them others than those of other runs.
    pub(crate) fn claim(&self, run: u32) -> anyhow::Result<Claimed> {
        let service = Arc::new(self.control_plane.service());
        let store = Arc::new(Objects::new(self.control_plane.api.clone()));
        let config = tls::server(&key(MEMBERSHIPS))?;
        let kept = Arc::clone(&store);
        let serving = Serving::start(move |listener, is_over| {
            server::serve(listener, &config, &service, &kept, Limits::default(), is_over);
        })?;
        let nodes = (0..NODES).map(|number| Node::new(run, number)).collect::<anyhow::Result<Vec<_>>>()?;
        let started = Instant::now();
        let granted = in_bursts(&nodes, |node| node.claim(serving.address));
        let seconds = started.elapsed().as_secs_f64();
        let kept: BTreeSet<String> = store.all_joined()?.into_iter().map(|joined| joined.node).collect();
        let joined =
            nodes.iter().zip(granted).filter(|(node, is_granted)| *is_granted && kept.contains(&node.name));
        let lost = usize::from(NODES).saturating_sub(joined.count());
        Ok(Claimed { seconds, lost: u16::try_from(lost).context("counting what was lost")? })
    }

    /// For each node two exchanges, as challenge and claim are, and two objects, as a burnt ticket and a node are: seconds.
    pub(crate) fn beside(&self, run: u32) -> anyhow::Result<f64> {
        let (api, config) = (self.control_plane.api.clone(), tls::server(&key(MEMBERSHIPS))?);
        let serving = Serving::start(move |listener, is_over| {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (api, config) = (api.clone(), Arc::clone(&config));
                thread::spawn(move || {
                    exchange::serve(stream, &config, (TIME, 0), |request| make(request, &api))
                });
            }
        })?;
        let config = tls::client(&PublicKey::of(&key(MEMBERSHIPS)))?;
        let peer = Peer { address: serving.address, name: None, config, time: TIME, longest: 1024 };
        let names: Vec<String> = (0..NODES).map(|number| format!("beside-{run}-{number}")).collect();
        let started = Instant::now();
        let made = in_bursts(&names, |name| {
            let asked =
                ["GET", "POST"].map(|method| peer.ask(method, &format!("/{name}"), "text/plain", &[]));
            asked.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200))
        });
        let seconds = started.elapsed().as_secs_f64();
        ensure!(made.iter().all(|is_made| *is_made), "not all of what runs beside was made");
        Ok(seconds)
    }
}

/// What the service beside does: an object for each of both exchanges.
fn make(request: &Request, api: &Api) -> Answer {
    let name = format!("{}-{}", request.path.trim_start_matches('/'), request.method.to_lowercase());
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
    let is_made = api.create(CONFIG_MAPS, &object).is_ok_and(|made| made.is_some());
    Answer::text(if is_made { 200 } else { 503 }, "")
}

/// Does `once` for all, [`BURST`] at a time, each burst to its end.
fn in_bursts<T: Sync>(all: &[T], once: impl Fn(&T) -> bool + Sync) -> Vec<bool> {
    let burst = |some: &[T]| {
        thread::scope(|scope| {
            let asking: Vec<_> = some.iter().map(|one| scope.spawn(|| once(one))).collect();
            asking.into_iter().map(|thread| thread.join().unwrap_or(false)).collect::<Vec<_>>()
        })
    };
    all.chunks(BURST).flat_map(burst).collect()
}
