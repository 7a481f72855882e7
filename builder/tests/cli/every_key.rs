//! Every key of the cluster file does something: each is changed in turn, and some output must change with it. Which do is
//! a file to review, `golden/every-key.snap`.
//!
//! The JSON Schema says which keys there are, so that a new one without an entry here fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use imgbuild::cloud::wanted::Wanted;
use imgbuild::cluster::{Available, Cluster};
use imgbuild::deployment;
use serde_json::Value;

use super::check::EVERY_KEY;
use super::program::Place;

/// Keys without an output of their own, and why.
const WITHOUT: [(&str, &str); 2] = [
    ("version", "there is one, and all others are refused"),
    ("cluster.mirror", "where packages are fetched from; the lock knows them by digest"),
];

/// Another value for each key, and what is left out before and after because it would contradict.
const CHANGES: &[(&str, &str, &[&str])] = &[
    ("cluster.name", r#""other""#, &[]),
    ("cluster.endpoint", r#""other.example.org""#, &[]),
    ("cluster.domain", r#""other.example.org""#, &[]),
    ("cluster.posture", r#""bring-up""#, &[]),
    ("cluster.time-zone", r#""Etc/UTC""#, &[]),
    ("cluster.ssh-keys", "[]", &[]),
    ("network.vpn", r#""headscale""#, &[]),
    ("network.vpn-range", r#""10.94.0.0/16""#, &["node.vpn-address"]),
    ("network.vpn-port", "51830", &[]),
    ("network.pod-range", r#""10.95.0.0/16""#, &[]),
    ("network.service-range", r#""10.96.0.0/16""#, &[]),
    ("network.private-range", r#""10.1.0.0/16""#, &["node.private-address"]),
    ("network.admin-range", r#""10.97.0.0/24""#, &["admin.address"]),
    ("network.admin-port", "51830", &[]),
    ("k3s.version", r#""v1.36.5+k3s1""#, &[]),
    ("k3s.disable", "[]", &[]),
    ("k3s.max-pods", "100", &[]),
    ("k3s.apiserver-args", "[]", &[]),
    ("k3s.controller-manager-args", "[]", &[]),
    ("k3s.kubelet-args", "[]", &[]),
    ("gitops.repository", r#""git@git.example.org:other.git""#, &[]),
    ("gitops.revision", r#""v2""#, &[]),
    ("gitops.path", r#""other""#, &[]),
    ("gitops.deploy-key-secret", r#""other""#, &[]),
    ("gitops.known-hosts", "[]", &[]),
    ("tls.issuer", r#""letsencrypt-staging""#, &[]),
    ("tls.email", r#""other@example.org""#, &[]),
    ("mail.server", r#""other.example.org""#, &[]),
    ("mail.port", "25", &[]),
    ("mail.sender", r#""other@example.org""#, &[]),
    ("mail.recipient", r#""other@example.org""#, &[]),
    ("mail.secret", r#""other""#, &[]),
    ("storage.replicas", "1", &[]),
    ("backup.endpoint", r#""other.example.org""#, &[]),
    ("backup.region", r#""south""#, &[]),
    ("backup.etcd-bucket", r#""other-datastore""#, &[]),
    ("backup.longhorn-bucket", r#""other-volumes""#, &[]),
    ("backup.secret", r#""other""#, &[]),
    ("backup.interval-hours", "12", &[]),
    ("backup.keep", "5", &[]),
    ("hetzner.location", r#""ash""#, &[]),
    ("hetzner.other-locations", "[]", &[]),
    ("hetzner.server-type", r#""cax41""#, &[]),
    ("hetzner.other-server-types", "[]", &[]),
    ("hetzner.dns-zone", r#""lab.example.org""#, &[]),
    ("node.name", r#""cp9""#, &[]),
    ("node.role", r#""edge""#, &[]),
    ("node.profile", r#""cloud""#, &[]),
    ("node.image", r#""disk-4k""#, &[]),
    ("node.arch", r#""amd64""#, &[]),
    ("node.vpn-address", r#""10.90.0.8""#, &[]),
    ("node.endpoint", r#""cp9.example.org""#, &[]),
    ("node.private-address", r#""10.0.0.3""#, &[]),
    ("node.server-type", r#""cax41""#, &[]),
    ("node.site", r#""south""#, &[]),
    ("node.labels", r#"{ room = "attic" }"#, &[]),
    ("node.taints", "[]", &[]),
    ("node.hardware.serial", r#""MX-2043""#, &[]),
    ("node.hardware.mac", r#""52:54:00:ab:cd:01""#, &[]),
    ("node.hardware.disk-serial", r#""S4EVNX0N""#, &[]),
    ("node.swap.size", r#""8 GiB""#, &[]),
    ("node.swap.behavior", r#""limited""#, &[]),
    ("node.longhorn.scopes", r#"["south"]"#, &[]),
    ("node.longhorn.disks.path", r#""/var/lib/other""#, &[]),
    ("node.longhorn.disks.tags", "[]", &[]),
    ("node.interfaces.mac", r#""52:54:00:ab:cd:02""#, &[]),
    ("node.interfaces.addresses", r#"["192.168.1.21/24"]"#, &[]),
    ("node.interfaces.gateway", r#""192.168.1.2""#, &[]),
    ("node.interfaces.dns", "[]", &[]),
    ("admin.name", r#""bob""#, &[]),
    ("admin.public-key", r#""AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=""#, &[]),
    ("admin.address", r#""10.93.0.21""#, &[]),
    ("revocation.node", r#""edge8""#, &[]),
    ("revocation.minimum-generation", "4", &[]),
];

/// The app that another does not work without.
const NEEDED: [(&str, &str); 2] = [("gitlab-runner", "gitlab"), ("headplane", "headscale")];

/// Every key that takes a value, as a dotted path.
fn keys(schema: &Value, table: &Value, path: &str, found: &mut BTreeSet<String>) {
    let table = resolved(schema, table);
    let table = if table["type"] == "array" { resolved(schema, &table["items"]) } else { table };
    let Some(properties) = table["properties"].as_object() else {
        found.insert(path.to_owned());
        return;
    };
    for (key, value) in properties {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        keys(schema, value, &path, found);
    }
}

fn resolved<'schema>(schema: &'schema Value, value: &'schema Value) -> &'schema Value {
    let place = value["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
    place.map_or(value, |place| schema.pointer(place).unwrap())
}

/// The table that holds the key, the first of a list, and the key's own name.
fn holder<'file, 'key>(file: &'file mut toml::Table, path: &'key str) -> (&'file mut toml::Table, &'key str) {
    let (tables, key) = path.rsplit_once('.').unwrap();
    // The first node is the only control plane, and must stay one.
    let index = usize::from(path == "node.role");
    let table = tables.split('.').fold(file, |table, name| match table.get_mut(name) {
        Some(toml::Value::Array(list)) => list[index].as_table_mut().unwrap(),
        Some(toml::Value::Table(table)) => table,
        other => panic!("{path}: {other:?}"),
    });
    (table, key)
}

fn set(file: &mut toml::Table, path: &str, value: &str) {
    let value = format!("value = {value}").parse::<toml::Table>().unwrap().remove("value").unwrap();
    let (table, key) = holder(file, path);
    table.insert(key.to_owned(), value);
}

/// All that is made from the file, by name.
fn outputs(file: &toml::Table) -> BTreeMap<String, String> {
    let text = file.to_string();
    let available = Available {
        profiles: ["cloud", "edge", "mine"].map(str::to_owned).to_vec(),
        images: ["disk", "disk-4k"].map(str::to_owned).to_vec(),
    };
    let cluster = Cluster::parse(&text, Path::new("cluster.toml"), &available);
    let cluster = cluster.unwrap_or_else(|faults| panic!("{faults}"));
    let mut outputs = BTreeMap::new();
    for (place, node) in cluster.nodes.iter().enumerate() {
        let record = cluster.record(node);
        outputs.insert(format!("record {place}"), serde_json::to_string_pretty(&record).unwrap());
        outputs.insert(format!("plan {place}"), format!("{:#?}", firstboot::plan::plan(&record)));
    }
    let rendered = format!("{}\n{}", deployment::place(&cluster).display(), deployment::render(&cluster));
    outputs.insert("rendered".to_owned(), rendered);
    let wanted = cluster.hetzner.as_ref().map(|hetzner| Wanted::new(&cluster, hetzner));
    outputs.insert("servers".to_owned(), serde_json::to_string_pretty(&wanted).unwrap());
    let place = Place::with(&text);
    place.write("profiles/mine.toml", "version = 1\ndescription = \"mine\"\ninherits = \"cloud\"\n");
    let (code, bundles, stderr) = place.output(&["check"], &place.path());
    assert_eq!(code, 0, "{stderr}");
    outputs.insert("bundles of nodes".to_owned(), bundles);
    outputs
}

/// Names of the outputs that a change of one key changes.
fn changed(before: &toml::Table, after: &toml::Table) -> BTreeSet<String> {
    let [before, after] = [before, after].map(outputs);
    before.into_iter().filter(|(name, text)| after.get(name) != Some(text)).map(|(name, _)| name).collect()
}

#[test]
fn every_key_changes_some_output() {
    let schema = imgbuild::cluster::schema().to_value();
    let mut all = BTreeSet::new();
    keys(&schema, &schema, "", &mut all);
    let (apps, all): (BTreeSet<String>, BTreeSet<String>) =
        all.into_iter().partition(|key| key.starts_with("apps."));
    let entries: BTreeSet<String> =
        CHANGES.iter().map(|(key, ..)| *key).chain(WITHOUT.map(|(key, _)| key)).map(str::to_owned).collect();
    assert_eq!(all, entries, "the schema's keys, and those that this test changes");

    let file: toml::Table = EVERY_KEY.parse().unwrap();
    let (mut idle, mut shown) = (Vec::new(), String::new());
    for (key, value, without) in CHANGES {
        let mut before = file.clone();
        for key in *without {
            let (table, name) = holder(&mut before, key);
            table.remove(name).unwrap();
        }
        let mut after = before.clone();
        set(&mut after, key, value);
        assert_ne!(before, after, "{key} is changed");
        let changed = changed(&before, &after);
        if changed.is_empty() {
            idle.push((*key).to_owned());
        }
        let _ = writeln!(shown, "{key:28} {}", changed.into_iter().collect::<Vec<_>>().join(", "));
    }
    for key in &apps {
        let name = key.split('.').nth(1).unwrap();
        let mut before = file.clone();
        let needed = NEEDED.iter().filter(|(app, _)| *app == name).map(|(_, needed)| *needed);
        let named = needed.chain([name]).map(|app| (app.to_owned(), toml::Value::Table(toml::Table::new())));
        before.insert("apps".to_owned(), toml::Value::Table(named.collect()));
        let mut after = before.clone();
        set(&mut after, key, if key.ends_with(".enabled") { "false" } else { "{ replicas = 7 }" });
        // All of them by the one rendered file.
        if !changed(&before, &after).contains("rendered") {
            idle.push(key.clone());
        }
    }
    assert!(idle.is_empty(), "these keys do nothing: {idle:?}");
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("every-key", shown);
    });
}
