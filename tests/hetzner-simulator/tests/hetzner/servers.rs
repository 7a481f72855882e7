//! Servers and what depends on them.

use std::time::Duration;

use hetzner_simulator::{Clock, Options};
use serde_json::{Value, json};

use crate::client::{Cloud, wanted};

fn slow() -> Cloud {
    let clock = Clock::Set(Duration::from_secs(1_000_000));
    Cloud::with(Options { action_delay: Duration::from_secs(10), clock, ..Options::default() })
}

fn text(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn actions_take_their_time_and_lock() {
    let cloud = slow();
    let (id, created) = cloud.server("a", &Value::Null);
    let (path, start) = (format!("/servers/{id}"), &created["next_actions"][0]);
    assert_eq!((&start["command"], &start["status"]), (&json!("start_server"), &json!("running")));
    let status = || cloud.get(&path)["server"]["status"].clone();
    assert_eq!(status(), "initializing");
    assert_eq!(cloud.get(&path)["server"]["locked"], true);
    assert_eq!(cloud.refused("DELETE", &path, &Value::Null), text(423, "locked"));
    assert_eq!(cloud.refused("PUT", &path, &json!({"name": "b"})), text(423, "locked"));
    cloud.0.advance_clock(Duration::from_secs(5));
    let action = cloud.get(&format!("/actions/{}", created["action"]["id"]))["action"].clone();
    assert_eq!((&action["progress"], &action["finished"]), (&json!(50), &Value::Null));
    assert_eq!(action["resources"], json!([{"id": id, "type": "server"}]));
    cloud.0.advance_clock(Duration::from_secs(5));
    assert_eq!(status(), "starting");
    cloud.0.advance_clock(Duration::from_secs(10));
    assert_eq!(status(), "running");
    let ids = format!("/actions?id={}&id={}", created["action"]["id"], start["id"]);
    let actions = cloud.get(&ids)["actions"].clone();
    assert_eq!(actions.as_array().unwrap().len(), 2);
    assert_eq!((&actions[1]["status"], &actions[1]["progress"]), (&json!("success"), &json!(100)));
    assert_eq!(
        (&actions[1]["started"], &actions[1]["finished"]),
        (&json!("1970-01-12T13:46:50Z"), &json!("1970-01-12T13:47:00Z"))
    );
    assert_eq!(cloud.send("DELETE", &path, &Value::Null).unwrap().status, 200);
    assert_eq!(status(), "deleting");
    cloud.0.advance_clock(Duration::from_secs(10));
    assert_eq!(cloud.refused("GET", &path, &Value::Null), text(404, "not_found"));
    assert!(cloud.0.is_empty());
}

#[test]
fn what_does_not_fit_is_refused_by_field() {
    let cloud = Cloud::start();
    let (id, _) = cloud.server("a", &json!({"server_type": "cx33", "start_after_create": false}));
    let image = cloud.post(&format!("/servers/{id}/actions/create_image"), &json!({}))["image"]["id"].clone();
    for (more, field) in [
        (json!({"name": "a_b"}), "name"),
        (json!({"server_type": "none"}), "server_type"),
        (json!({"server_type": "cx22"}), "server_type"),
        (json!({"image": "none"}), "image"),
        // Of 80 GB, and for the other architecture.
        (json!({"image": image}), "image"),
        (json!({"image": image, "server_type": "cax21"}), "image"),
        (json!({"location": "none"}), "location"),
        (json!({"datacenter": "fsn1-dc14"}), "datacenter"),
        (json!({"location": "ash"}), "server_type"),
        (json!({"ssh_keys": ["none"]}), "ssh_keys"),
        (json!({"user_data": "x".repeat(32769)}), "user_data"),
        (json!({"labels": {"a": "-"}}), "labels"),
        (json!({"networks": [1]}), "networks"),
        (json!({"firewalls": [{"firewall": 1}]}), "firewalls"),
        (json!({"public_net": {"enable_ipv4": false, "enable_ipv6": false}}), "public_net"),
        (json!({"public_net": {"ipv4": 1}}), "public_net.ipv4"),
        (json!({"start_after_create": "yes"}), "start_after_create"),
    ] {
        let answer = cloud.send("POST", "/servers", &wanted("b", &more)).unwrap();
        assert_eq!(answer.code(), text(422, "invalid_input"), "{more}");
        assert_eq!(answer.json()["error"]["details"]["fields"][0]["name"], field, "{more}");
    }
    let other = json!({"image": image, "server_type": "cx33", "user_data": "x".repeat(32768)});
    let refused = cloud.refused("POST", "/servers", &wanted("a", &other));
    assert_eq!(refused, text(409, "uniqueness_error"));
    cloud.server("b", &other);
    // What was refused left nothing behind: two servers with two addresses each.
    assert_eq!(cloud.get("/primary_ips")["meta"]["pagination"]["total_entries"], 4);
}

#[test]
fn a_type_runs_out_in_a_location() {
    let cloud = Cloud::start();
    cloud.0.set_capacity("cx23", "fsn1", 1, "resource_unavailable");
    cloud.0.set_capacity("cx33", "fsn1", 0, "placement_error");
    let (id, _) = cloud.server("a", &Value::Null);
    let refused = |more: &Value| cloud.refused("POST", "/servers", &wanted("b", more));
    assert_eq!(refused(&Value::Null), text(412, "resource_unavailable"));
    assert_eq!(refused(&json!({"server_type": "cx33"})), text(412, "placement_error"));
    let shown = cloud.get("/server_types?name=cx23")["server_types"][0]["locations"].clone();
    assert_eq!((&shown[0]["available"], &shown[1]["available"]), (&json!(false), &json!(true)));
    cloud.send("DELETE", &format!("/servers/{id}"), &Value::Null).unwrap();
    cloud.server("b", &Value::Null);
}

#[test]
fn private_addresses_are_given_out_once() {
    let cloud = Cloud::start();
    let subnet = json!({"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.1.0/29"});
    let network = |name: &str, range: &str, subnets: &Value| {
        let body = json!({"name": name, "ip_range": range, "subnets": subnets});
        cloud.post("/networks", &body)["network"]["id"].clone()
    };
    let (own, overlapping) =
        (network("own", "10.0.0.0/16", &json!([subnet])), network("overlapping", "10.0.0.0/8", &json!([])));
    let (a, created) = cloud.server("a", &json!({"networks": [own]}));
    assert_eq!(created["server"]["private_net"][0]["ip"], "10.0.1.2");
    let (b, _) = cloud.server("b", &Value::Null);
    let attach = |server: u64, body: Value| {
        cloud.send("POST", &format!("/servers/{server}/actions/attach_to_network"), &body).unwrap()
    };
    for (server, body, code) in [
        (a, json!({"network": own}), "server_already_attached"),
        (a, json!({"network": overlapping}), "networks_overlap"),
        (b, json!({"network": own, "ip": "10.0.1.2"}), "ip_not_available"),
        (b, json!({"network": own, "ip": "10.0.1.1"}), "ip_not_available"),
        (b, json!({"network": own, "ip": "10.0.9.9"}), "ip_not_available"),
        (b, json!({"network": own, "ip_range": "10.0.9.0/24"}), "no_subnet_available"),
    ] {
        assert_eq!(attach(server, body.clone()).code(), text(422, code), "{body}");
    }
    assert_eq!(attach(b, json!({"network": own, "ip": "10.0.1.5"})).status, 201);
    let shown = cloud.get(&format!("/servers/{b}"))["server"]["private_net"][0].clone();
    assert_eq!(shown["ip"], "10.0.1.5");
    assert!(shown["mac_address"].as_str().unwrap().starts_with("86:00:"));
    let path = format!("/networks/{own}/actions/delete_subnet");
    let refused = cloud.refused("POST", &path, &json!({"ip_range": "10.0.1.0/29"}));
    assert_eq!(refused, text(422, "resource_in_use"));
    // Elsewhere there is no subnet.
    let far = json!({"server_type": "cpx22", "location": "ash", "networks": [own]});
    assert_eq!(cloud.refused("POST", "/servers", &wanted("c", &far)), text(422, "no_subnet_available"));
    cloud.send("DELETE", &format!("/networks/{own}"), &Value::Null).unwrap();
    assert_eq!(cloud.get(&format!("/servers/{b}"))["server"]["private_net"], json!([]));
}

#[test]
fn addresses_outlive_servers_if_they_may() {
    let cloud = Cloud::start();
    let address = |name: &str, location: &str| {
        let body = json!({"name": name, "type": "ipv4", "location": location, "assignee_type": "server"});
        cloud.post("/primary_ips", &body)["primary_ip"].clone()
    };
    let (near, far) = (address("near", "fsn1"), address("far", "nbg1"));
    let with = |id: &Value| json!({"public_net": {"ipv4": id, "enable_ipv6": false}});
    let refused = |more: &Value| cloud.refused("POST", "/servers", &wanted("b", more));
    assert_eq!(refused(&with(&far["id"])), text(422, "primary_ip_datacenter_mismatch"));
    assert_eq!(
        refused(&json!({"public_net": {"ipv6": near["id"]}})),
        text(422, "primary_ip_version_mismatch")
    );
    let (a, created) = cloud.server("a", &with(&near["id"]));
    assert_eq!(created["server"]["public_net"]["ipv4"]["ip"], near["ip"]);
    assert_eq!(created["server"]["public_net"]["ipv6"], Value::Null);
    assert_eq!(refused(&with(&near["id"])), text(422, "primary_ip_assigned"));
    let path = format!("/primary_ips/{}", near["id"]);
    let unassign = format!("{path}/actions/unassign");
    assert_eq!(cloud.refused("POST", &unassign, &Value::Null), text(422, "server_not_stopped"));
    assert_eq!(cloud.refused("DELETE", &path, &Value::Null), text(422, "must_be_unassigned"));
    cloud.post(&format!("/servers/{a}/actions/poweroff"), &Value::Null);
    cloud.post(&unassign, &Value::Null);
    // Without an interface there is no power.
    let refused = cloud.refused("POST", &format!("/servers/{a}/actions/poweron"), &Value::Null);
    assert_eq!(refused, text(422, "server_has_no_interface"));
    let assign = json!({"assignee_id": a, "assignee_type": "server"});
    cloud.post(&format!("{path}/actions/assign"), &assign);
    let (b, _) = cloud.server("b", &Value::Null);
    for server in [a, b] {
        cloud.send("DELETE", &format!("/servers/{server}"), &Value::Null).unwrap();
    }
    // Those of `b` were made for it.
    let left = cloud.get("/primary_ips")["primary_ips"].clone();
    assert_eq!((&left[0]["name"], &left[0]["assignee_id"]), (&json!("near"), &Value::Null));
    assert_eq!(left.as_array().unwrap().len(), 2);
}

#[test]
fn firewalls_follow_labels_and_keep_to_public_interfaces() {
    let cloud = Cloud::start();
    let selector = json!({"type": "label_selector", "label_selector": {"selector": "role in (worker)"}});
    let rules = json!([{"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0"]}]);
    let body = json!({"name": "f", "rules": rules, "apply_to": [selector]});
    let id = cloud.post("/firewalls", &body)["firewall"]["id"].clone();
    let (a, _) = cloud.server("a", &json!({"labels": {"role": "worker"}}));
    let (b, _) = cloud.server("b", &Value::Null);
    let firewalls =
        |server: u64| cloud.get(&format!("/servers/{server}"))["server"]["public_net"]["firewalls"].clone();
    assert_eq!((firewalls(a), firewalls(b)), (json!([{"id": id, "status": "applied"}]), json!([])));
    cloud.send("PUT", &format!("/servers/{b}"), &json!({"labels": {"role": "worker"}})).unwrap();
    assert_eq!(firewalls(b), firewalls(a));
    assert_eq!(
        cloud.refused("DELETE", &format!("/firewalls/{id}"), &Value::Null),
        text(422, "resource_in_use")
    );
    for (rule, field) in [
        (json!({"direction": "in", "protocol": "tcp", "source_ips": ["0.0.0.0/0"]}), "rules.0.port"),
        (
            json!({"direction": "in", "protocol": "icmp", "port": "1", "source_ips": ["0.0.0.0/0"]}),
            "rules.0.port",
        ),
        (
            json!({"direction": "in", "protocol": "tcp", "port": "9-1", "source_ips": ["0.0.0.0/0"]}),
            "rules.0.port",
        ),
        (json!({"direction": "in", "protocol": "icmp", "source_ips": ["10.0.0.1/8"]}), "rules.0.source_ips"),
        (json!({"direction": "out", "protocol": "icmp", "source_ips": ["::/0"]}), "rules.0.destination_ips"),
    ] {
        let path = format!("/firewalls/{id}/actions/set_rules");
        let answer = cloud.send("POST", &path, &json!({"rules": [rule]})).unwrap();
        assert_eq!(answer.json()["error"]["details"]["fields"][0]["name"], field, "{rule}");
    }
    let private =
        json!({"public_net": {"enable_ipv4": false, "enable_ipv6": false}, "start_after_create": false});
    let (c, _) = cloud.server("c", &private);
    let apply = json!({"apply_to": [{"type": "server", "server": {"id": c}}]});
    let refused = cloud.refused("POST", &format!("/firewalls/{id}/actions/apply_to_resources"), &apply);
    assert_eq!(refused, text(422, "private_net_only_server"));
}

