//! Commands that ask an S3 service, beside the Hetzner simulator.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hetzner_simulator::{Fault, FaultKind};
use imgbuild::bundle::manifest::{DiskFacts, FORMAT, Manifest};
use imgbuild::secure_boot::SignedBy;
use imgbuild::units::{Arch, Bytes, RootHash, SectorSize, Sha256, Timestamp};
use s3_server::{KEYS, OTHER_KEYS, Options, S3Server};
use serde_json::{Value, json};

use super::cloud::Project;
use super::plan::CLUSTER;
use super::program::Place;

const BACKUP: &str = r#"
[backup]
endpoint = "fsn1.your-objectstorage.com"
region = "fsn1"
secret = "s3"
"#;

const NOTHING: [&str; 0] = [];

struct Services {
    place: Place,
    project: Project,
    s3: S3Server,
}

impl Services {
    fn new() -> Self {
        let place = Place::with(&format!("{CLUSTER}{BACKUP}"));
        Self { place, project: Project::new(), s3: S3Server::start(Options::default()).unwrap() }
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.run_with(arguments, &[("AWS_ACCESS_KEY_ID", KEYS[0]), ("AWS_SECRET_ACCESS_KEY", KEYS[1])])
    }

    /// Without keys but those that are given; no secret key is ever shown.
    fn run_with(&self, arguments: &[&str], keys: &[(&str, &str)]) -> String {
        let (url, s3) = (self.project.simulator.url(), self.s3.url());
        let mut environment = vec![
            ("HCLOUD_TOKEN", self.project.simulator.token()),
            ("HCLOUD_ENDPOINT", &url),
            ("AWS_ENDPOINT_URL_S3", &s3),
        ];
        environment.extend(keys);
        let text = self.place.run_with(arguments, &environment);
        assert!(!text.contains(KEYS[1]) && !text.contains(self.project.simulator.token()), "{text}");
        text.replace(&s3, "https://[s3]")
    }

    fn is_untouched(&self) -> bool {
        let all = self.project.simulator.resources();
        all.as_object().unwrap().values().all(|kind| kind.as_array().unwrap().is_empty())
    }
}

#[test]
fn plan_shows_buckets_and_says_where_it_has_not_looked() {
    let services = Services::new();
    let text = services.run(&["plan"]);
    let lines: Vec<_> = text.lines().filter(|line| line.contains("lab-etcd")).map(str::trim).collect();
    insta::assert_snapshot!(lines.join("\n"));
    let text = services.run_with(&["plan"], &[]);
    assert!(text.starts_with("exit code 0"), "{text}");
    assert!(text.contains("\nNot looked at: buckets lab-etcd, lab-longhorn\n"), "{text}");
    assert!(!text.contains("+ bucket"), "{text}");
    let text = services.run_with(&["plan", "--json"], &[]);
    let plan: Value = serde_json::from_str(text.split_once('\n').unwrap().1).unwrap();
    assert_eq!(plan["unseenBuckets"], serde_json::json!(["lab-etcd", "lab-longhorn"]));
    assert!(services.s3.buckets().is_empty() && services.is_untouched());
}

#[test]
fn up_without_keys_fails_before_anything_is_asked_for() {
    let services = Services::new();
    services.place.run(&["identity", "create"]);
    insta::assert_snapshot!(services.run_with(&["up", "--yes"], &[]));
    let half = services.run_with(&["up", "--yes"], &[("AWS_ACCESS_KEY_ID", KEYS[0])]);
    assert!(half.contains("error: `AWS_ACCESS_KEY_ID` is set, and `AWS_SECRET_ACCESS_KEY` is not"), "{half}");
    assert!(services.s3.requests().is_empty() && services.is_untouched());
}

/// As `build` leaves it, with a snapshot that was made of it.
fn lay_image(services: &Services) {
    let digest = Sha256::of(b"disk");
    let manifest = Manifest {
        format: FORMAT,
        profile: "cloud".to_owned(),
        image: "disk".to_owned(),
        arch: Arch::Amd64,
        debug: false,
        date: Timestamp(1_795_227_046),
        root_hash: RootHash(digest),
        kernel: "6.12".to_owned(),
        command_line: String::new(),
        image_command_line: String::new(),
        secure_boot: SignedBy::Nobody,
        initrd_size: Bytes(0),
        microcode_size: Bytes(0),
        disk: DiskFacts { size: Bytes(1 << 30), fs_verity: digest },
        files: BTreeMap::new(),
        sector_size: SectorSize::B512,
        partitions: Vec::new(),
        packages: Vec::new(),
        boot_packages: Vec::new(),
        artifacts: Vec::new(),
        unpinned: Vec::new(),
        absent: Vec::new(),
        programs: BTreeMap::new(),
    };
    services.place.write("out/cloud-amd64/manifest.json", serde_json::to_string(&manifest).unwrap());
    let server = services.project.server("upload", &json!({}));
    let label: String = digest.to_string().chars().take(48).collect();
    let image = json!({ "type": "snapshot", "description": "cloud on disk", "labels": { "imgbuild.org/digest": label } });
    services.project.make(&format!("/servers/{server}/actions/create_image"), &image);
}

