//! Calls of a plan as the API's reference has them.

use super::label::RUN;
use crate::cloud::plan::{Action, BucketCall};
use crate::cloud::wanted::CLUSTER_LABEL;

/// Method and path. What has no number yet is `{id}` there, as in the reference.
pub fn request_line(action: &Action) -> String {
    let of = |kind: &str, id: u64, command: &str| format!("POST /{kind}/{id}/actions/{command}");
    let server = |id: &Option<u64>, command: &str| {
        let id = id.map_or_else(|| "{id}".to_owned(), |id| id.to_string());
        format!("POST /servers/{id}/actions/{command}")
    };
    match action {
        Action::CreateNetwork { .. } => "POST /networks".to_owned(),
        Action::AddSubnet { network, .. } => of("networks", *network, "add_subnet"),
        Action::CreateFirewall { .. } => "POST /firewalls".to_owned(),
        Action::SetRules { firewall, .. } => of("firewalls", *firewall, "set_rules"),
        Action::ApplyFirewall { firewall } => of("firewalls", *firewall, "apply_to_resources"),
        Action::CreatePlacementGroup => "POST /placement_groups".to_owned(),
        Action::CreateAddress { .. } => "POST /primary_ips".to_owned(),
        Action::CreateServer { .. } => "POST /servers".to_owned(),
        Action::AttachToNetwork { server: id, .. } => server(id, "attach_to_network"),
        Action::DetachFromNetwork { server, .. } => of("servers", *server, "detach_from_network"),
        Action::AssignAddress { address, .. } => of("primary_ips", *address, "assign"),
        Action::Shutdown { server } => of("servers", *server, "shutdown"),
        Action::Rebuild { server } => of("servers", *server, "rebuild"),
        Action::PowerOn { server: id } => server(id, "poweron"),
        Action::DeleteServer { server } => format!("DELETE /servers/{server}"),
        Action::DeleteAddress { address } => format!("DELETE /primary_ips/{address}"),
        Action::DeletePlacementGroup { group } => format!("DELETE /placement_groups/{group}"),
        Action::RemoveFirewall { firewall } => of("firewalls", *firewall, "remove_from_resources"),
        Action::DeleteFirewall { firewall } => format!("DELETE /firewalls/{firewall}"),
        Action::DeleteNetwork { network } => format!("DELETE /networks/{network}"),
        Action::DeleteSnapshot { snapshot } => format!("DELETE /images/{snapshot}"),
        Action::CreateRecords { zone, .. } => format!("POST /zones/{zone}/rrsets"),
        Action::SetRecords { zone, name, record } => {
            format!("POST /zones/{zone}/rrsets/{name}/{record}/actions/set_records")
        }
        Action::ChangeTtl { zone, name, record } => {
            format!("POST /zones/{zone}/rrsets/{name}/{record}/actions/change_ttl")
        }
        Action::Bucket { url, call } => bucket_line(url, call),
        Action::DeleteRecords { zone, name, record } => {
            format!("DELETE /zones/{zone}/rrsets/{name}/{record}")
        }
    }
}

/// The same of an S3 service, which is elsewhere.
fn bucket_line(url: &str, call: &BucketCall) -> String {
    match call {
        BucketCall::Create => format!("PUT {url}"),
        BucketCall::MarkRun => format!("PUT {url}/{RUN}/{{run}}"),
        BucketCall::Mark { cluster } => format!("PUT {url}/{CLUSTER_LABEL}/{cluster}"),
        BucketCall::Empty => format!("POST {url}?delete"),
        BucketCall::Unmark => format!("DELETE {url}/imgbuild.org/{{mark}}"),
        BucketCall::Delete => format!("DELETE {url}"),
    }
}