#[test]
fn protection_and_types_are_heeded() {
    let cloud = Cloud::start();
    let (id, _) = cloud.server("a", &Value::Null);
    let path = |action: &str| format!("/servers/{id}/actions/{action}");
    cloud.post(&path("change_protection"), &json!({"delete": true, "rebuild": true}));
    assert_eq!(cloud.refused("DELETE", &format!("/servers/{id}"), &Value::Null), text(422, "protected"));
    assert_eq!(
        cloud.refused("POST", &path("rebuild"), &json!({"image": "debian-13"})),
        text(422, "protected")
    );
    let change = |name: &str| json!({"server_type": name, "upgrade_disk": true});
    assert_eq!(cloud.refused("POST", &path("change_type"), &change("cx33")), text(422, "server_not_stopped"));
    cloud.post(&path("shutdown"), &Value::Null);
    for name in ["cax21", "cx23", "cx22"] {
        let refused = cloud.refused("POST", &path("change_type"), &change(name));
        assert_eq!(refused, text(422, "invalid_server_type"), "{name}");
    }
    cloud.post(&path("change_type"), &change("cx33"));
    let server = cloud.get(&format!("/servers/{id}"))["server"].clone();
    assert_eq!((&server["primary_disk_size"], &server["status"]), (&json!(80), &json!("running")));
    cloud.post(&path("poweroff"), &Value::Null);
    // Disks do not shrink.
    assert_eq!(
        cloud.refused("POST", &path("change_type"), &change("cx23")),
        text(422, "invalid_server_type")
    );
}

