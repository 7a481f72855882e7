//! What goes wrong when it is told to.

use std::time::{Duration, Instant};

use hetzner_simulator::{Failure, Fault, FaultKind};
use serde_json::{Value, json};

use crate::client::{Cloud, wanted};

#[test]
fn the_nth_request_is_answered_with_an_error() {
    let cloud = Cloud::start();
    let kind = FaultKind::Answer {
        status: 429,
        code: "rate_limit_exceeded".to_owned(),
        message: "too many".to_owned(),
    };
    cloud.0.add_fault(Fault::on("GET", "/servers", kind).nth(2));
    let ask = || cloud.send("GET", "/servers?name=a", &Value::Null).unwrap();
    assert_eq!(ask().status, 200);
    let answer = ask();
    assert_eq!(answer.code(), (429, "rate_limit_exceeded".to_owned()));
    assert_eq!((answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")), ("3600", "0"));
    assert_eq!(ask().status, 200);
}

#[test]
fn gateways_answer_in_html() {
    let cloud = Cloud::start();
    cloud.control("POST", "/faults", &json!({"kind": "html", "path": "/servers/**", "status": 504}));
    let answer = cloud.send("POST", "/servers/1/actions/poweron", &Value::Null).unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (504, "text/html"));
    assert!(answer.text.contains("504 Gateway Timeout"), "{}", answer.text);
}

#[test]
fn connections_end_before_or_after_the_work() {
    let cloud = Cloud::start();
    for (kind, servers) in [("close_before", 0), ("close_after", 1)] {
        cloud.control("POST", "/faults", &json!({"kind": kind, "method": "POST", "path": "/servers"}));
        let error = cloud.send("POST", "/servers", &wanted("a", &Value::Null)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{kind}");
        let total = cloud.get("/servers")["meta"]["pagination"]["total_entries"].clone();
        assert_eq!(total, servers, "{kind}");
    }
    let log = cloud.0.requests();
    let seen: Vec<(&str, Option<u16>)> =
        log.iter().map(|request| (request.method.as_str(), request.status)).collect();
    assert_eq!(seen, [("POST", None), ("GET", Some(200)), ("POST", None), ("GET", Some(200))]);
    assert_eq!((log[0].path.as_str(), &log[0].body["name"]), ("/v1/servers", &json!("a")));
}

#[test]
fn answers_come_late() {
    let cloud = Cloud::start();
    cloud.0.add_fault(Fault::on("*", "/locations", FaultKind::Delay(Duration::from_millis(200))));
    let started = Instant::now();
    cloud.get("/locations");
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[test]
fn actions_end_in_errors_and_leave_what_there_was() {
    let cloud = Cloud::start();
    let failure = Failure::new("action_failed", "no power");
    cloud.0.add_fault(Fault::on("POST", "/servers/*/actions/*", FaultKind::ActionError(failure)).times(2));
    let (id, _) = cloud.server("a", &Value::Null);
    let ended = |action: &str| {
        let action =
            cloud.post(&format!("/servers/{id}/actions/{action}"), &json!({}))["action"]["id"].clone();
        cloud.get(&format!("/actions/{action}"))["action"].clone()
    };
    let action = ended("poweroff");
    assert_eq!(action["status"], "error");
    assert_eq!(action["error"], json!({"code": "action_failed", "message": "no power"}));
    assert_eq!(cloud.get(&format!("/servers/{id}"))["server"]["status"], "running");
    // A snapshot that failed is not there.
    assert_eq!(ended("create_image")["status"], "error");
    assert_eq!(cloud.get("/images?type=snapshot")["images"], json!([]));
    assert_eq!(ended("create_image")["status"], "success");
}

#[test]
fn a_creation_that_fails_leaves_a_server_to_delete() {
    let cloud = Cloud::start();
    let failure = Failure::new("action_failed", "no host");
    cloud.0.add_fault(Fault::on("POST", "/servers", FaultKind::ActionError(failure)));
    let (id, created) = cloud.server("a", &Value::Null);
    for action in [&created["action"], &created["next_actions"][0]] {
        assert_eq!(cloud.get(&format!("/actions/{}", action["id"]))["action"]["status"], "error");
    }
    assert!(!cloud.0.is_empty());
    cloud.send("DELETE", &format!("/servers/{id}"), &Value::Null).unwrap();
    assert!(cloud.0.is_empty(), "{}", cloud.0.resources());
}

#[test]
fn actions_that_never_end_hold_no_lock() {
    let cloud = Cloud::start();
    cloud.0.add_fault(Fault::on("POST", "/servers", FaultKind::ActionNever));
    let (id, created) = cloud.server("a", &Value::Null);
    let action = || cloud.get(&format!("/actions/{}", created["action"]["id"]))["action"]["status"].clone();
    assert_eq!(action(), "running");
    cloud.0.advance_clock(Duration::from_hours(24));
    assert_eq!(action(), "running");
    cloud.send("DELETE", &format!("/servers/{id}"), &Value::Null).unwrap();
    assert!(cloud.0.is_empty());
    let total = cloud.get("/servers/actions?status=running&status=error")["meta"]["pagination"].clone();
    assert_eq!(total["total_entries"], 2);
}

#[test]
fn the_control_interface_sets_what_the_library_does() {
    let cloud = Cloud::start();
    let settings = json!({
        "limits": [{"kind": "servers", "limit": 1}], "action_delay_ms": 3_600_000, "requests_per_hour": 50,
        "capacity": [{"server_type": "cx33", "location": "fsn1", "free": 0}],
    });
    cloud.control("PUT", "/settings", &settings);
    let refused = cloud.refused("POST", "/servers", &wanted("a", &json!({"server_type": "cx33"})));
    assert_eq!(refused, (412, "resource_unavailable".to_owned()));
    let (id, _) = cloud.server("a", &json!({"user_data": "#cloud-config"}));
    assert_eq!(
        cloud.refused("POST", "/servers", &wanted("b", &Value::Null)),
        (403, "resource_limit_exceeded".to_owned())
    );
    let details = cloud.control("GET", &format!("/servers/{id}"), &Value::Null);
    assert_eq!(
        (&details["user_data"], &details["server"]["status"]),
        (&json!("#cloud-config"), &json!("initializing"))
    );
    cloud.control("POST", "/clock", &json!({"advance_ms": 3_600_000}));
    assert_eq!(cloud.get(&format!("/servers/{id}"))["server"]["status"], "starting");
    let resources = cloud.control("GET", "/resources", &Value::Null);
    assert_eq!(resources["servers"][0]["id"], id);
    assert_eq!((&resources["images"], resources["primary_ips"].as_array().unwrap().len()), (&json!([]), 2));
    let requests = cloud.control("GET", "/requests", &Value::Null);
    assert_eq!((&requests[0]["path"], &requests[0]["status"]), (&json!("/v1/servers"), &json!(412)));
    cloud.control("DELETE", "/requests", &Value::Null);
    assert_eq!(cloud.control("GET", "/requests", &Value::Null), json!([]));
    cloud.control("POST", "/faults", &json!({"kind": "close_before", "path": "/locations"}));
    cloud.control("DELETE", "/faults", &Value::Null);
    cloud.get("/locations");
}
