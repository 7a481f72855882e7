//! What spans several keys of the cluster file, and the step from raw to checked.

mod hetzner;
mod network;
mod nodes;
mod services;

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

pub(crate) use hetzner::is_in_zone;

use super::addresses;
use super::raw::{RawCluster, RawFile, RawGitops, RawK3s};
use super::{Available, Cluster, Gitops, K3s, Node, Posture};
use crate::diagnostic::{Located, Report, Span};

/// Checks what spans several keys and fills in the defaults; `None` only after a recorded fault.
pub(super) fn check(raw: RawFile, report: &Report, file: &Path, available: &Available) -> Option<Cluster> {
    let private_range = raw.network.as_ref().and_then(|network| network.private_range.clone());
    let network = network::check(raw.network.unwrap_or_default(), &raw.nodes, report);
    nodes::check(&raw.nodes, network, report, available);
    if let Some(gitops) = &raw.gitops {
        check_access(gitops, report);
    }
    let domain = raw.cluster.as_ref().and_then(|cluster| cluster.domain.as_ref());
    services::check_apps(&raw.apps, domain.is_some(), report);
    services::check_tls(raw.tls.as_ref(), raw.mail.as_ref(), report);
    let of_cluster = raw.cluster.as_ref();
    let around = hetzner::Around {
        cluster: of_cluster.and_then(|cluster| Some(&cluster.name.as_ref()?.value)),
        endpoint: of_cluster.and_then(|cluster| Some(&cluster.endpoint.as_ref()?.value)),
        domain: domain.map(|domain| &domain.value),
        private_range: private_range.as_ref(),
        nodes: &raw.nodes,
    };
    hetzner::check(raw.hetzner.as_ref(), &around, report);
    services::check_people(&raw.admins, &raw.revocations, report);
    let addresses = addresses::assign(&raw.nodes, network.vpn_range, report);
    let admin_addresses = addresses::assign_admins(&raw.admins, network.admin_range, report);
    let nodes: Option<Vec<Node>> =
        raw.nodes.into_iter().zip(addresses).map(|(node, address)| nodes::resolve(node, address?)).collect();
    let admins: Option<_> = raw
        .admins
        .into_iter()
        .zip(admin_addresses)
        .map(|(admin, address)| services::resolve_admin(admin, address?))
        .collect();

    let RawCluster { name, endpoint, domain, posture, time_zone, ssh_keys, mirror } = raw.cluster?;
    check_unique(ssh_keys.iter(), report, |_, first| format!("the key stands in line {first} already"));
    let name = name?.value;
    Some(Cluster {
        file: file.to_owned(),
        endpoint: endpoint?.value,
        domain: domain.map(|domain| domain.value),
        posture: posture.map_or(Posture::BringUp, |posture| posture.value),
        time_zone: value_or(time_zone, "Etc/UTC"),
        ssh_keys: values(ssh_keys),
        mirror: mirror.map(|mirror| mirror.value),
        network,
        k3s: resolve_k3s(raw.k3s?)?,
        gitops: resolved(raw.gitops, resolve_gitops)?,
        tls: resolved(raw.tls, |tls| Some(services::resolve_tls(tls, raw.mail.as_ref())))?,
        mail: resolved(raw.mail, services::resolve_mail)?,
        storage: services::resolve_storage(raw.storage),
        backup: resolved(raw.backup, |backup| services::resolve_backup(backup, &name, report))?,
        hetzner: resolved(raw.hetzner, hetzner::resolve)?,
        apps: raw.apps.into_iter().map(services::resolve_app).collect(),
        nodes: nodes?,
        admins: admins?,
        revocations: raw.revocations.into_iter().map(services::resolve_revocation).collect::<Option<_>>()?,
        name,
    })
}

/// An optional table: absent is fine, there and wrong is not.
#[expect(clippy::option_option, reason = "absent and wrong are two things")]
fn resolved<R, T>(raw: Option<R>, resolve: impl FnOnce(R) -> Option<T>) -> Option<Option<T>> {
    match raw {
        Some(raw) => resolve(raw).map(Some),
        None => Some(None),
    }
}

fn values<T>(list: Vec<Located<T>>) -> Vec<T> {
    list.into_iter().map(|located| located.value).collect()
}

/// The value, or the default, which is written as people would write it.
fn value_or<T: std::str::FromStr<Err: std::fmt::Debug>>(located: Option<Located<T>>, default: &str) -> T {
    located.map_or_else(|| default.parse().expect("defaults are valid"), |located| located.value)
}

fn resolve_k3s(raw: RawK3s) -> Option<K3s> {
    Some(K3s {
        version: raw.version?.value,
        disable: raw.disable.map_or_else(|| vec!["traefik".to_owned()], values),
        max_pods: raw.max_pods.map_or(300, |most| most.value),
        apiserver_args: values(raw.apiserver_args),
        controller_manager_args: values(raw.controller_manager_args),
        kubelet_args: values(raw.kubelet_args),
    })
}

fn resolve_gitops(raw: RawGitops) -> Option<Gitops> {
    Some(Gitops {
        repository: raw.repository?.value,
        revision: value_or(raw.revision, "main"),
        path: value_or(raw.path, "deployment"),
        deploy_key_secret: raw.deploy_key_secret.map(|secret| secret.value),
        known_hosts: values(raw.known_hosts),
    })
}

/// Keys are for repositories by SSH.
fn check_access(gitops: &RawGitops, report: &Report) {
    let Some(repository) = &gitops.repository else { return };
    if !repository.value.as_str().starts_with("http") {
        return;
    }
    let key = gitops.deploy_key_secret.as_ref().map(|secret| (&secret.span, "`deploy-key-secret`"));
    let hosts = gitops.known_hosts.first().map(|line| (&line.span, "`known-hosts`"));
    for (span, key) in key.into_iter().chain(hosts) {
        report.fault(span, format!("{key} is for a repository by SSH, `{}` is none", repository.value));
    }
}

/// Records every value that occurred before; `reason` gets the value and the line of the first.
fn check_unique<'values, T: Eq + Hash + 'values>(
    values: impl Iterator<Item = &'values Located<T>>,
    report: &Report,
    reason: impl Fn(&T, usize) -> String,
) {
    let mut first: HashMap<&T, &Span> = HashMap::new();
    for Located { value, span } in values {
        if let Some(first) = first.get(value) {
            report.fault(span, reason(value, report.line(first)));
        } else {
            first.insert(value, span);
        }
    }
}
