//! `imgbuild down`, `orphans` and `snapshots`, in a project of the Hetzner simulator.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;
use std::time::{Duration, Instant};

use hetzner_simulator::{Fault, FaultKind, Options, Simulator};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::plan::CLUSTER;
use super::program::Place;

/// A project, asked by its API.
pub(super) struct Project {
    pub(super) simulator: Simulator,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
}

impl Project {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let simulator = Simulator::start(Options::default()).unwrap();
        Self { simulator, runtime, http: imgbuild::http::client(|builder| builder).unwrap() }
    }

    pub(super) fn make(&self, path: &str, body: &Value) -> Value {
        self.runtime.block_on(async {
            let request = self.http.post(format!("{}{path}", self.simulator.url()));
            let request = request.bearer_auth(self.simulator.token()).body(body.to_string());
            let answer = request.send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_success(), "{path}: {text}");
            serde_json::from_str(&text).unwrap()
        })
    }

    pub(super) fn server(&self, name: &str, labels: &Value) -> u64 {
        let body = json!({
            "name": name, "server_type": "cx23", "image": "debian-13", "location": "fsn1",
            "start_after_create": false, "labels": labels,
        });
        self.make("/servers", &body)["server"]["id"].as_u64().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let all = self.simulator.resources();
        let kinds = all.as_object().unwrap().iter();
        let mut names: Vec<_> = kinds
            .flat_map(|(kind, all)| {
                let name =
                    |one: &Value| one["name"].as_str().or(one["description"].as_str()).unwrap().to_owned();
                all.as_array().unwrap().iter().map(move |one| format!("{kind} {}", name(one)))
            })
            // Of servers, made and removed with them.
            .filter(|name| !name.starts_with("primary_ips"))
            .collect();
        names.sort();
        names
    }

    fn run(&self, place: &Place, arguments: &[&str]) -> String {
        let environment =
            [("HCLOUD_TOKEN", self.simulator.token()), ("HCLOUD_ENDPOINT", &self.simulator.url())];
        place.run_with(arguments, &environment)
    }
}

#[test]
fn what_a_cluster_has_goes_and_nothing_else() {
    let (place, project) = (Place::with(CLUSTER), Project::new());
    let own = json!({ "imgbuild.org/cluster": "lab", "imgbuild.org/node": "cp1" });
    project.server("lab-cp1", &own);
    project.server("other", &json!({ "imgbuild.org/cluster": "laboratory" }));
    project.make(
        "/networks",
        &json!({
            "name": "lab", "ip_range": "10.0.0.0/16", "labels": { "imgbuild.org/cluster": "lab" },
        }),
    );
    insta::assert_snapshot!(project.run(&place, &["down"]));
    assert_eq!(project.names(), ["networks lab", "servers lab-cp1", "servers other"]);
    insta::assert_snapshot!(project.run(&place, &["down", "--yes"]));
    assert_eq!(project.names(), ["servers other"]);
    insta::assert_snapshot!(project.run(&place, &["down", "--yes"]));
}

