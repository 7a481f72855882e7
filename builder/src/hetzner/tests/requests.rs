//! What each request says, as the API's documentation has it.

use serde_json::{Value, json};

use super::api::{Answer, Api, object, operation, run};
use super::creation::wanted;
use crate::hetzner::firewall::{ApplyTo, CreateFirewall, Direction, Protocol, Rule};
use crate::hetzner::image::Protection;
use crate::hetzner::network::{CreateNetwork, Subnet, SubnetType};
use crate::hetzner::placement_group::{CreatePlacementGroup, PlacementGroupType};
use crate::hetzner::primary_ip::{AssigneeType, CreatePrimaryIp, IpType};
use crate::hetzner::server::{CreateServerFirewall, Server, ServerProtection};
use crate::hetzner::zone::{CreateRrset, Record, RecordType};
use crate::hetzner::{
    Action, ActionId, ErrorCode, FirewallId, HetznerError, ImageId, Labels, NetworkId, PlacementGroupId,
    PrimaryIpId, Selector, ServerId, SshKeyId, ZoneId,
};

fn action() -> Value {
    json!({ "id": 9, "command": "do", "status": "running", "progress": 0, "resources": [] })
}

fn subnet() -> Subnet {
    Subnet {
        kind: SubnetType::Cloud,
        ip_range: "10.0.1.0/24".parse().unwrap(),
        network_zone: "eu-central".to_owned(),
        gateway: None,
    }
}

fn rule() -> Rule {
    Rule {
        direction: Direction::In,
        protocol: Protocol::Tcp,
        port: Some("6443".to_owned()),
        source_ips: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
        destination_ips: Vec::new(),
        description: None,
    }
}

fn record() -> Record {
    Record { value: "192.0.2.1".to_owned(), comment: None }
}

/// Makes an API that answers one request, and says what it was asked and what came of it.
macro_rules! told {
    ($line:literal, $answer:expr, |$client:ident, $operation:ident| $call:expr) => {{
        let api = Api::start().await;
        api.on($line, [Answer::json(201, &$answer)]);
        let ($client, $operation) = (api.client(), operation());
        let result = $call.await;
        let asked = api.asked();
        assert_eq!(asked.iter().map(|asked| asked.line.as_str()).collect::<Vec<_>>(), [$line]);
        (result, asked[0].body.clone())
    }};
}

/// One action, as most requests are answered.
macro_rules! acts {
    ($line:literal, $body:tt, |$client:ident, $operation:ident| $call:expr) => {{
        let (result, body) = told!($line, json!({ "action": action() }), |$client, $operation| $call);
        let actions: Vec<Action> = result.unwrap();
        assert_eq!(actions.iter().map(|action| action.id).collect::<Vec<_>>(), [ActionId(9)], $line);
        assert_eq!(body, json!($body), $line);
    }};
}

#[tokio::test]
async fn acts_on_servers() {
    let id = ServerId(42);
    acts!("POST /servers/42/actions/poweron", null, |client, op| client.poweron(&op, id));
    acts!("POST /servers/42/actions/poweroff", null, |client, op| client.poweroff(&op, id));
    acts!("POST /servers/42/actions/shutdown", null, |client, op| client.shutdown(&op, id));
    acts!("POST /servers/42/actions/reset", null, |client, op| client.reset(&op, id));
    acts!("POST /servers/42/actions/disable_rescue", null, |client, op| client.disable_rescue(&op, id));
    acts!("POST /servers/42/actions/rebuild", { "image": 7 }, |client, op| client
        .rebuild(&op, id, ImageId(7), None));
    acts!("POST /servers/42/actions/rebuild", { "image": 7, "user_data": "{}" }, |client, op| client
        .rebuild(&op, id, ImageId(7), Some("{}")));
    acts!(
        "POST /servers/42/actions/attach_to_network",
        { "network": 5, "ip": "10.0.1.2" },
        |client, op| client.attach_to_network(&op, id, NetworkId(5), "10.0.1.2".parse().unwrap())
    );
    let protection = ServerProtection { delete: true, rebuild: true };
    acts!(
        "POST /servers/42/actions/change_protection",
        { "delete": true, "rebuild": true },
        |client, op| client.protect_server(&op, id, protection)
    );
    acts!("DELETE /servers/42", null, |client, op| client.delete::<Server>(&op, id));
}

#[tokio::test]
async fn the_rescue_systems_password_stays_a_secret() {
    let answer = json!({ "action": action(), "root_password": "hunter2" });
    let (result, body) = told!("POST /servers/42/actions/enable_rescue", answer, |client, op| client
        .enable_rescue(&op, ServerId(42), &[SshKeyId(3)]));
    let (actions, password) = result.unwrap();
    assert_eq!((actions.len(), format!("{password:?}")), (1, "Some(<secret>)".to_owned()));
    assert_eq!(password.unwrap().expose(), "hunter2");
    assert_eq!(body, json!({ "type": "linux64", "ssh_keys": [3] }));
}

