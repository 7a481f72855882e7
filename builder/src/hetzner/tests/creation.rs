//! Creations of unknown outcome.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::{Answer, Api, object, operation, run};
use crate::hetzner::image::CreateSnapshot;
use crate::hetzner::network::CreateNetwork;
use crate::hetzner::server::{CreatePublicNet, CreateServer, ImageName};
use crate::hetzner::ssh_key::CreateSshKey;
use crate::hetzner::{ActionId, ErrorCode, ImageId, Labels, Run, ServerId};

const SERVER: &str = include_str!("replies/server.json");
const IMAGE: &str = include_str!("replies/image.json");
const NETWORK: &str = include_str!("replies/network.json");
const SSH_KEY: &str = include_str!("replies/ssh_key.json");
const POST: &str = "POST /servers";
const GET: &str = "GET /servers";

fn labels() -> Labels {
    Labels::default().with("imgbuild.org/cluster", "lab").unwrap()
}

pub(super) fn wanted() -> CreateServer {
    CreateServer {
        name: "cp1".to_owned(),
        server_type: "cx23".to_owned(),
        image: ImageName::Id(ImageId(7)),
        location: "nbg1".to_owned(),
        start_after_create: false,
        ssh_keys: Vec::new(),
        user_data: None,
        public_net: CreatePublicNet { enable_ipv4: true, enable_ipv6: true, ipv4: None, ipv6: None },
        firewalls: Vec::new(),
        placement_group: None,
        labels: labels(),
    }
}

fn made_by(run: &Run) -> Value {
    let labels = json!({ "imgbuild.org/cluster": "lab", "imgbuild.org/run": run.to_string() });
    object(SERVER, &json!({ "name": "cp1", "labels": labels }))
}

fn created(run: &Run) -> Answer {
    let action = json!({ "id": 1, "command": "create_server", "status": "running", "progress": 0 });
    let next = json!({ "id": 2, "command": "start_server", "status": "running", "progress": 0 });
    Answer::json(
        201,
        &json!({
            "server": made_by(run), "action": action, "next_actions": [next], "root_password": "hunter2",
        }),
    )
}

fn listed(servers: &[Value]) -> Answer {
    Answer::ok(&json!({ "servers": servers }))
}

fn actions() -> Answer {
    let action = |id, status| json!({ "id": id, "command": "create_server", "status": status });
    Answer::ok(&json!({ "actions": [action(1, "success"), action(2, "running"), action(3, "error")] }))
}

fn methods(api: &Api) -> Vec<String> {
    let method = |line: String| line.split(' ').next().unwrap().to_owned();
    api.lines().into_iter().map(method).collect()
}

#[tokio::test]
async fn carries_the_runs_label_and_returns_all_actions() {
    let (api, run) = (Api::start().await, run());
    api.on(POST, [created(&run)]);
    let created = api.client().create(&operation(), &run, wanted()).await.unwrap();
    assert_eq!(created.made.id, ServerId(42));
    assert_eq!(
        created.actions.iter().map(|action| action.id).collect::<Vec<_>>(),
        [ActionId(1), ActionId(2)]
    );
    assert_eq!(format!("{:?}", created.root_password), "Some(<secret>)");
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    let labels = json!({ "imgbuild.org/cluster": "lab", "imgbuild.org/run": run.to_string() });
    assert_eq!(asked[0].body["labels"], labels);
}

#[tokio::test]
async fn what_was_made_before_the_connection_broke_is_found_and_not_made_again() {
    let gateway = Answer::Text(502, String::new(), "<html>".to_owned());
    let timeout = Answer::error(504, "timeout");
    for broken in [Answer::Cut, Answer::Silence, Answer::Half("{".to_owned()), gateway, timeout] {
        let (api, run) = (Api::start().await, run());
        api.on(POST, [broken.clone()]);
        api.on(GET, [listed(&[made_by(&run)])]);
        api.on("GET /servers/42/actions", [actions()]);
        let created = api.client().create(&operation(), &run, wanted()).await.unwrap();
        assert_eq!(created.made.id, ServerId(42), "{broken:?}");
        // What has succeeded needs no wait.
        assert_eq!(
            created.actions.iter().map(|action| action.id).collect::<Vec<_>>(),
            [ActionId(2), ActionId(3)]
        );
        let selector = format!("label_selector=imgbuild.org%2Frun%3D{run}");
        assert_eq!(
            api.lines(),
            [
                POST.to_owned(),
                format!("{GET}?name=cp1&{selector}&page=1&per_page=50"),
                "GET /servers/42/actions?page=1&per_page=50".to_owned(),
            ],
            "{broken:?}"
        );
    }
}

#[tokio::test]
async fn what_was_not_made_is_made_after_a_look() {
    let (api, run) = (Api::start().await, run());
    api.on(POST, [Answer::Cut, Answer::Cut, created(&run)]);
    api.on(GET, [listed(&[]), listed(&[])]);
    let created = api.client().create(&operation(), &run, wanted()).await.unwrap();
    assert_eq!(created.actions.len(), 2);
    assert_eq!(methods(&api), ["POST", "GET", "POST", "GET", "POST"]);
}

#[tokio::test]
async fn what_was_refused_is_made_without_a_look() {
    let (api, run) = (Api::start().await, run());
    api.on(POST, [Answer::error(409, "conflict"), Answer::error(423, "locked"), created(&run)]);
    api.client().create(&operation(), &run, wanted()).await.unwrap();
    assert_eq!(methods(&api), ["POST", "POST", "POST"]);
}

