//! A cluster in a project of the Hetzner simulator.

use std::collections::BTreeMap;
use std::time::Duration;

use hetzner_simulator::{Failure, FaultKind, Options, Request, Simulator};
use serde_json::Value;

use super::api::{operation, run};
use crate::cloud::observed::{DIGEST_LABEL, Observed};
use crate::cloud::plan::{Built, Plan, Spared};
use crate::cloud::wanted::tests::{FILE, wanted};
use crate::cloud::wanted::{CLUSTER_LABEL, DiskImage, Wanted};
use crate::hetzner::carry_out::{Given, Site, Snapshot};
use crate::hetzner::image::{CreateSnapshot, Image};
use crate::hetzner::server::{CreatePublicNet, CreateServer, ImageName, Server};
use crate::hetzner::{Client, Endpoint, HetznerError, Labels, Pace, Run, Token, request_line};
use crate::units::Bytes;

/// Digest of the image of its servers.
pub(crate) const DIGEST: &str = "d1";

/// A project, and what a cluster wants of it.
pub(crate) struct Scene {
    pub(crate) simulator: Simulator,
    pub(crate) client: Client,
    pub(crate) wanted: Wanted,
    pub(crate) given: Given,
}

impl Scene {
    /// A project with the zone and a snapshot, and nothing else.
    pub(crate) async fn new() -> Self {
        // On a thread of its own, for it waits in a runtime of its own.
        let options = Options { requests_per_hour: 1_000_000, ..Options::default() };
        let simulator = std::thread::spawn(|| Simulator::start(options).unwrap()).join().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), simulator.token()).unwrap();
        let token = Token::load(file.path()).unwrap();
        let client = Client::new(Endpoint::parse(&simulator.url()).unwrap(), token).unwrap();
        let client = client.with_pace(Pace {
            request: Duration::from_secs(5),
            retries: 2,
            locked_retries: 3,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(4),
            first_poll: Duration::from_millis(1),
            longest_poll: Duration::from_millis(4),
        });
        make_zone(&simulator).await;
        let snapshot = make_snapshot(&client).await;
        simulator.forget_requests();
        let wanted = wanted(FILE);
        let images = wanted.images().into_iter().map(|image| (image.clone(), snapshot.clone())).collect();
        let user_data = wanted.servers.iter().map(|server| (server.name.clone(), server.node.clone()));
        let given = Given { images, user_data: user_data.collect() };
        Self { simulator, client, wanted, given }
    }

    pub(crate) async fn observe(&self) -> Observed {
        self.client.observe(&operation(), &self.wanted).await.unwrap()
    }

    pub(crate) fn plan(&self, observed: &Observed) -> Plan {
        let built = |(of, _): &(_, _)| Built {
            of: DiskImage::clone(of),
            size: Bytes(5 << 30),
            digest: DIGEST.to_owned(),
            absent: Vec::new(),
            caveats: Vec::new(),
        };
        let built: Vec<Built> = self.given.images.iter().map(built).collect();
        Plan::new(&self.wanted, observed, &built, request_line).unwrap()
    }

    pub(crate) async fn carry_out(
        &self,
        run: &Run,
        observed: &Observed,
        plan: &Plan,
    ) -> Result<(), HetznerError> {
        let site = Site::new(&self.client, run, &self.wanted, &self.given, observed);
        site.carry_out(&operation(), plan, async || Ok(()), &|_| {}).await
    }

    /// Everything that is asked for.
    pub(crate) async fn up(&self, run: &Run) -> Result<(), HetznerError> {
        let observed = self.observe().await;
        self.carry_out(run, &observed, &self.plan(&observed)).await
    }

    pub(crate) async fn down(&self, spared: Spared) -> Result<(), HetznerError> {
        let observed = self.observe().await;
        let plan = Plan::removal("lab", &observed, spared, request_line).unwrap();
        self.carry_out(&run(), &observed, &plan).await
    }

    /// Names of what the project has, by kind; without zone and snapshot, which were there before.
    pub(crate) fn names(&self) -> BTreeMap<String, Vec<String>> {
        let all = self.simulator.resources();
        let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
        let kinds =
            all.as_object().unwrap().iter().filter(|(kind, _)| !matches!(kind.as_str(), "zones" | "images"));
        let kinds =
            kinds.map(|(kind, all)| (kind.clone(), all.as_array().unwrap().iter().map(name).collect()));
        kinds.filter(|(_, names): &(_, Vec<String>)| !names.is_empty()).collect()
    }

    /// Requests that change something.
    pub(crate) fn changes(&self) -> Vec<Request> {
        let all = self.simulator.requests();
        all.into_iter().filter(|request| request.method != "GET").collect()
    }
}