#[test]
fn up_that_fails_removes_the_buckets_that_it_has_made() {
    let services = Services::new();
    services.place.run(&["identity", "create"]);
    lay_image(&services);
    services.s3.make(KEYS, "lab-longhorn", NOTHING);
    let kind = FaultKind::Answer {
        status: 422,
        code: "invalid_input".to_owned(),
        message: "a fault of the test".to_owned(),
    };
    services.project.simulator.add_fault(Fault::on("POST", "/servers", kind).times(10));
    let before = services.project.simulator.resources();
    let text = services.run(&["up", "--yes"]);
    assert!(text.starts_with("exit code 1") && text.contains("a fault of the test"), "{text}");
    assert!(
        text.contains("bucket `lab-etcd`\n") && text.contains("removed what this run had made"),
        "{text}"
    );
    let made = ["PUT /lab-etcd", "DELETE /lab-etcd"].map(str::to_owned);
    assert!(
        made.iter().all(|request| services.s3.requests().contains(request)),
        "{:?}",
        services.s3.requests()
    );
    // The one that was there before is as it was.
    assert_eq!(services.s3.buckets(), ["lab-longhorn:"]);
    assert_eq!(services.project.simulator.resources(), before);
    let asked = services.s3.requests().len();
    let text = services.run_with(&["up", "--yes", "--without-buckets"], &[]);
    assert!(text.contains("Not looked at: buckets lab-etcd, lab-longhorn"), "{text}");
    assert_eq!((services.s3.requests().len(), services.project.simulator.resources()), (asked, before));
}

#[test]
fn keys_come_from_a_file_too_and_others_had_better_not_read_it() {
    let services = Services::new();
    services.place.write("keys", KEYS.join("\n"));
    fs::set_permissions(services.place.path().join("keys"), fs::Permissions::from_mode(0o600)).unwrap();
    let plan = services.run_with(&["plan", "--s3-key-file", "keys"], &[]);
    assert!(plan.contains("+ bucket") && !plan.contains("warning"), "{plan}");
    fs::set_permissions(services.place.path().join("keys"), fs::Permissions::from_mode(0o644)).unwrap();
    let plan = services.run_with(&["plan", "--s3-key-file", "keys"], &[]);
    assert!(plan.contains("others can read the keys of the S3 service in `keys`"), "{plan}");
    services.place.write("keys", "one\n");
    insta::assert_snapshot!(services.run_with(&["plan", "--s3-key-file", "keys"], &[]));
    let wrong = [("AWS_ACCESS_KEY_ID", KEYS[0]), ("AWS_SECRET_ACCESS_KEY", "wrong")];
    insta::assert_snapshot!(services.run_with(&["plan"], &wrong));
}

#[test]
fn down_keeps_buckets_unless_it_is_told_and_asks_before_data() {
    let services = Services::new();
    insta::assert_snapshot!(services.run_with(&["down", "--yes"], &[]));
    let mark = "imgbuild.org/cluster/lab";
    services.s3.make(KEYS, "lab-etcd", ["etcd-snapshot-1", "etcd-snapshot-2", mark]);
    services.s3.make(KEYS, "lab-longhorn", ["somebody's"]);
    services.s3.make(KEYS, "lab-other", [mark]);
    let (before, asked) = (services.s3.buckets(), services.s3.requests().len());
    services.run(&["down", "--yes"]);
    assert_eq!((services.s3.buckets(), services.s3.requests().len()), (before.clone(), asked));
    insta::assert_snapshot!(services.run(&["down", "--buckets"]));
    assert_eq!(services.s3.buckets(), before);
    let text = services.run(&["down", "--buckets", "--yes"]);
    assert!(text.starts_with("exit code 0") && text.contains("removed bucket `lab-etcd`"), "{text}");
    assert_eq!(services.s3.buckets(), ["lab-longhorn: somebody's", &format!("lab-other: {mark}")]);
    insta::assert_snapshot!(services.run(&["down", "--buckets", "--yes"]));
    let text = services.run_with(&["down", "--buckets", "--yes"], &[]);
    assert!(text.contains("error: there are no keys of the S3 service"), "{text}");
    assert!(services.is_untouched());
}

