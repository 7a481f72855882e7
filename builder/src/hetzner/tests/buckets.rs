//! Plans with buckets, carried out in a project and at an S3 service.

use s3_server::{Fault, FaultKind, KEYS, OTHER_KEYS, S3Server};

use super::api::{operation, run};
use super::scene::Scene;
use crate::cloud::observed::Observed;
use crate::cloud::plan::{Intent, Kind, Plan, PlanError, Spared};
use crate::cloud::wanted::tests::{FILE, wanted};
use crate::hetzner::carry_out::Site;
use crate::hetzner::{HetznerError, Run, request_line};
use crate::s3::tests::scene::{client, keys};
use crate::s3::{Endpoint, Storage};

const BACKUP: &str =
    "\n[backup]\nendpoint = \"fsn1.your-objectstorage.com\"\nregion = \"fsn1\"\nsecret = \"s3\"\n";

struct WithStorage {
    scene: Scene,
    server: S3Server,
    storage: Storage,
}

impl WithStorage {
    async fn new() -> Self {
        let mut scene = Scene::new().await;
        scene.wanted = wanted(&format!("{FILE}{BACKUP}"));
        let start = tokio::task::spawn_blocking(|| S3Server::start(s3_server::Options::default()).unwrap());
        let server = start.await.unwrap();
        let client = client(Endpoint::parse(&server.url(), "fsn1").unwrap(), keys(KEYS));
        let buckets = scene.wanted.storage.as_ref().unwrap().buckets.clone();
        Self { scene, server, storage: Storage::new(client, buckets) }
    }

    async fn observe(&self) -> Observed {
        let storage = Some(self.storage.observe(&operation()).await.unwrap());
        Observed { storage, ..self.scene.observe().await }
    }

    async fn carry_out(&self, run: &Run, observed: &Observed, plan: &Plan) -> Result<(), HetznerError> {
        let Scene { client, wanted, given, .. } = &self.scene;
        let site = Site::new(client, run, wanted, given, observed).with_storage(Some(&self.storage));
        site.carry_out(&operation(), plan, async || Ok(()), &|_| {}).await
    }

    async fn down(&self) -> Plan {
        let observed = self.observe().await;
        let plan = Plan::removal("lab", &observed, Spared::default(), request_line).unwrap();
        self.carry_out(&run(), &observed, &plan).await.unwrap();
        plan
    }
}

fn of_buckets(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().filter(|step| step.kind == Kind::Bucket);
    steps.map(|step| format!("{:?} {} {}", step.intent, step.name, step.detail)).collect()
}

#[tokio::test]
async fn what_was_shown_is_what_is_called_before_any_server_is_made() {
    let with = WithStorage::new().await;
    let observed = with.observe().await;
    let plan = with.scene.plan(&observed);
    let (looked, run) = (with.server.requests().len(), run());
    with.carry_out(&run, &observed, &plan).await.unwrap();
    let shown = plan.steps.iter().filter(|step| step.kind == Kind::Bucket).flat_map(|step| &step.requests);
    let mut shown: Vec<_> =
        shown.map(|line| line.replace(&with.server.url(), "").replace("{run}", &run.to_string())).collect();
    let mut called = with.server.requests().split_off(looked);
    called.retain(|line| !line.starts_with("GET "));
    shown.sort();
    called.sort();
    assert_eq!(called, shown);
    let order: Vec<_> = plan.steps.iter().map(|step| step.kind).collect();
    let first = |kind| order.iter().position(|other| *other == kind).unwrap();
    assert!(first(Kind::Bucket) < first(Kind::Server) && first(Kind::Bucket) < first(Kind::Address));
    // Once more nothing is done, settled or not.
    assert_eq!(
        of_buckets(&with.scene.plan(&with.observe().await)),
        ["Keep lab-etcd fsn1", "Keep lab-longhorn fsn1"]
    );
    with.storage.settle(&operation(), "lab").await.unwrap();
    let plan = with.scene.plan(&with.observe().await);
    assert!(plan.steps.iter().all(|step| step.intent == Intent::Keep), "{plan}");
    // The way back, with what was copied meanwhile.
    with.server.make(KEYS, "lab-etcd", ["etcd-snapshot-cp1-1", "imgbuild.org/cluster/lab"]);
    let plan = with.down().await;
    assert_eq!(of_buckets(&plan), ["Delete lab-etcd 1 object", "Delete lab-longhorn empty"]);
    assert_eq!(with.server.buckets(), [""; 0]);
}

