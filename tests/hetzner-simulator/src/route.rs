//! What is answered: method and path of every request, and who answers it.

use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::resource::firewall::{self, Firewall};
use crate::resource::image::{self, Image};
use crate::resource::network::{self, Network};
use crate::resource::placement_group::{self, PlacementGroup};
use crate::resource::primary_ip::{self, PrimaryIp};
use crate::resource::server::{Server, attach, create as server, disk, power};
use crate::resource::ssh_key::{self, SshKey};
use crate::resource::zone::{self, Zone};
use crate::resource::{self, record_set};

pub(crate) type Handler = fn(&mut Call<'_>) -> Result<Reply, ApiError>;

/// Method, path below `/v1`, handler.
#[rustfmt::skip]
pub(crate) const ROUTES: &[(&str, &str, Handler)] = &[
    ("GET", "/actions", resource::actions),
    ("GET", "/actions/{id}", resource::action),

    ("GET", "/servers", resource::list::<Server>),
    ("POST", "/servers", server::create),
    ("GET", "/servers/actions", resource::kind_actions::<Server>),
    ("GET", "/servers/actions/{id}", resource::kind_action::<Server>),
    ("GET", "/servers/{id}", resource::get::<Server>),
    ("PUT", "/servers/{id}", resource::update::<Server>),
    ("DELETE", "/servers/{id}", server::delete),
    ("GET", "/servers/{id}/actions", resource::own_actions::<Server>),
    ("POST", "/servers/{id}/actions/poweron", power::power_on),
    ("POST", "/servers/{id}/actions/poweroff", power::power_off),
    ("POST", "/servers/{id}/actions/reboot", power::reboot),
    ("POST", "/servers/{id}/actions/reset", power::reset),
    ("POST", "/servers/{id}/actions/shutdown", power::shutdown),
    ("POST", "/servers/{id}/actions/enable_rescue", power::enable_rescue),
    ("POST", "/servers/{id}/actions/disable_rescue", power::disable_rescue),
    ("POST", "/servers/{id}/actions/change_protection", power::protect),
    ("POST", "/servers/{id}/actions/create_image", disk::create_image),
    ("POST", "/servers/{id}/actions/rebuild", disk::rebuild),
    ("POST", "/servers/{id}/actions/change_type", disk::change_type),
    ("POST", "/servers/{id}/actions/attach_to_network", attach::attach),
    ("POST", "/servers/{id}/actions/detach_from_network", attach::detach),
    ("POST", "/servers/{id}/actions/add_to_placement_group", attach::join_group),
    ("POST", "/servers/{id}/actions/remove_from_placement_group", attach::leave_group),
    ("GET", "/servers/{id}/actions/{action_id}", resource::own_action::<Server>),

    ("GET", "/images", image::list),
    ("GET", "/images/actions", resource::kind_actions::<Image>),
    ("GET", "/images/actions/{id}", resource::kind_action::<Image>),
    ("GET", "/images/{id}", resource::get::<Image>),
    ("PUT", "/images/{id}", image::update),
    ("DELETE", "/images/{id}", resource::delete::<Image>),
    ("GET", "/images/{id}/actions", resource::own_actions::<Image>),
    ("POST", "/images/{id}/actions/change_protection", image::protect),
    ("GET", "/images/{id}/actions/{action_id}", resource::own_action::<Image>),

    ("GET", "/server_types", resource::server_types),
    ("GET", "/server_types/{id}", resource::server_type),
    ("GET", "/locations", resource::locations),
    ("GET", "/locations/{id}", resource::location),
    ("GET", "/pricing", resource::pricing),

    ("GET", "/ssh_keys", resource::list::<SshKey>),
    ("POST", "/ssh_keys", ssh_key::create),
    ("GET", "/ssh_keys/{id}", resource::get::<SshKey>),
    ("PUT", "/ssh_keys/{id}", resource::update::<SshKey>),
    ("DELETE", "/ssh_keys/{id}", resource::delete::<SshKey>),

    ("GET", "/networks", resource::list::<Network>),
    ("POST", "/networks", network::create),
    ("GET", "/networks/actions", resource::kind_actions::<Network>),
    ("GET", "/networks/actions/{id}", resource::kind_action::<Network>),
    ("GET", "/networks/{id}", resource::get::<Network>),
    ("PUT", "/networks/{id}", network::update),
    ("DELETE", "/networks/{id}", resource::delete::<Network>),
    ("GET", "/networks/{id}/actions", resource::own_actions::<Network>),
    ("POST", "/networks/{id}/actions/add_subnet", network::add_subnet),
    ("POST", "/networks/{id}/actions/delete_subnet", network::delete_subnet),
    ("POST", "/networks/{id}/actions/add_route", network::add_route),
    ("POST", "/networks/{id}/actions/delete_route", network::delete_route),
    ("POST", "/networks/{id}/actions/change_ip_range", network::change_ip_range),
    ("POST", "/networks/{id}/actions/change_protection", resource::protect::<Network>),
    ("GET", "/networks/{id}/actions/{action_id}", resource::own_action::<Network>),

    ("GET", "/firewalls", resource::list::<Firewall>),
    ("POST", "/firewalls", firewall::create),
    ("GET", "/firewalls/actions", resource::kind_actions::<Firewall>),
    ("GET", "/firewalls/actions/{id}", resource::kind_action::<Firewall>),
    ("GET", "/firewalls/{id}", resource::get::<Firewall>),
    ("PUT", "/firewalls/{id}", resource::update::<Firewall>),
    ("DELETE", "/firewalls/{id}", resource::delete::<Firewall>),
    ("GET", "/firewalls/{id}/actions", resource::own_actions::<Firewall>),
    ("POST", "/firewalls/{id}/actions/set_rules", firewall::set_rules),
    ("POST", "/firewalls/{id}/actions/apply_to_resources", firewall::apply),
    ("POST", "/firewalls/{id}/actions/remove_from_resources", firewall::remove),
    ("GET", "/firewalls/{id}/actions/{action_id}", resource::own_action::<Firewall>),

    ("GET", "/placement_groups", resource::list::<PlacementGroup>),
    ("POST", "/placement_groups", placement_group::create),
    ("GET", "/placement_groups/{id}", resource::get::<PlacementGroup>),
    ("PUT", "/placement_groups/{id}", resource::update::<PlacementGroup>),
    ("DELETE", "/placement_groups/{id}", resource::delete::<PlacementGroup>),

    ("GET", "/primary_ips", resource::list::<PrimaryIp>),
    ("POST", "/primary_ips", primary_ip::create),
    ("GET", "/primary_ips/actions", resource::kind_actions::<PrimaryIp>),
    ("GET", "/primary_ips/actions/{id}", resource::kind_action::<PrimaryIp>),
    ("GET", "/primary_ips/{id}", resource::get::<PrimaryIp>),
    ("PUT", "/primary_ips/{id}", primary_ip::update),
    ("DELETE", "/primary_ips/{id}", resource::delete::<PrimaryIp>),
    ("GET", "/primary_ips/{id}/actions", resource::own_actions::<PrimaryIp>),
    ("POST", "/primary_ips/{id}/actions/assign", primary_ip::assign),
    ("POST", "/primary_ips/{id}/actions/unassign", primary_ip::unassign),
    ("POST", "/primary_ips/{id}/actions/change_protection", primary_ip::protect),
    ("GET", "/primary_ips/{id}/actions/{action_id}", resource::own_action::<PrimaryIp>),

    ("GET", "/zones", resource::list::<Zone>),
    ("POST", "/zones", zone::create),
    ("GET", "/zones/actions", resource::kind_actions::<Zone>),
    ("GET", "/zones/actions/{id}", resource::kind_action::<Zone>),
    ("GET", "/zones/{id_or_name}", zone::get),
    ("PUT", "/zones/{id_or_name}", zone::update),
    ("DELETE", "/zones/{id_or_name}", zone::delete),
    ("GET", "/zones/{id_or_name}/actions", zone::actions),
    ("POST", "/zones/{id_or_name}/actions/change_ttl", zone::change_ttl),
    ("POST", "/zones/{id_or_name}/actions/change_protection", zone::protect),
    ("GET", "/zones/{id_or_name}/actions/{action_id}", zone::action),
    ("GET", "/zones/{id_or_name}/rrsets", record_set::list),
    ("POST", "/zones/{id_or_name}/rrsets", record_set::create),
    ("GET", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}", record_set::get),
    ("PUT", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}", record_set::update),
    ("DELETE", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}", record_set::delete),
    ("POST", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/set_records", record_set::set_records),
    ("POST", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/add_records", record_set::add_records),
    ("POST", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/remove_records", record_set::remove_records),
    ("POST", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/update_records", record_set::update_records),
    ("POST", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/change_ttl", record_set::change_ttl),
    ("POST", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/change_protection", record_set::protect),
];

/// Where a request goes.
pub(crate) enum Found {
    Route(Handler, Vec<String>),
    /// Other methods are answered here.
    OtherMethods(Vec<&'static str>),
    Nothing,
}

/// Finds who answers; `path` is that below `/v1`, still encoded. A path that is written out goes before one with
/// parameters, whatever the method.
pub(crate) fn find(method: &str, path: &str) -> Found {
    let fitting =
        |(_, pattern, _): &&(&'static str, &'static str, Handler)| parameters(pattern, path).is_some();
    let parameter_count = |(_, pattern, _): &&(&str, &str, Handler)| pattern.matches('{').count();
    let Some((_, pattern, _)) = ROUTES.iter().filter(fitting).min_by_key(parameter_count) else {
        return Found::Nothing;
    };
    let own = || ROUTES.iter().filter(|(_, other, _)| other == pattern);
    match own().find(|(other, _, _)| *other == method) {
        Some((_, _, handler)) => Found::Route(*handler, parameters(pattern, path).unwrap_or_default()),
        None => Found::OtherMethods(own().map(|(method, _, _)| *method).collect()),
    }
}

fn parameters(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (patterns, steps) = (pattern.split('/'), path.split('/').collect::<Vec<_>>());
    if patterns.clone().count() != steps.len() {
        return None;
    }
    let mut found = Vec::new();
    for (pattern, step) in patterns.zip(steps) {
        if pattern.starts_with('{') {
            found.push(percent_encoding::percent_decode_str(step).decode_utf8_lossy().into_owned());
        } else if pattern != step {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_document_claims_what_is_answered() {
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/hetzner-cloud-5134cbc.json.zst");
        let document = zstd::decode_all(File::open(packed).unwrap()).unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        let claimed: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let answered: BTreeSet<String> =
            ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        assert_eq!(claimed, answered);
    }

    #[test]
    fn paths_that_are_written_out_go_first() {
        let Found::OtherMethods(methods) = find("GET", "/servers/1/actions/poweron") else {
            panic!("`poweron` is taken for the ID of an action")
        };
        assert_eq!(methods, ["POST"]);
        let Found::Route(_, parameters) = find("GET", "/zones/example.com/rrsets/%40/NS") else {
            panic!("no route")
        };
        assert_eq!(parameters, ["example.com", "@", "NS"]);
        assert!(matches!(find("GET", "/servers/1/"), Found::Nothing));
    }
}
