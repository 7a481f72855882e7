//! What of the cluster file the tree's apps are told.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cluster::{App, Cluster, Issuer, Role};

/// Format of the file.
const VERSION: u32 = 1;

/// The values, by topic. A topic that the cluster file says nothing of is `null`.
pub(super) fn of(cluster: &Cluster) -> Value {
    json!({
        "version": VERSION,
        "cluster": {
            "name": cluster.name,
            "domain": cluster.domain,
            "endpoint": cluster.endpoint,
            "apiServer": firstboot::record::api_name(cluster.name.as_str()),
            "timeZone": cluster.time_zone,
            "posture": cluster.posture,
            "controlPlanes": cluster.nodes_of(Role::ControlPlane).count(),
        },
        "network": {
            "vpnRange": cluster.network.vpn_range,
            "podRange": cluster.network.pod_range,
            "serviceRange": cluster.network.service_range,
            "privateRange": cluster.network.private_range,
            "adminRange": cluster.network.admin_range,
        },
        "k3s": { "version": cluster.k3s.version },
        "gitops": cluster.gitops.as_ref().map(|gitops| json!({
            "repository": gitops.repository,
            "revision": gitops.revision,
            "path": gitops.path,
        })),
        "tls": cluster.tls.as_ref().map(|tls| json!({
            "issuer": tls.issuer,
            "email": tls.email,
            // Whether programs that are told to verify will be content.
            "isTrusted": tls.issuer == Issuer::LetsencryptProduction,
        })),
        "mail": cluster.mail.as_ref().map(|mail| json!({
            "server": mail.server,
            "port": mail.port,
            "sender": mail.sender,
            "recipient": mail.recipient,
            "secret": mail.secret,
        })),
        "storage": { "scopes": scopes(cluster) },
        "backup": cluster.backup.as_ref().map(|backup| json!({
            "endpoint": backup.endpoint,
            "region": backup.region,
            "etcdBucket": backup.etcd_bucket,
            "longhornBucket": backup.longhorn_bucket,
            "secret": backup.secret,
        })),
        "apps": apps(cluster),
    })
}

/// Every scope that a node has, with its nodes and the copies that a volume can have there: no more than nodes.
fn scopes(cluster: &Cluster) -> Value {
    let mut nodes: BTreeMap<&str, u32> = BTreeMap::new();
    for scope in
        cluster.nodes.iter().filter_map(|node| node.longhorn.as_ref()).flat_map(|longhorn| &longhorn.scopes)
    {
        *nodes.entry(scope.as_str()).or_default() += 1;
    }
    let scope = |nodes: &u32| json!({ "nodes": nodes, "replicas": cluster.storage.replicas.min(*nodes) });
    nodes.iter().map(|(name, nodes)| ((*name).to_owned(), scope(nodes))).collect::<Map<_, _>>().into()
}

/// Every app, those too that the cluster file does not name.
fn apps(cluster: &Cluster) -> Value {
    let off = App::names().map(|name| (name.to_owned(), json!({ "enabled": false, "values": {} })));
    let mut apps: Map<String, Value> = off.collect();
    for App { name, enabled, values } in &cluster.apps {
        apps.insert((*name).to_owned(), json!({ "enabled": enabled, "values": values }));
    }
    apps.into()
}