#[test]
fn orphans_are_buckets_of_interrupted_runs_with_nothing_in_them() {
    let services = Services::new();
    let run = "imgbuild.org/run/0123456789abcdef";
    services.s3.make(KEYS, "lab-etcd", [run, "imgbuild.org/cluster/lab"]);
    services.s3.make(KEYS, "lab-longhorn", [run, "data"]);
    let text = "bucket           lab-etcd, run 0123456789abcdef of cluster `lab`";
    assert_eq!(services.run(&["orphans"]), format!("exit code 0\n{text}\n"));
    let text_without = services.run_with(&["orphans"], &[]);
    assert!(text_without.starts_with("exit code 0\nno orphans\n"), "{text_without}");
    assert!(
        text_without.contains("are not looked for: there are no keys of the S3 service"),
        "{text_without}"
    );
    let removed = services.run(&["orphans", "--remove", "--yes"]);
    assert_eq!(removed, format!("exit code 0\n{text}\nremoved\n"));
    assert_eq!(services.s3.buckets(), [format!("lab-longhorn: data {run}")]);
    // Wrong keys are no reason to tell nothing.
    let wrong = [("AWS_ACCESS_KEY_ID", "SOMEBODYUNKNOWN"), ("AWS_SECRET_ACCESS_KEY", "x")];
    let text = services.run_with(&["orphans"], &wrong);
    assert!(text.starts_with("exit code 0\nno orphans\n") && text.contains("InvalidAccessKeyId"), "{text}");
    // Nor are variables that are for something else.
    let half = services.run_with(&["orphans"], &[("AWS_ACCESS_KEY_ID", "half")]);
    assert!(half.starts_with("exit code 0\nno orphans\n") && half.contains("not looked for"), "{half}");
    // Without a cluster file nobody looks.
    let elsewhere = Place::new();
    let environment = [
        ("HCLOUD_TOKEN", services.project.simulator.token()),
        ("HCLOUD_ENDPOINT", &services.project.simulator.url()),
    ];
    assert_eq!(elsewhere.run_with(&["orphans"], &environment), "exit code 0\nno orphans\n");
}

#[test]
fn check_says_whose_the_buckets_are() {
    let services = Services::new();
    let found = |keys: &[(&str, &str)], more: &[&str]| {
        let arguments: Vec<_> = ["check", "--online"].iter().chain(more).copied().collect();
        let text = services.run_with(&arguments, keys);
        let lines = text.lines().skip_while(|line| !line.contains("S3 keys"));
        lines.take_while(|line| !line.contains("identity")).collect::<Vec<_>>().join("\n")
    };
    let keys = [("AWS_ACCESS_KEY_ID", KEYS[0]), ("AWS_SECRET_ACCESS_KEY", KEYS[1])];
    services.s3.make(OTHER_KEYS, "lab-longhorn", NOTHING);
    insta::assert_snapshot!(found(&keys, &[]));
    services.s3.make(KEYS, "lab-etcd", ["imgbuild.org/cluster/other"]);
    services.s3.make(KEYS, "lab-longhorn", ["data"]);
    insta::assert_snapshot!(found(&keys, &[]));
    insta::assert_snapshot!(found(&[], &[]));
    assert_eq!(found(&[], &["--without-buckets"]), "");
    insta::assert_snapshot!(found(&[("AWS_ACCESS_KEY_ID", KEYS[0]), ("AWS_SECRET_ACCESS_KEY", "x")], &[]));
}

#[test]
fn a_service_that_is_not_there_is_named() {
    let services = Services::new();
    let environment = [
        ("HCLOUD_TOKEN", services.project.simulator.token()),
        ("HCLOUD_ENDPOINT", &services.project.simulator.url()),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", KEYS[0]),
        ("AWS_SECRET_ACCESS_KEY", KEYS[1]),
    ];
    insta::assert_snapshot!(services.place.run_with(&["plan"], &environment));
    // What does not need it goes on.
    let text = services.place.run_with(&["down", "--yes"], &environment);
    assert!(text.starts_with("exit code 0"), "{text}");
    let plain = [
        environment[0],
        environment[1],
        ("AWS_ENDPOINT_URL_S3", "http://s3.example.org"),
        environment[3],
        environment[4],
    ];
    let text = services.place.run_with(&["plan"], &plain);
    assert!(text.starts_with("exit code 2") && text.contains("has no TLS and is not on this host"), "{text}");
}
