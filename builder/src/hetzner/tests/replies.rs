//! Replies, as the API's documentation has them, and as they may be one day.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::{Answer, Api, object, operation};
use crate::hetzner::Action;
use crate::hetzner::ErrorCode;
use crate::hetzner::firewall::{AppliedServer, AppliedTo, Firewall, Protocol};
use crate::hetzner::image::{Image, ImageType};
use crate::hetzner::location::Location;
use crate::hetzner::network::Network;
use crate::hetzner::placement_group::PlacementGroup;
use crate::hetzner::primary_ip::{AssigneeType, PrimaryIp, PublicAddress};
use crate::hetzner::server::{Server, ServerStatus};
use crate::hetzner::server_type::{Gigabytes, ServerType};
use crate::hetzner::ssh_key::SshKey;
use crate::hetzner::zone::{Rrset, Zone, ZoneMode};
use crate::hetzner::{ServerId, server_type::Architecture};

fn read<T: DeserializeOwned>(text: &str, changes: &Value) -> T {
    serde_json::from_value(object(text, changes)).unwrap()
}

const SERVER: &str = include_str!("replies/server.json");
const SERVER_TYPE: &str = include_str!("replies/server_type.json");
const PRIMARY_IP: &str = include_str!("replies/primary_ip.json");

#[test]
fn reads_what_the_documentation_shows() {
    let none = json!({});
    let server: Server = read(SERVER, &none);
    assert_eq!(
        (server.id, server.status, server.primary_disk_size),
        (ServerId(42), ServerStatus::Deleting, Gigabytes(50.0))
    );
    assert_eq!(server.public_net.ipv4.unwrap().ip.to_string(), "1.2.3.4");
    assert_eq!(server.public_net.ipv6.unwrap().ip.to_string(), "2001:db8::/64");
    assert_eq!(server.private_net[0].ip.to_string(), "10.0.0.2");
    assert_eq!(server.location.network_zone, "eu-central");
    let kind: ServerType = read(SERVER_TYPE, &none);
    assert_eq!((kind.disk, kind.architecture.clone()), (Gigabytes(80.0), Architecture::X86));
    assert_eq!(kind.price_at("fsn1").unwrap().price_monthly.gross.to_string(), "1.19");
    assert!(kind.price_at("nbg1").is_none());
    assert_eq!(kind.at("fsn1").unwrap().available, None);
    let image: Image = read(include_str!("replies/image.json"), &none);
    assert_eq!((image.kind, image.image_size), (ImageType::Snapshot, Some(Gigabytes(2.3))));
    let address: PrimaryIp = read(PRIMARY_IP, &none);
    assert_eq!(address.ip, PublicAddress::V6("2001:db8::/64".parse().unwrap()));
    assert_eq!(address.assignee_id, Some(ServerId(17)));
    let firewall: Firewall = read(include_str!("replies/firewall.json"), &none);
    assert_eq!(firewall.applied_to, [AppliedTo::Server { server: AppliedServer { id: ServerId(42) } }]);
    assert_eq!((firewall.rules[0].protocol.clone(), firewall.rules[0].source_ips.len()), (Protocol::Esp, 3));
    let network: Network = read(include_str!("replies/network.json"), &none);
    assert_eq!(network.subnets[0].gateway.unwrap().to_string(), "10.0.0.1");
    let zone: Zone = read(include_str!("replies/zone.json"), &none);
    assert_eq!((zone.mode, zone.ttl), (ZoneMode::Primary, Some(10800)));
    let rrset: Rrset = read(include_str!("replies/rrset.json"), &none);
    assert_eq!((rrset.ttl, rrset.labels.get("environment")), (Some(3600), Some("prod")));
    let group: PlacementGroup = read(include_str!("replies/placement_group.json"), &none);
    assert_eq!(group.servers, [ServerId(42)]);
    let key: SshKey = read(include_str!("replies/ssh_key.json"), &none);
    assert!(key.public_key.starts_with("ssh-"));
    let location: Location = read(include_str!("replies/location.json"), &none);
    assert_eq!(location.name, "fsn1");
    let action: Action = read(include_str!("replies/action.json"), &none);
    assert_eq!(action.error.unwrap().code, ErrorCode::Other("action_failed".to_owned()));
}

#[test]
fn reads_what_has_come_since() {
    let stock =
        json!([{ "id": 1, "name": "fsn1", "available": true, "recommended": false, "deprecation": null }]);
    let kind: ServerType = read(SERVER_TYPE, &json!({ "locations": stock, "category": 7 }));
    assert_eq!(kind.at("fsn1").unwrap().available, Some(true));
    let address: PrimaryIp =
        read(PRIMARY_IP, &json!({ "assignee_id": null, "assignee_type": "unassigned", "ip": "192.0.2.1" }));
    assert_eq!(address.assignee_type, AssigneeType::Unassigned);
    assert_eq!(address.ip, PublicAddress::V4("192.0.2.1".parse().unwrap()));
    // Datacenters are gone since July 2026.
    let mut server: Value = serde_json::from_str(SERVER).unwrap();
    server.as_object_mut().unwrap().remove("datacenter").unwrap();
    assert!(serde_json::from_value::<Server>(server).is_ok());
}

#[test]
fn keeps_values_that_it_does_not_know() {
    let server: Server =
        read(SERVER, &json!({ "status": "thinking\n", "image": null, "placement_group": null }));
    assert_eq!(server.status, ServerStatus::Other("thinking\n".to_owned()));
    assert_eq!(server.status.to_string(), "thinking\\u{a}");
    let applied = json!([{ "type": "moon", "moon": { "id": 1 } }]);
    let firewall: Firewall = read(include_str!("replies/firewall.json"), &json!({ "applied_to": applied }));
    assert_eq!(firewall.applied_to, [AppliedTo::Other]);
}

#[tokio::test]
async fn reads_prices() {
    let api = Api::start().await;
    let pricing: Value = serde_json::from_str(include_str!("replies/pricing.json")).unwrap();
    api.on("GET /pricing", [Answer::ok(&json!({ "pricing": pricing }))]);
    let pricing = api.client().pricing(&operation()).await.unwrap();
    assert_eq!(pricing.currency, "EUR");
    assert_eq!(pricing.image.price_per_gb_month.net.to_string(), "1.00");
    assert_eq!(pricing.server_types[0].name, "cpx22");
    assert_eq!(pricing.primary_ips[0].prices[0].price_monthly.gross.to_string(), "1.19");
}
