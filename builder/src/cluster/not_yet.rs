//! What a cluster file may ask for already, and this release does not do.

use super::{Cluster, Role, VpnKind};

impl Cluster {
    /// What the file asks for and this release does not do, for people; empty is the rule.
    pub fn not_yet(&self) -> Vec<String> {
        let has_edges = self.nodes_of(Role::Edge).next().is_some();
        let lonely = self.nodes_of(Role::Worker).filter(|worker| has_edges && worker.endpoint.is_none());
        let lonely = lonely.map(|worker| {
            format!("worker `{}` has no `endpoint`: edges will find no way to it", worker.name)
        });
        self.cannot_begin().into_iter().chain(lonely).collect()
    }

    /// The part of it without which no cluster begins.
    pub fn cannot_begin(&self) -> Vec<String> {
        let planes = self.nodes_of(Role::ControlPlane).count();
        let several = (planes > 1).then(|| {
            format!("{planes} control planes are not there yet: clusters are formed by one, and the others would wait")
        });
        let headscale = (self.network.vpn == VpnKind::Headscale).then(|| {
            "`vpn = \"headscale\"` is not there yet: nodes refuse a record that says so; `wireguard` works".to_owned()
        });
        several.into_iter().chain(headscale).collect()
    }
}
