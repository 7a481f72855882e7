//! A project of the Hetzner simulator with what others have in it: a colleague's run that goes on at another computer, one
//! that goes on at this one, and things that carry no label.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hetzner_simulator::{Fault, FaultKind, Options, Simulator, ZoneRecord};
use ipnet::Ipv4Net;
use machine::HetznerApi;
use serde_json::{Value, json};

use super::site::{CLUSTER, ZONE};

/// How long each action takes, and each request: calls are spread over seconds.
pub(super) const ACTION: Duration = Duration::from_millis(300);
const REQUEST: Duration = Duration::from_millis(20);
/// More than any case needs.
const BUDGET: u64 = 1_000_000;
/// In the year 2096, in seconds.
const LATE: &str = "4000000000";

/// Of this computer.
const HERE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 77, 0, 0), 24);

/// Where the servers' addresses lead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Addresses {
    /// To nobody.
    Nowhere,
    /// To this computer.
    Here,
}

pub(super) struct Project {
    pub(super) simulator: Simulator,
    api: HetznerApi,
}

/// All that there is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct All {
    /// By kind and number, as the API shows it.
    pub(super) resources: BTreeMap<String, Value>,
    records: Vec<ZoneRecord>,
}

impl Project {
    /// One in which others have something of every kind, and the zone is there.
    pub(super) fn new(public_key: &str, addresses: Addresses) -> anyhow::Result<Self> {
        let mut options = Options { requests_per_hour: BUDGET, ..Options::default() };
        if addresses == Addresses::Here {
            options.ipv4_ranges = vec![HERE];
        }
        let simulator = Simulator::start(options).context("starting the simulator")?;
        let api = HetznerApi::new(&simulator.url(), simulator.token())?;
        let project = Self { simulator, api };
        project.api.ask("POST", "/zones", &json!({ "name": ZONE, "mode": "primary" }))?;
        let colleagues = [("other", "0123456789abcdef-4026531836-1-1".to_owned()), ("third", own_process()?)];
        for ((cluster, process), run) in colleagues.into_iter().zip(1..) {
            let run = format!("{run:016}");
            let lock = json!({
                "imgbuild.org/lock": cluster, "imgbuild.org/run": run, "imgbuild.org/owner": "bob-laptop",
                "imgbuild.org/process": process,
                "imgbuild.org/since": "1795227046", "imgbuild.org/expires": LATE,
            });
            let name = format!("imgbuild-lock-{cluster}");
            project.api.make("/firewalls", "firewall", &json!({ "name": name, "labels": lock }))?;
            project.furnish(cluster, &json!({ "imgbuild.org/cluster": cluster, "imgbuild.org/run": run }))?;
        }
        project.furnish("web", &json!({}))?;
        let key = json!({ "name": "tester", "public_key": public_key.trim() });
        project.api.make("/ssh_keys", "ssh_key", &key)?;
        Ok(project)
    }

    /// What a cluster of one server has, with a snapshot.
    pub(super) fn furnish(&self, name: &str, labels: &Value) -> anyhow::Result<()> {
        let make = |path, kind, body: &Value| self.api.make(path, kind, body);
        let subnet = json!({ "type": "cloud", "ip_range": "10.0.0.0/16", "network_zone": "eu-central" });
        let network = json!({
            "name": name, "labels": labels, "ip_range": "10.0.0.0/16", "subnets": [subnet],
        });
        let network = make("/networks", "network", &network)?;
        let group = json!({ "name": name, "labels": labels, "type": "spread" });
        let group = make("/placement_groups", "placement_group", &group)?;
        let address = |family: &str| {
            let address = json!({
                "name": format!("{name}-cp1-{family}"), "labels": labels, "type": family, "location": "fsn1",
                "assignee_type": "server", "auto_delete": false,
            });
            make("/primary_ips", "primary_ip", &address)
        };
        let public = json!({ "ipv4": address("ipv4")?, "ipv6": address("ipv6")? });
        let server = json!({
            "name": format!("{name}-cp1"), "labels": labels, "server_type": "cx23", "image": "debian-13",
            "location": "fsn1", "placement_group": group, "networks": [network], "public_net": public,
        });
        let server = make("/servers", "server", &server)?;
        let target = match labels["imgbuild.org/cluster"].as_str() {
            Some(cluster) => {
                let selector = format!("imgbuild.org/cluster={cluster}");
                json!({ "type": "label_selector", "label_selector": { "selector": selector } })
            }
            None => json!({ "type": "server", "server": { "id": server } }),
        };
        make("/firewalls", "firewall", &json!({ "name": name, "labels": labels, "apply_to": [target] }))?;
        self.snapshot(&server, &format!("digest-of-{name}"), labels)?;
        let records = json!([{ "value": "192.0.2.77" }]);
        let set = json!({ "name": name, "type": "A", "records": records, "labels": labels });
        self.api.done(&self.api.ask("POST", &format!("/zones/{ZONE}/rrsets"), &set)?)
    }

    fn snapshot(&self, server: &Value, digest: &str, labels: &Value) -> anyhow::Result<()> {
        let mut labels = labels.clone();
        labels["imgbuild.org/digest"] = digest.into();
        let body = json!({ "type": "snapshot", "description": digest, "labels": labels });
        let reply = self.api.ask("POST", &format!("/servers/{server}/actions/create_image"), &body)?;
        self.api.done(&reply)
    }