#[test]
fn the_rescue_system_lasts_for_one_start_or_an_hour() {
    let clock = Clock::Set(Duration::from_secs(1_000_000));
    let cloud = Cloud::with(Options { clock, ..Options::default() });
    let (id, _) = cloud.server("a", &json!({"start_after_create": false}));
    let act = |action: &str| cloud.post(&format!("/servers/{id}/actions/{action}"), &json!({}));
    let is_in_rescue =
        || cloud.control("GET", &format!("/servers/{id}"), &Value::Null)["is_in_rescue"].clone();
    assert!(act("enable_rescue")["root_password"].is_string());
    assert_eq!(cloud.get(&format!("/servers/{id}"))["server"]["rescue_enabled"], true);
    act("poweron");
    assert_eq!(is_in_rescue(), true);
    assert_eq!(cloud.0.details(id).unwrap()["is_in_rescue"], true);
    // The system has ended by itself.
    cloud.control("PUT", &format!("/servers/{id}"), &json!({"status": "off"}));
    let server = cloud.get(&format!("/servers/{id}"))["server"].clone();
    assert_eq!((&server["status"], &server["rescue_enabled"]), (&json!("off"), &json!(false)));
    act("poweron");
    assert_eq!(is_in_rescue(), false);
    act("enable_rescue");
    cloud.0.advance_clock(Duration::from_hours(1));
    assert_eq!(cloud.get(&format!("/servers/{id}"))["server"]["rescue_enabled"], false);
    act("reset");
    assert_eq!(is_in_rescue(), false);
}