#[tokio::test]
async fn acts_on_other_resources() {
    let protection = Protection { delete: true };
    acts!("POST /images/7/actions/change_protection", { "delete": true }, |client, op| client
        .protect_image(&op, ImageId(7), protection));
    acts!("POST /primary_ips/6/actions/change_protection", { "delete": true }, |client, op| client
        .protect_primary_ip(&op, PrimaryIpId(6), protection));
    acts!("POST /primary_ips/6/actions/unassign", null, |client, op| client
        .unassign_primary_ip(&op, PrimaryIpId(6)));
    acts!(
        "POST /primary_ips/6/actions/assign",
        { "assignee_id": 42, "assignee_type": "server" },
        |client, op| client.assign_primary_ip(&op, PrimaryIpId(6), ServerId(42))
    );
    acts!(
        "POST /networks/5/actions/add_subnet",
        { "type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central" },
        |client, op| client.add_subnet(&op, NetworkId(5), &subnet())
    );
    acts!(
        "POST /firewalls/4/actions/set_rules",
        { "rules": [{
            "direction": "in", "protocol": "tcp", "port": "6443", "source_ips": ["0.0.0.0/0", "::/0"],
        }] },
        |client, op| client.set_rules(&op, FirewallId(4), &[rule()])
    );
    let selector = Selector::equals("imgbuild.org/cluster", "lab");
    acts!(
        "POST /firewalls/4/actions/apply_to_resources",
        { "apply_to": [
            { "type": "label_selector", "label_selector": { "selector": "imgbuild.org/cluster=lab" } },
            { "type": "server", "server": { "id": 42 } },
        ] },
        |client, op| client.apply_to_resources(
            &op,
            FirewallId(4),
            &[ApplyTo::selector(&selector), ApplyTo::server(ServerId(42))]
        )
    );
}

#[tokio::test]
async fn acts_on_record_sets() {
    let (zone, kind) = (ZoneId(3), RecordType::A);
    acts!(
        "POST /zones/3/rrsets/@/A/actions/set_records",
        { "records": [{ "value": "192.0.2.1" }] },
        |client, op| client.set_records(&op, zone, ("@", &kind), &[record()])
    );
    acts!("POST /zones/3/rrsets/api/A/actions/change_ttl", { "ttl": 60 }, |client, op| client
        .change_ttl(&op, zone, ("api", &kind), Some(60)));
    acts!("DELETE /zones/3/rrsets/api/A", null, |client, op| client.delete_rrset(&op, zone, "api", &kind));
    let rrset: Value = serde_json::from_str(include_str!("replies/rrset.json")).unwrap();
    let (found, _) = told!("GET /zones/3/rrsets/www/A", json!({ "rrset": rrset }), |client, op| client
        .rrset(&op, zone, "www", &kind));
    assert_eq!(found.unwrap().unwrap().records[0].value, "198.51.100.1");
}

#[tokio::test]
async fn what_is_not_there_is_none_and_not_an_error() {
    let api = Api::start().await;
    let absent = || [Answer::error(404, "not_found")];
    api.on("GET /servers/42", absent());
    api.on("GET /zones/3/rrsets/www/A", absent());
    let (client, operation) = (api.client(), operation());
    assert!(client.get::<Server>(&operation, ServerId(42)).await.unwrap().is_none());
    assert!(client.rrset(&operation, ZoneId(3), "www", &RecordType::A).await.unwrap().is_none());
}

#[tokio::test]
async fn a_subnet_that_is_there_needs_no_other() {
    let network = object(include_str!("replies/network.json"), &json!({ "id": 5 }));
    for (range, is_there) in [("10.0.1.0/24", true), ("10.0.2.0/24", false)] {
        let api = Api::start().await;
        api.on("POST /networks/5/actions/add_subnet", [Answer::error(409, "networks_overlap")]);
        api.on("GET /networks/5", [Answer::ok(&json!({ "network": network }))]);
        let subnet = Subnet { ip_range: range.parse().unwrap(), ..subnet() };
        let added = api.client().add_subnet(&operation(), NetworkId(5), &subnet).await;
        match added {
            Ok(actions) => assert!(is_there && actions.is_empty(), "{range}"),
            Err(error) => assert!(!is_there && error.is(&ErrorCode::NetworksOverlap), "{error}"),
        }
    }
}

#[tokio::test]
async fn replaces_labels() {
    let server: Value = serde_json::from_str(include_str!("replies/server.json")).unwrap();
    let labels = Labels::default().with("imgbuild.org/cluster", "lab").unwrap();
    let (result, body) = told!("PUT /servers/42", json!({ "server": server }), |client, op| client
        .set_labels::<Server>(&op, ServerId(42), &labels));
    assert_eq!(result.unwrap().id, ServerId(42));
    assert_eq!(body, json!({ "labels": { "imgbuild.org/cluster": "lab" } }));
}