async fn make_zone(simulator: &Simulator) {
    let body = serde_json::json!({ "name": "example.org", "mode": "primary" });
    let http = reqwest::Client::new();
    let request = http.post(format!("{}/zones", simulator.url())).bearer_auth(simulator.token());
    let answer = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 201);
}

async fn make_snapshot(client: &Client) -> Snapshot {
    let (operation, run) = (operation(), run());
    let public_net = CreatePublicNet { enable_ipv4: false, enable_ipv6: false, ipv4: None, ipv6: None };
    let server = CreateServer {
        name: "upload".to_owned(),
        server_type: "cx23".to_owned(),
        image: ImageName::Name("debian-13".to_owned()),
        location: "fsn1".to_owned(),
        start_after_create: false,
        ssh_keys: Vec::new(),
        user_data: None,
        public_net,
        firewalls: Vec::new(),
        placement_group: None,
        labels: Labels::default(),
    };
    let server = client.create(&operation, &run, server).await.unwrap();
    client.wait(&operation, server.actions).await.unwrap();
    let labels = Labels::default().with(DIGEST_LABEL, DIGEST).unwrap().with(CLUSTER_LABEL, "lab").unwrap();
    let image = CreateSnapshot::new(server.made.id, "cloud on disk", labels.clone());
    let image = client.create(&operation, &run, image).await.unwrap();
    client.wait(&operation, image.actions).await.unwrap();
    client.set_labels::<Image>(&operation, image.made.id, &labels).await.unwrap();
    let gone = client.delete::<Server>(&operation, server.made.id).await.unwrap();
    client.wait(&operation, gone).await.unwrap();
    Snapshot { id: image.made.id, digest: DIGEST.to_owned() }
}

/// What was called, as the provider's reference has it.
pub(crate) fn called(request: &Request) -> String {
    numberless(&format!("{} {}", request.method, request.path.trim_start_matches("/v1")), "{id}")
}

/// A path, or a line with one, in which something stands for each number.
pub(crate) fn numberless(line: &str, number: &str) -> String {
    let is_number = |step: &str| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    line.split('/').map(|step| if is_number(step) { number } else { step }).collect::<Vec<_>>().join("/")
}

/// Each kind of fault.
pub(crate) fn faults() -> Vec<FaultKind> {
    let answer = |status, code: &str| FaultKind::Answer {
        status,
        code: code.to_owned(),
        message: "a fault of the test".to_owned(),
    };
    vec![
        answer(401, "unauthorized"),
        answer(403, "token_readonly"),
        answer(409, "conflict"),
        answer(412, "resource_unavailable"),
        answer(422, "invalid_input"),
        answer(423, "locked"),
        answer(403, "resource_limit_exceeded"),
        answer(500, "server_error"),
        answer(503, "maintenance"),
        FaultKind::Html { status: 502 },
        FaultKind::CloseBefore,
        FaultKind::CloseAfter,
        FaultKind::Delay(Duration::from_millis(5)),
        FaultKind::ActionError(Failure::new("action_failed", "a fault of the test")),
    ]
}