#[tokio::test]
async fn what_an_interrupted_run_has_left_is_gone_on_with() {
    let with = WithStorage::new().await;
    with.server.make(KEYS, "lab-etcd", ["imgbuild.org/run/0123456789abcdef"]);
    with.server.make(KEYS, "lab-longhorn", ["imgbuild.org/cluster/lab", "imgbuild.org/run/0123456789abcdef"]);
    let observed = with.observe().await;
    let plan = with.scene.plan(&observed);
    assert_eq!(
        of_buckets(&plan),
        ["Change lab-etcd fsn1, left by an interrupted run", "Keep lab-longhorn fsn1"]
    );
    with.carry_out(&run(), &observed, &plan).await.unwrap();
    with.storage.settle(&operation(), "lab").await.unwrap();
    let marked = ["lab-etcd: imgbuild.org/cluster/lab", "lab-longhorn: imgbuild.org/cluster/lab"];
    assert_eq!(with.server.buckets(), marked);
}

#[tokio::test]
async fn what_it_did_not_make_stays() {
    let with = WithStorage::new().await;
    with.server.make(KEYS, "lab-etcd", ["somebody's"]);
    with.server.make(
        KEYS,
        "lab-longhorn",
        ["data", "imgbuild.org/cluster/lab", "imgbuild.org/cluster/other"],
    );
    let plan = with.scene.plan(&with.observe().await);
    assert_eq!(of_buckets(&plan), ["Keep lab-etcd fsn1, not made by imgbuild", "Keep lab-longhorn fsn1"]);
    let before = with.server.buckets();
    let plan = with.down().await;
    let expected = [
        "Keep lab-etcd 1 object, not made by imgbuild",
        "Keep lab-longhorn 1 object, of the cluster `other`",
    ];
    assert_eq!(of_buckets(&plan), expected);
    assert_eq!(with.server.buckets(), before);
    for (owner, objects, fault) in [
        (OTHER_KEYS, vec![], "the bucket name `lab-etcd` is taken by another account"),
        (
            KEYS,
            vec!["imgbuild.org/cluster/other"],
            "the bucket `lab-etcd` is there already, and does not belong to the cluster `lab`",
        ),
    ] {
        with.server.make(owner, "lab-etcd", objects);
        let observed = with.observe().await;
        let built = [];
        let error = Plan::new(&with.scene.wanted, &observed, &built, request_line).unwrap_err();
        assert_eq!(error.to_string(), fault);
        assert!(matches!(error, PlanError::Taken { .. } | PlanError::Foreign { kind: "bucket", .. }));
    }
}

#[tokio::test]
async fn a_bucket_that_cannot_be_made_ends_the_run_before_anything_is_billed_by_the_hour() {
    let with = WithStorage::new().await;
    let observed = with.observe().await;
    let plan = with.scene.plan(&observed);
    let denied = FaultKind::Answer { status: 403, code: "AccessDenied" };
    with.server.add_fault(Fault::on("PUT /lab-longhorn", denied));
    let run = run();
    let error = with.carry_out(&run, &observed, &plan).await.unwrap_err();
    assert!(error.to_string().contains("lab-longhorn` is answered with `AccessDenied` (403)"), "{error}");
    assert!(error.hint().unwrap().contains("allowed"));
    let names = with.scene.names();
    assert!(!names.contains_key("servers") && !names.contains_key("primary_ips"), "{names:?}");
    with.server.clear_faults();
    with.scene.client.clean_up(&operation(), &run).await.unwrap();
    with.storage.clean_up(&operation()).await.unwrap();
    assert_eq!(with.server.buckets(), [""; 0]);
    assert!(with.scene.names().is_empty());
}