#[tokio::test]
async fn what_appears_only_after_the_look_is_found_by_its_name() {
    let (api, run) = (Api::start().await, run());
    api.on(POST, [Answer::Cut, Answer::error(409, "uniqueness_error")]);
    api.on(GET, [listed(&[]), listed(&[made_by(&run)])]);
    api.on("GET /servers/42/actions", [Answer::ok(&json!({ "actions": [] }))]);
    let created = api.client().create(&operation(), &run, wanted()).await.unwrap();
    assert_eq!(created.made.id, ServerId(42));
    assert_eq!(methods(&api), ["POST", "GET", "POST", "GET", "GET"]);
}

#[tokio::test]
async fn what_another_run_has_made_is_not_taken_for_its_own() {
    let (api, mine, other) = (Api::start().await, run(), run());
    api.on(POST, [Answer::Cut, Answer::error(409, "uniqueness_error")]);
    // A server that does not know the selector.
    api.on(GET, [listed(&[made_by(&other)]), listed(&[made_by(&other)])]);
    let error = api.client().create(&operation(), &mine, wanted()).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::UniquenessError));
    assert_eq!(methods(&api), ["POST", "GET", "POST", "GET"]);
}

#[tokio::test]
async fn a_taken_name_is_no_unknown_outcome() {
    let (api, run) = (Api::start().await, run());
    api.on(POST, [Answer::error(409, "uniqueness_error")]);
    let error = api.client().create(&operation(), &run, wanted()).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::UniquenessError));
    assert_eq!(methods(&api), ["POST"]);
}

#[tokio::test]
async fn gives_up_in_the_end() {
    let (api, run) = (Api::start().await, run());
    api.on(POST, std::iter::repeat_n(Answer::Cut, 20));
    api.on(GET, std::iter::repeat_n(listed(&[]), 20));
    let error = api.client().create(&operation(), &run, wanted()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("`POST /servers` got no complete answer from 127.0.0.1:"), "{text}");
    assert_eq!(methods(&api).iter().filter(|method| *method == "POST").count(), 6);
}

#[tokio::test]
async fn a_snapshot_is_found_by_all_its_labels() {
    let (api, run) = (Api::start().await, run());
    let mine = json!({ "imgbuild.org/cluster": "lab", "imgbuild.org/run": run.to_string() });
    let image = |id: u64, labels: &Value| object(IMAGE, &json!({ "id": id, "labels": labels }));
    let other = json!({ "imgbuild.org/cluster": "other", "imgbuild.org/run": run.to_string() });
    api.on("POST /servers/42/actions/create_image", [Answer::Cut]);
    api.on("GET /images", [Answer::ok(&json!({ "images": [image(1, &other), image(2, &mine)] }))]);
    api.on("GET /images/2/actions", [Answer::ok(&json!({ "actions": [] }))]);
    let wanted = CreateSnapshot::new(ServerId(42), "the text", labels());
    let created = api.client().create(&operation(), &run, wanted).await.unwrap();
    assert_eq!(created.made.id, ImageId(2));
    let body = json!({ "type": "snapshot", "description": "the text", "labels": mine });
    assert_eq!(api.asked()[0].body, body);
}

#[tokio::test]
async fn networks_and_keys_are_found_likewise() {
    let (api, run) = (Api::start().await, run());
    let labels = json!({ "imgbuild.org/cluster": "lab", "imgbuild.org/run": run.to_string() });
    let network = object(NETWORK, &json!({ "name": "lab", "labels": labels }));
    let key =
        object(SSH_KEY, &json!({ "name": "lab", "public_key": "ssh-ed25519 AAAA b", "labels": labels }));
    api.on("POST /networks", [Answer::Cut]);
    api.on("GET /networks", [Answer::ok(&json!({ "networks": [network] }))]);
    api.on("POST /ssh_keys", [Answer::Cut]);
    api.on("GET /ssh_keys", [Answer::ok(&json!({ "ssh_keys": [key] }))]);
    let (client, operation) = (api.client(), operation());
    let (name, ip_range) = ("lab".to_owned(), "10.0.0.0/16".parse().unwrap());
    let wanted = CreateNetwork { name: name.clone(), ip_range, subnets: Vec::new(), labels: self::labels() };
    assert_eq!(client.create(&operation, &run, wanted).await.unwrap().made.id.0, 4711);
    let wanted = CreateSshKey { name, public_key: "ssh-ed25519 AAAA a".to_owned(), labels: self::labels() };
    assert_eq!(client.create(&operation, &run, wanted).await.unwrap().made.name, "lab");
    assert_eq!(methods(&api), ["POST", "GET", "POST", "GET"]);
}

#[tokio::test]
async fn a_repetition_that_finds_it_done_is_done() {
    let api = Api::start().await;
    let (client, network, ip) = (api.client(), crate::hetzner::NetworkId(5), "10.0.1.2".parse().unwrap());
    let line = "POST /servers/42/actions/attach_to_network";
    let already = Answer::error(422, "server_already_attached");
    api.on(line, [Answer::Cut, already.clone(), already]);
    let attach = || async { client.attach_to_network(&operation(), ServerId(42), network, ip).await };
    assert!(attach().await.unwrap().is_empty());
    // Without an unknown outcome before it, it was somebody else, perhaps at another address.
    let error = attach().await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::ServerAlreadyAttached));
    assert_eq!(api.asked().len(), 3);
}

#[tokio::test]
async fn a_creation_that_answers_late_is_no_failure() {
    let (api, run) = (Api::start().await, run());
    api.on(POST, [Answer::Late(Duration::from_millis(100), Box::new(created(&run)))]);
    api.client().create(&operation(), &run, wanted()).await.unwrap();
    assert_eq!(methods(&api), ["POST"]);
}