    /// Somebody takes the lock of the cluster away.
    pub(super) fn unlock(&self) -> anyhow::Result<()> {
        let resources = self.all().resources;
        let lock = resources.iter().find(|(name, _)| is_lock(name)).context("there is no lock")?.1;
        self.api.ask("DELETE", &format!("/firewalls/{}", lock["id"]), &Value::Null).map(drop)
    }

    /// The snapshot of the cluster's image, as an earlier run has left it.
    pub(super) fn upload(&self, digest: &str) -> anyhow::Result<()> {
        let server = json!({
            "name": "upload", "server_type": "cx23", "image": "debian-13", "location": "fsn1",
            "start_after_create": false,
        });
        let server = self.api.make("/servers", "server", &server)?;
        self.snapshot(&server, digest, &json!({ "imgbuild.org/cluster": CLUSTER }))?;
        self.api.done(&self.api.ask("DELETE", &format!("/servers/{server}"), &Value::Null)?)
    }

    /// From now on everything takes its time, and is logged.
    pub(super) fn slow_down(&self) {
        self.simulator.set_action_delay(ACTION);
        self.simulator.add_fault(Fault::on("*", "/**", FaultKind::Delay(REQUEST)).times(u64::MAX));
        self.simulator.forget_requests();
    }

    /// Requests so far that change something.
    pub(super) fn changes(&self) -> Vec<String> {
        let all = self.simulator.requests().into_iter().filter(|request| request.method != "GET");
        all.map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    pub(super) fn all(&self) -> All {
        let mut resources = BTreeMap::new();
        for (kind, all) in self.simulator.resources().as_object().into_iter().flatten() {
            for one in all.as_array().into_iter().flatten() {
                let name = one["name"].as_str().or(one["description"].as_str()).unwrap_or_default();
                let mut one = one.clone();
                if kind == "zones" {
                    // Everybody's, told apart by the records themselves.
                    one["record_count"] = Value::Null;
                }
                resources.insert(format!("{kind} {} {name}", one["id"]), one);
            }
        }
        All { resources, records: self.simulator.records() }
    }

    /// Whether all that the cluster has is whole, and no run works on it.
    pub(super) fn is_settled(&self) -> bool {
        let all = self.simulator.resources();
        let mut all =
            all.as_object().into_iter().flatten().flat_map(|(_, all)| all.as_array().into_iter().flatten());
        !all.any(|one| {
            let is = |key: &str| one["labels"][key] == CLUSTER;
            is("imgbuild.org/lock")
                || is("imgbuild.org/cluster") && !one["labels"]["imgbuild.org/run"].is_null()
        })
    }

    /// A server that a run has made is on.
    pub(super) fn has_upload_server_on(&self) -> bool {
        let all = self.simulator.resources();
        all["servers"].as_array().into_iter().flatten().any(|server| {
            let is_upload = |name: &str| name.starts_with("imgbuild-upload-");
            server["name"].as_str().is_some_and(is_upload) && server["status"] == "running"
        })
    }
}

impl All {
    /// Fails unless both are the same.
    pub(super) fn must_be(&self, expected: &Self) -> anyhow::Result<()> {
        self.must_have(expected)?;
        let more = self.more_than(expected);
        ensure!(more.is_empty(), "left behind: {}", more.join(", "));
        Ok(())
    }

    /// Fails unless all of `others` is there as it was.
    pub(super) fn must_have(&self, others: &Self) -> anyhow::Result<()> {
        for (name, before) in &others.resources {
            let now = self.resources.get(name).with_context(|| format!("{name} is gone"))?;
            ensure!(now == before, "{name} was {before}\nand is {now}");
        }
        for record in &others.records {
            ensure!(self.records.contains(record), "{record:?} is gone");
        }
        Ok(())
    }

    /// The same but for locks.
    pub(super) fn without_locks(&self) -> Self {
        let mut all = self.clone();
        all.resources.retain(|name, _| !is_lock(name));
        all
    }

    /// Names of what is here and not there.
    pub(super) fn more_than(&self, other: &Self) -> Vec<String> {
        let resources = self.resources.keys().filter(|name| !other.resources.contains_key(*name)).cloned();
        let records = self.records.iter().filter(|record| !other.records.contains(record));
        resources.chain(records.map(|record| format!("record {} {}", record.name, record.kind))).collect()
    }
}

/// Whether it is the lock of the cluster.
pub(super) fn is_lock(name: &str) -> bool {
    name.ends_with(&format!(" imgbuild-lock-{CLUSTER}"))
}

/// Name of this process as a lock has it: boot, PID namespace, PID, start.
fn own_process() -> anyhow::Result<String> {
    let read = |path: &str| fs::read_to_string(path).with_context(|| format!("reading `{path}`"));
    let boot = read("/proc/sys/kernel/random/boot_id")?.replace('-', "");
    let namespace = fs::read_link("/proc/self/ns/pid").context("asking for the PID namespace")?;
    let namespace = namespace.to_string_lossy().replace(|letter: char| !letter.is_ascii_digit(), "");
    let told = read("/proc/self/stat")?;
    let (_, fields) = told.rsplit_once(") ").context("`/proc/self/stat` has no name")?;
    let start = fields.split(' ').nth(19).context("`/proc/self/stat` has no start")?;
    Ok(format!(
        "{}-{namespace}-{}-{start}",
        boot.get(..16).context("the boot has no ID")?,
        std::process::id()
    ))
}