#[test]
fn a_second_signal_ends_what_the_first_has_begun_to_end() {
    let (place, project) = (Place::with(CLUSTER), Project::new());
    project.server("lab-cp1", &json!({ "imgbuild.org/cluster": "lab" }));
    // A removal that takes longer than anybody waits.
    let slow = FaultKind::Delay(Duration::from_mins(10));
    project.simulator.add_fault(Fault::on("DELETE", "/servers/*", slow));
    let environment =
        [("HCLOUD_TOKEN", project.simulator.token()), ("HCLOUD_ENDPOINT", &project.simulator.url())];
    let mut child = place.start(&["down", "--yes"], &environment);
    let has_begun = || project.simulator.requests().iter().any(|request| request.method == "DELETE");
    let began = Instant::now();
    while !has_begun() {
        assert!(began.elapsed() < Duration::from_mins(1) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    let signal = |child: &Child| {
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    };
    signal(&child);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    // What is asked for already is waited for; people who do not want that either can say so.
    while !line.contains("Ctrl-C once more") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended by itself");
    }
    signal(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("`imgbuild orphans` shows what is left"), "{rest}");
}

#[test]
fn a_network_that_others_use_stops_the_removal() {
    let (place, project) = (Place::with(CLUSTER), Project::new());
    let network = project.make(
        "/networks",
        &json!({
            "name": "lab", "ip_range": "10.0.0.0/16", "labels": { "imgbuild.org/cluster": "lab" },
            "subnets": [{ "type": "cloud", "ip_range": "10.0.0.0/16", "network_zone": "eu-central" }],
        }),
    );
    let server = project.server("other", &json!({}));
    let path = format!("/servers/{server}/actions/attach_to_network");
    project.make(&path, &json!({ "network": network["network"]["id"] }));
    insta::assert_snapshot!(project.run(&place, &["down", "--yes"]));
    assert_eq!(project.names(), ["networks lab", "servers other"]);
}

#[test]
fn what_was_left_is_shown_and_removed_but_not_what_a_colleague_makes() {
    let (place, project) = (Place::with(CLUSTER), Project::new());
    assert_eq!(project.run(&place, &["orphans"]), "exit code 0\nno orphans\n");
    project.server("imgbuild-upload-1", &json!({ "imgbuild.org/run": "0000000000000001" }));
    project.server("imgbuild-upload-2", &json!({ "imgbuild.org/run": "0000000000000002" }));
    project.server("lab-cp1", &json!({ "imgbuild.org/cluster": "lab" }));
    let lock = |cluster: &str, run: &str, expires: &str| {
        let labels = json!({
            "imgbuild.org/lock": cluster, "imgbuild.org/run": run, "imgbuild.org/owner": "bob-laptop",
            "imgbuild.org/since": "1795227046", "imgbuild.org/expires": expires,
        });
        project.make("/firewalls", &json!({ "name": format!("imgbuild-lock-{cluster}"), "labels": labels }));
    };
    lock("lab", "0000000000000002", "4000000000");
    lock("old", "0000000000000003", "1795227946");
    insta::assert_snapshot!(project.run(&place, &["orphans"]));
    insta::assert_snapshot!(project.run(&place, &["orphans", "--remove"]));
    insta::assert_snapshot!(project.run(&place, &["orphans", "--remove", "--yes"]));
    let stays = ["firewalls imgbuild-lock-lab", "servers imgbuild-upload-2", "servers lab-cp1"];
    assert_eq!(project.names(), stays);
    let all: Value =
        serde_json::from_str(project.run(&place, &["orphans", "--json"]).split_once('\n').unwrap().1)
            .unwrap();
    let living = ["0000000000000002"];
    assert_eq!(all, json!({ "orphans": [], "isRemoved": false, "livingRuns": living, "begunClusters": [] }));
}

#[test]
fn where_a_cluster_has_begun_nothing_of_it_is_an_orphan() {
    let (place, project) = (Place::with(CLUSTER), Project::new());
    let of = |cluster: &str, more: &[&str]| {
        let mut labels = json!({ "imgbuild.org/cluster": cluster });
        for name in more {
            labels[format!("imgbuild.org/{name}")] = "0000000000000001".into();
        }
        labels
    };
    project.server("lab-cp1", &of("lab", &["run", "begun"]));
    project.server("lab-worker1", &of("lab", &["run"]));
    // Another one is settled where it has begun, and a later run was interrupted: somebody may use what that has made.
    project.server("old-cp1", &of("old", &["begun"]));
    project.server("old-worker1", &of("old", &["run"]));
    project.server("new-cp1", &of("new", &["run"]));
    insta::assert_snapshot!(project.run(&place, &["orphans", "--remove", "--yes"]), @r"
    exit code 0
    server           new-cp1, run 0000000000000001 of cluster `new`
    cluster `lab` has begun, a run that was interrupted has not settled it (2 to do): `imgbuild up` finishes it, `imgbuild down` removes it
    cluster `old` has begun, a run that was interrupted has not settled it (1 to do): `imgbuild up` finishes it, `imgbuild down` removes it
    removed
    ");
    assert_eq!(
        project.names(),
        ["servers lab-cp1", "servers lab-worker1", "servers old-cp1", "servers old-worker1"]
    );
    let shown = project.run(&place, &["orphans", "--json"]);
    let shown: Value = serde_json::from_str(shown.split_once('\n').unwrap().1).unwrap();
    assert_eq!((&shown["orphans"], &shown["begunClusters"]), (&json!([]), &json!(["lab", "old"])));
}

#[test]
fn what_a_run_that_was_killed_has_asked_for_last_shows_late_and_goes_too() {
    let (place, project) = (Place::with(CLUSTER), Project::new());
    project.make("/zones", &json!({ "name": "example.org", "mode": "primary" }));
    let before = project.simulator.records();
    let run = json!({ "imgbuild.org/run": "0000000000000001" });
    project.server("imgbuild-upload-1", &run);
    project.simulator.set_action_delay(Duration::from_secs(4));
    let set = json!({ "name": "cp1", "type": "A", "records": [{ "value": "192.0.2.7" }], "labels": run });
    project.make("/zones/example.org/rrsets", &set);
    assert_eq!(project.simulator.records(), before);
    let removed = project.run(&place, &["orphans", "--remove", "--yes"]);
    assert!(removed.starts_with("exit code 0\nserver ") && !removed.contains("cp1"), "{removed}");
    assert_eq!(
        (project.names(), project.simulator.records()),
        (vec!["zones example.org".to_owned()], before)
    );
}

#[test]
fn what_cannot_begin_is_refused_before_anything_is_asked() {
    let several =
        CLUSTER.replacen("[[node]]", "[[node]]\nname = \"cp2\"\nrole = \"control-plane\"\n\n[[node]]", 1);
    let several =
        several.replacen("[[node]]", "[[node]]\nname = \"cp3\"\nrole = \"control-plane\"\n\n[[node]]", 1);
    let (place, project) = (Place::with(&several), Project::new());
    let text = project.run(&place, &["up", "--yes"]);
    assert!(text.starts_with("exit code 2\nerror: 3 control planes are not there yet"), "{text}");
    assert_eq!(project.names(), Vec::<String>::new());
    let text = project.run(&place, &["up", "--wait", "400000000000y"]);
    assert!(
        text.starts_with("exit code 2\nerror: invalid value") && text.contains("longer than 7days"),
        "{text}"
    );
}

#[test]
fn old_snapshots_go_and_those_in_use_stay() {
    let (place, project) = (Place::with(CLUSTER), Project::new());
    assert_eq!(project.run(&place, &["snapshots", "list"]), "exit code 0\nno snapshots\n");
    let server = project.server("upload", &json!({}));
    for digest in ["d1", "d2", "d3"] {
        let path = format!("/servers/{server}/actions/create_image");
        let labels = json!({ "imgbuild.org/digest": digest });
        project.make(&path, &json!({ "type": "snapshot", "description": "cloud on disk", "labels": labels }));
    }
    let images = project.simulator.resources()["images"].clone();
    let oldest =
        images.as_array().unwrap().iter().find(|image| image["labels"]["imgbuild.org/digest"] == "d1");
    project.make(
        "/servers",
        &json!({
            "name": "lab-cp1", "server_type": "cx23", "image": oldest.unwrap()["id"].to_string(),
            "location": "fsn1", "start_after_create": false,
        }),
    );
    let list = project.run(&place, &["snapshots", "list"]);
    assert_eq!(list.lines().count(), 5, "{list}");
    assert!(list.lines().last().unwrap().ends_with("lab-cp1"), "{list}");
    let pruned = project.run(&place, &["snapshots", "prune", "--keep", "1"]);
    assert!(pruned.contains("nobody can be asked") && project.names().len() == 5, "{pruned}");
    let pruned = project.run(&place, &["snapshots", "prune", "--keep", "1", "--yes"]);
    assert!(pruned.starts_with("exit code 0"), "{pruned}");
    let left = project.simulator.resources()["images"].clone();
    let mut digests: Vec<_> =
        left.as_array().unwrap().iter().map(|image| image["labels"]["imgbuild.org/digest"].clone()).collect();
    digests.sort_by_key(ToString::to_string);
    assert_eq!(digests, ["d1", "d3"]);
}

#[test]
fn what_the_cluster_file_names_is_looked_for_before_anything_is_billed() {
    let zone =
        CLUSTER.replace("server-type = \"cx33\"", "server-type = \"cx33\"\ndns-zone = \"example.org\"");
    let (place, project) = (Place::with(&zone), Project::new());
    let environment = [
        ("HCLOUD_TOKEN", project.simulator.read_only_token()),
        ("HCLOUD_ENDPOINT", &project.simulator.url()),
    ];
    insta::assert_snapshot!(place.run_with(&["check", "--online"], &environment));
    assert!(project.names().is_empty());
    project.make("/zones", &json!({ "name": "example.org", "mode": "primary" }));
    insta::assert_snapshot!(project.run(&place, &["check", "--online"]));
    assert_eq!(project.names(), ["zones example.org"]);
    let found: Value = serde_json::from_str(
        project
            .run(&place, &["check", "--online", "--json"])
            .split("\nerror")
            .next()
            .unwrap()
            .split_once('\n')
            .unwrap()
            .1,
    )
    .unwrap();
    assert_eq!((&found[0]["what"], &found[0]["isFine"]), (&json!("token"), &json!(true)));
}