/// Sends a creation and says its body, without the run's label.
macro_rules! creates {
    ($line:literal, $one:literal, $file:literal, $wanted:expr) => {{
        let made: Value = serde_json::from_str(include_str!($file)).unwrap();
        let run = run();
        let (result, mut body) =
            told!($line, json!({ $one: made }), |client, op| client.create(&op, &run, $wanted));
        assert!(result.unwrap().actions.is_empty());
        let labels = body.as_object_mut().unwrap().remove("labels").unwrap();
        assert_eq!(labels, json!({ "imgbuild.org/cluster": "lab", "imgbuild.org/run": run.to_string() }));
        body
    }};
}

#[tokio::test]
async fn creates_resources() {
    let labels = Labels::default().with("imgbuild.org/cluster", "lab").unwrap();
    let name = || "lab".to_owned();
    let mut server = wanted();
    server.ssh_keys = vec![SshKeyId(3)];
    server.user_data = Some("{}".to_owned());
    server.public_net.ipv4 = Some(PrimaryIpId(6));
    server.public_net.enable_ipv6 = false;
    server.firewalls = vec![CreateServerFirewall { firewall: FirewallId(4) }];
    server.placement_group = Some(PlacementGroupId(2));
    assert_eq!(
        creates!("POST /servers", "server", "replies/server.json", server),
        json!({
            "name": "cp1", "server_type": "cx23", "image": 7, "location": "nbg1", "start_after_create": false,
            "ssh_keys": [3], "user_data": "{}", "firewalls": [{ "firewall": 4 }], "placement_group": 2,
            "public_net": { "enable_ipv4": true, "enable_ipv6": false, "ipv4": 6 },
        })
    );
    let network = CreateNetwork {
        name: name(),
        ip_range: "10.0.0.0/16".parse().unwrap(),
        subnets: vec![subnet()],
        labels: labels.clone(),
    };
    assert_eq!(
        creates!("POST /networks", "network", "replies/network.json", network),
        json!({
            "name": "lab", "ip_range": "10.0.0.0/16",
            "subnets": [{ "type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central" }],
        })
    );
    let group =
        CreatePlacementGroup { name: name(), kind: PlacementGroupType::Spread, labels: labels.clone() };
    assert_eq!(
        creates!("POST /placement_groups", "placement_group", "replies/placement_group.json", group),
        json!({ "name": "lab", "type": "spread" })
    );
    let address = CreatePrimaryIp {
        name: name(),
        kind: IpType::Ipv4,
        location: "nbg1".to_owned(),
        assignee_type: AssigneeType::Server,
        auto_delete: false,
        labels: labels.clone(),
    };
    assert_eq!(
        creates!("POST /primary_ips", "primary_ip", "replies/primary_ip.json", address),
        json!({
            "name": "lab", "type": "ipv4", "location": "nbg1", "assignee_type": "server", "auto_delete": false,
        })
    );
    let firewall =
        CreateFirewall { name: name(), rules: Vec::new(), apply_to: Vec::new(), labels: labels.clone() };
    assert_eq!(
        creates!("POST /firewalls", "firewall", "replies/firewall.json", firewall),
        json!({ "name": "lab", "rules": [], "apply_to": [] })
    );
    let rrset = CreateRrset {
        zone: ZoneId(3),
        name: "api".to_owned(),
        kind: RecordType::Aaaa,
        ttl: None,
        records: vec![Record { value: "2001:db8::1".to_owned(), comment: None }],
        labels,
    };
    assert_eq!(
        creates!("POST /zones/3/rrsets", "rrset", "replies/rrset.json", rrset),
        json!({ "name": "api", "type": "AAAA", "records": [{ "value": "2001:db8::1" }] })
    );
}

#[tokio::test]
async fn says_which_fields_are_wrong() {
    let api = Api::start().await;
    let details = json!({ "fields": [{ "name": "server_type", "messages": ["is unknown", "or old"] }] });
    let error = json!({ "code": "invalid_input", "message": "invalid input", "details": details });
    api.on("POST /servers", [Answer::json(422, &json!({ "error": error }))]);
    let error = api.client().create(&operation(), &run(), wanted()).await.unwrap_err();
    let HetznerError::Api(fault) = &error else { panic!("{error}") };
    assert_eq!((fault.status, fault.fields[0].name.as_str()), (422, "server_type"));
    assert_eq!(
        error.to_string(),
        "`POST /servers` is answered with `invalid_input` (422): invalid input \
         (`server_type` is unknown, or old)"
    );
}
