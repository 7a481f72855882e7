//! Rules of all resources: tokens, budgets, names, limits, pages.

use std::time::Duration;

use hetzner_simulator::{Clock, Options};
use serde_json::{Value, json};

use crate::client::{Cloud, send, wanted};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKUoMdhCnH0zLXVBmAcHQQI8HfLJp3jdqCHzqdDTk3aG me";

#[test]
fn tokens_say_who_may_what() {
    let cloud = Cloud::start();
    let ask = |token: &str, method: &str| {
        send(&cloud.0.url(), token, method, "/servers", &wanted("a", &Value::Null)).unwrap()
    };
    assert_eq!(ask("", "GET").code(), (401, "unauthorized".to_owned()));
    assert_eq!(ask("other", "POST").code(), (401, "unauthorized".to_owned()));
    assert_eq!(ask(cloud.0.read_only_token(), "GET").status, 200);
    assert_eq!(ask(cloud.0.read_only_token(), "POST").code(), (403, "token_readonly".to_owned()));
    assert!(cloud.0.is_empty());
    assert_eq!(ask(cloud.0.token(), "POST").status, 201);
}

#[test]
fn paths_methods_and_bodies_that_are_not_known_are_named() {
    let cloud = Cloud::start();
    let refused = |method: &str, path: &str| cloud.refused(method, path, &Value::Null);
    assert_eq!(refused("GET", "/volumes"), (404, "not_found".to_owned()));
    assert_eq!(refused("GET", "/servers/1"), (404, "not_found".to_owned()));
    assert_eq!(refused("GET", "/datacenters"), (410, "deprecated_api_endpoint".to_owned()));
    let answer = cloud.send("PATCH", "/servers/1", &Value::Null).unwrap();
    assert_eq!(answer.code(), (405, "method_not_allowed".to_owned()));
    assert_eq!(answer.header("allow"), "GET, PUT, DELETE");
    // No body, and one that is no object.
    assert_eq!(refused("POST", "/servers"), (400, "json_error".to_owned()));
    let answer = cloud.send("POST", "/servers", &json!([])).unwrap();
    assert_eq!(answer.json()["error"]["details"]["fields"][0]["name"], "body");
}

#[test]
fn a_budget_of_requests_is_used_up_and_refills() {
    let clock = Clock::Set(Duration::from_secs(1_000_000));
    let cloud = Cloud::with(Options { requests_per_hour: 3, clock, ..Options::default() });
    let ask = || cloud.send("GET", "/locations", &Value::Null).unwrap();
    let limits = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
    let seen: Vec<Vec<String>> = (0..3)
        .map(|_| ask())
        .map(|answer| limits.iter().map(|name| answer.header(name).to_owned()).collect())
        .collect();
    assert_eq!(seen, [["3", "2", "1001200"], ["3", "1", "1002400"], ["3", "0", "1003600"]]);
    let answer = ask();
    assert_eq!(answer.code(), (429, "rate_limit_exceeded".to_owned()));
    assert_eq!((answer.header("ratelimit-remaining"), answer.header("ratelimit-reset")), ("0", "1003600"));
    // Who is not let in is counted as well.
    assert_eq!(send(&cloud.0.url(), "other", "GET", "/locations", &Value::Null).unwrap().status, 429);
    cloud.0.advance_clock(Duration::from_mins(20));
    assert_eq!(ask().status, 200);
    assert_eq!(ask().status, 429);
}

#[test]
fn lists_have_pages_with_links() {
    let cloud = Cloud::start();
    for index in 0..3 {
        cloud.post("/placement_groups", &json!({"name": format!("g{index}"), "type": "spread"}));
    }
    let answer =
        cloud.send("GET", "/placement_groups?per_page=1&sort=name:desc&page=2", &Value::Null).unwrap();
    assert_eq!(answer.json()["placement_groups"][0]["name"], "g1");
    let link = |page: u8, relation: &str| {
        let path = "/placement_groups?per_page=1&sort=name:desc";
        format!("<{}{path}&page={page}>; rel=\"{relation}\"", cloud.0.url())
    };
    assert_eq!(answer.header("link"), [link(1, "prev"), link(3, "next"), link(3, "last")].join(", "));
}

#[test]
fn names_and_keys_are_unique_and_limits_hold() {
    let cloud = Cloud::start();
    let key = |name: &str| json!({"name": name, "public_key": KEY});
    cloud.post("/ssh_keys", &key("a"));
    let answer = cloud.send("POST", "/ssh_keys", &key("b")).unwrap();
    assert_eq!(answer.code(), (409, "uniqueness_error".to_owned()));
    assert_eq!(answer.json()["error"]["details"]["fields"][0]["name"], "public_key");
    let network = json!({"name": "a", "ip_range": "10.0.0.0/16"});
    let id = cloud.post("/networks", &network)["network"]["id"].clone();
    assert_eq!(cloud.refused("POST", "/networks", &network), (409, "uniqueness_error".to_owned()));
    let path = format!("/networks/{id}");
    assert_eq!(cloud.send("PUT", &path, &json!({"name": "b"})).unwrap().status, 200);
    assert!(cloud.0.set_limit("networks", 1) && !cloud.0.set_limit("network", 1));
    let answer = cloud.send("POST", "/networks", &network).unwrap();
    assert_eq!(answer.code(), (403, "resource_limit_exceeded".to_owned()));
    assert_eq!(answer.json()["error"]["details"]["limits"][0]["name"], "networks");
}

#[test]
fn ranges_of_networks_are_checked() {
    let cloud = Cloud::start();
    for (range, field) in
        [("8.8.0.0/16", "ip_range"), ("10.0.0.0/25", "ip_range"), ("10.0.0.1/16", "ip_range")]
    {
        let answer = cloud.send("POST", "/networks", &json!({"name": "a", "ip_range": range})).unwrap();
        assert_eq!(answer.json()["error"]["details"]["fields"][0]["name"], field, "{range}");
    }
    let network =
        cloud.post("/networks", &json!({"name": "a", "ip_range": "10.0.0.0/16"}))["network"].clone();
    let path = |action: &str| format!("/networks/{}/actions/{action}", network["id"]);
    let subnet = |range: &str| json!({"type": "cloud", "network_zone": "eu-central", "ip_range": range});
    cloud.post(&path("add_subnet"), &subnet("10.0.1.0/24"));
    for range in ["10.0.1.128/25", "10.1.0.0/24", "10.0.2.0/31"] {
        let answer = cloud.send("POST", &path("add_subnet"), &subnet(range)).unwrap();
        assert_eq!(answer.code(), (422, "invalid_input".to_owned()), "{range}");
    }
    for (destination, gateway) in
        [("10.0.1.0/25", "10.0.0.9"), ("8.8.8.0/24", "10.0.0.9"), ("10.9.0.0/16", "10.0.0.1")]
    {
        let route = json!({"destination": destination, "gateway": gateway});
        let refused = cloud.refused("POST", &path("add_route"), &route);
        assert_eq!(refused, (422, "invalid_input".to_owned()), "{destination} by {gateway}");
    }
    cloud.post(&path("add_route"), &json!({"destination": "0.0.0.0/0", "gateway": "10.0.1.2"}));
    cloud.post(&path("delete_subnet"), &json!({"ip_range": "10.0.1.0/24"}));
    let shown = cloud.get(&format!("/networks/{}", network["id"]));
    assert_eq!(shown["network"]["subnets"], json!([]));
    assert_eq!(shown["network"]["routes"][0]["destination"], "0.0.0.0/0");
}

#[test]
fn records_of_zones_are_checked_and_protected() {
    let cloud = Cloud::start();
    let zone = |name: &str, mode: &str| json!({"name": name, "mode": mode, "primary_nameservers": [{"address": "192.0.2.1"}]});
    cloud.post("/zones", &zone("example.com", "primary"));
    cloud.post("/zones", &zone("example.org", "secondary"));
    let set = json!({"name": "www", "type": "A", "records": [{"value": "192.0.2.1"}]});
    let refused = cloud.refused("POST", "/zones/example.org/rrsets", &set);
    assert_eq!(refused, (422, "incorrect_zone_mode".to_owned()));
    cloud.post("/zones/example.com/rrsets", &set);
    for (name, value) in [
        ("www", "192.0.2.300"),
        ("WWW", "192.0.2.1"),
        ("www.example.com", "192.0.2.1"),
        ("a..b", "192.0.2.1"),
    ] {
        let set = json!({"name": name, "type": "A", "records": [{"value": value}]});
        let refused = cloud.refused("POST", "/zones/example.com/rrsets", &set);
        assert_eq!(refused, (422, "invalid_input".to_owned()), "{name} {value}");
    }
    let twice = json!({"records": [{"value": "192.0.2.1"}, {"value": "192.0.2.1"}]});
    let actions = "/zones/example.com/rrsets/www/A/actions";
    let refused = |action: &str, body: &Value| cloud.refused("POST", &format!("{actions}/{action}"), body);
    assert_eq!(refused("set_records", &twice), (422, "invalid_input".to_owned()));
    cloud.post(&format!("{actions}/change_protection"), &json!({"change": true}));
    assert_eq!(
        refused("set_records", &json!({"records": [{"value": "192.0.2.2"}]})),
        (422, "protected".to_owned())
    );
    cloud.post(&format!("{actions}/change_protection"), &json!({"change": false}));
    // The last record takes the set with it.
    cloud.post(&format!("{actions}/remove_records"), &json!({"records": [{"value": "192.0.2.1"}]}));
    assert_eq!(
        cloud.refused("GET", "/zones/example.com/rrsets/www/A", &Value::Null),
        (404, "not_found".to_owned())
    );
}
