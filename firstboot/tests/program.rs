//! Runs the real `firstboot` below a directory, as no particular user.
#![expect(clippy::unwrap_used, reason = "a test stops where its arrangement fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "the test runs the program it tests")]
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use firstboot::apply::StepState::{Planned, Unchanged};
use firstboot::status::Status;

const RECORD: &str = include_str!("data/control-plane.json");

/// A node's root with the little that firstboot looks at.
struct Node {
    root: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let node = Self { root };
        node.write("usr/share/zoneinfo/Europe/Berlin", "TZif");
        node.write("etc/hostname", "localhost\n");
        node.write("proc/sys/kernel/hostname", "localhost\n");
        node
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Exit code, standard output, standard error; what differs from run to run is masked.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        #[expect(clippy::disallowed_types, reason = "the test runs the program it tests")]
        let output = Command::new(env!("CARGO_BIN_EXE_firstboot"))
            .arg("--root")
            .arg(self.root.path())
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Every path with its kind, size, mode and times down to the nanosecond.
    fn fingerprint(&self) -> BTreeMap<PathBuf, String> {
        fn walk(path: &Path, found: &mut BTreeMap<PathBuf, String>) {
            let data = fs::symlink_metadata(path).unwrap();
            let times = (data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec());
            found.insert(
                path.to_owned(),
                format!("{:o} {} {} {times:?}", data.mode(), data.ino(), data.size()),
            );
            if data.is_dir() {
                for entry in fs::read_dir(path).unwrap() {
                    walk(&entry.unwrap().path(), found);
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(self.root.path(), &mut found);
        found
    }
}

fn masked() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]");
    settings.add_filter(r"\b([0-9a-f]{4}-){7}[0-9a-f]{4}\b", "[fingerprint]");
    settings
}

#[test]
fn dry_run_prints_the_plan_and_touches_nothing() {
    let node = Node::new();
    node.write("run/imgbuild/esp/firstboot/record.json", RECORD);
    let before = node.fingerprint();
    let (code, stdout, stderr) = node.run(&["--dry-run"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(node.fingerprint(), before);
    masked().bind(|| {
        insta::assert_snapshot!(stdout, @r#"
        ---------------------------------------------------------------- firstboot ----
        node cp1, control-plane of cluster demo
        record      from EFI system partition, `firstboot/record.json`
        phase       planned since [time]: dry run, nothing was touched
        plan
          1. [would change] firewall   opens what a control plane needs
          2. [would change] host-name  is called `cp1`
          3. [would change] time-zone  shows time of Europe/Berlin
          4. [would change] ssh-keys   admits 1 SSH key, where the image runs sshd
          5. [ as it was  ] network    asks for addresses by DHCP on every Ethernet interface
          6. [  planned   ] claim      waits on TCP port 51820 for its order from `imgbuild up` or `boot`
          7. [  planned   ] vpn        brings up WireGuard at 10.44.0.1
               /run/imgbuild/wg0.conf (0600)
               | [Interface]
               | ListenPort = 51820
          8. [  planned   ] k3s        runs k3s server v1.36.4+k3s1; its order says whether it begins or joins
               /etc/rancher/k3s/config.yaml (0600)
               | node-name: "cp1"
               | node-ip: "10.44.0.1"
               | flannel-iface: "wg0"
               | token-file: "/var/lib/imgbuild/k3s-token"
               | advertise-address: "10.44.0.1"
               | cluster-cidr: "10.42.0.0/16"
               | service-cidr: "10.43.0.0/16"
               | tls-san:
               |   - "cp.demo.example.org"
               |   - "api.demo.internal"
               |   - "10.44.0.1"
               | disable:
               |   - "traefik"
               | kube-controller-manager-arg:
               |   - "node-monitor-grace-period=300s"
               |   - "node-monitor-period=30s"
               |   - "node-cidr-mask-size=23"
               | node-label:
               |   - "site=cloud"
               | kubelet-arg:
               |   - "max-pods=300"
               |   - "config=/etc/rancher/k3s/kubelet.yaml"
               /etc/rancher/k3s/kubelet.yaml (0600)
               | apiVersion: kubelet.config.k8s.io/v1beta1
               | kind: KubeletConfiguration
               | shutdownGracePeriod: 60s
               | shutdownGracePeriodCriticalPods: 20s
          9. [  planned   ] argocd     installs ArgoCD, which syncs https://git.example.org/demo.git
               /run/imgbuild/bootstrap/root-application.json (0600)
               | {
               |   "apiVersion": "argoproj.io/v1alpha1",
               |   "kind": "Application",
               |   "metadata": {
               |     "name": "root",
               |     "namespace": "argocd"
               |   },
               |   "spec": {
               |     "destination": {
               |       "namespace": "argocd",
               |       "server": "https://kubernetes.default.svc"
               |     },
               |     "project": "default",
               |     "source": {
               |       "path": "deployment",
               |       "repoURL": "https://git.example.org/demo.git",
               |       "targetRevision": "main"
               |     },
               |     "syncPolicy": {
               |       "automated": {
               |         "prune": true,
               |         "selfHeal": true
               |       }
               |     }
               |   }
               | }
        ------------------------------------------------------------- firstboot end ----
        "#);
    });
}

/// What `--dry-run` prints for a node of another role, of the same cluster.
fn dry_run(role: &str, name: &str, address: &str) -> String {
    let record = RECORD.replace(
        "\"name\": \"cp1\", \"role\": \"control-plane\"",
        &format!("\"name\": \"{name}\", \"role\": \"{role}\""),
    );
    let record = record.replace("\"address\": \"10.44.0.1\"", &format!("\"address\": \"{address}\""));
    let (record, _) = record.split_once(",\n  \"gitops\"").unwrap();
    let node = Node::new();
    node.write("run/imgbuild/esp/firstboot/record.json", &format!("{record} }}"));
    let (code, stdout, stderr) = node.run(&["--dry-run"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    stdout
}

#[test]
fn a_dry_run_of_a_worker_prints_its_plan() {
    masked().bind(|| {
        insta::assert_snapshot!(dry_run("worker", "worker1", "10.44.0.2"), @r#"
        ---------------------------------------------------------------- firstboot ----
        node worker1, worker of cluster demo
        record      from EFI system partition, `firstboot/record.json`
        phase       planned since [time]: dry run, nothing was touched
        plan
          1. [would change] firewall   opens what a worker needs
          2. [would change] host-name  is called `worker1`
          3. [would change] time-zone  shows time of Europe/Berlin
          4. [would change] ssh-keys   admits 1 SSH key, where the image runs sshd
          5. [ as it was  ] network    asks for addresses by DHCP on every Ethernet interface
          6. [  planned   ] claim      claims membership from cp.demo.example.org:51820
          7. [  planned   ] vpn        brings up WireGuard at 10.44.0.2
               /run/imgbuild/wg0.conf (0600)
               | [Interface]
               | ListenPort = 51820
          8. [  planned   ] k3s        runs k3s agent v1.36.4+k3s1
               /etc/rancher/k3s/config.yaml (0600)
               | node-name: "worker1"
               | node-ip: "10.44.0.2"
               | flannel-iface: "wg0"
               | token-file: "/var/lib/imgbuild/k3s-token"
               | server: "https://api.demo.internal:6443"
               | node-label:
               |   - "site=cloud"
               |   - "node.longhorn.io/create-default-disk=config"
               | kubelet-arg:
               |   - "max-pods=300"
               |   - "config=/etc/rancher/k3s/kubelet.yaml"
               /etc/rancher/k3s/kubelet.yaml (0600)
               | apiVersion: kubelet.config.k8s.io/v1beta1
               | kind: KubeletConfiguration
               | shutdownGracePeriod: 60s
               | shutdownGracePeriodCriticalPods: 20s
        ------------------------------------------------------------- firstboot end ----
        "#);
    });
}

#[test]
fn a_dry_run_of_an_edge_prints_its_plan() {
    masked().bind(|| {
        insta::assert_snapshot!(dry_run("edge", "edge1", "10.44.0.3"), @r#"
        ---------------------------------------------------------------- firstboot ----
        node edge1, edge of cluster demo
        record      from EFI system partition, `firstboot/record.json`
        phase       planned since [time]: dry run, nothing was touched
        plan
          1. [would change] firewall   opens what an edge needs
          2. [would change] host-name  is called `edge1`
          3. [would change] time-zone  shows time of Europe/Berlin
          4. [would change] ssh-keys   admits 1 SSH key, where the image runs sshd
          5. [ as it was  ] network    asks for addresses by DHCP on every Ethernet interface
          6. [  planned   ] claim      claims membership from cp.demo.example.org:51820
          7. [  planned   ] vpn        brings up WireGuard at 10.44.0.3
               /run/imgbuild/wg0.conf (0600)
               | [Interface]
               | ListenPort = 51820
          8. [  planned   ] k3s        runs k3s agent v1.36.4+k3s1
               /etc/rancher/k3s/config.yaml (0600)
               | node-name: "edge1"
               | node-ip: "10.44.0.3"
               | flannel-iface: "wg0"
               | token-file: "/var/lib/imgbuild/k3s-token"
               | server: "https://api.demo.internal:6443"
               | node-label:
               |   - "site=cloud"
               |   - "node.longhorn.io/create-default-disk=config"
               | node-taint:
               |   - "imgbuild.org/edge=true:NoSchedule"
               | kubelet-arg:
               |   - "max-pods=300"
               |   - "config=/etc/rancher/k3s/kubelet.yaml"
               /etc/rancher/k3s/kubelet.yaml (0600)
               | apiVersion: kubelet.config.k8s.io/v1beta1
               | kind: KubeletConfiguration
               | shutdownGracePeriod: 60s
               | shutdownGracePeriodCriticalPods: 20s
        ------------------------------------------------------------- firstboot end ----
        "#);
    });
}

#[test]
fn a_dry_run_knows_the_record_that_the_boot_read_from_a_medium_since_unmounted() {
    let node = Node::new();
    let medium = node.write("run/imgbuild/esp/firstboot/record.json", RECORD);
    node.run(&[]);
    fs::remove_file(medium).unwrap();
    let kept = fs::metadata(node.root.path().join("run/imgbuild/record.json")).unwrap();
    assert_eq!(kept.mode() & 0o7777, 0o600);
    let before = node.fingerprint();
    let (code, stdout, stderr) = node.run(&["--dry-run"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(node.fingerprint(), before);
    let start = "node cp1, control-plane of cluster demo\n\
                 record      from EFI system partition, `firstboot/record.json`\n";
    assert!(stdout.contains(start), "{stdout}");
}

#[test]
fn settings_are_in_force_after_one_run_and_unchanged_after_two() {
    let node = Node::new();
    node.write("run/imgbuild/esp/firstboot/record.json", RECORD);
    let (code, _, stderr) = node.run(&[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let read = |path: &str| fs::read_to_string(node.root.path().join(path)).unwrap();
    assert_eq!(read("etc/hostname"), "cp1\n");
    assert_eq!(read("etc/ssh/authorized_keys.d/root"), "ssh-ed25519 AAAA someone@laptop\n");
    let zone = fs::read_link(node.root.path().join("etc/localtime")).unwrap();
    assert_eq!(zone, Path::new("../usr/share/zoneinfo/Europe/Berlin"));

    node.write("proc/sys/kernel/hostname", "cp1\n");
    node.run(&[]);
    let (code, stdout, _) = node.run(&["status", "--json"]);
    assert_eq!(code, 0);
    let report: Status = serde_json::from_str(&stdout).unwrap();
    let states: Vec<_> = report.steps.iter().map(|step| step.state).collect();
    assert_eq!(states[..5], [Unchanged; 5]);
    assert_eq!(states[5..], [Planned; 4]);
}

#[test]
fn a_machine_without_a_record_is_unclaimed() {
    let node = Node::new();
    let (code, stdout, stderr) = node.run(&[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    masked().bind(|| {
        insta::assert_snapshot!(stdout, @"
    ---------------------------------------------------------------- firstboot ----
    this machine is no node yet
    fingerprint [fingerprint]
    phase       unclaimed since [time]: no node record was found
    hint        put the node's record on the EFI system partition as `firstboot/record.json`
    ------------------------------------------------------------- firstboot end ----
    ");
    });
    let (_, again, _) = node.run(&[]);
    let key = |text: &str| text.lines().find(|line| line.starts_with("fingerprint")).unwrap().to_owned();
    assert_eq!(key(&stdout), key(&again), "the node key is made once");
}

#[test]
fn notes_of_the_boot_are_on_the_screen() {
    let node = Node::new();
    node.write(
        "run/imgbuild/boot.json",
        r#"{"version":1,"disk":"/dev/vda","esp":"/dev/vda2","slot":"a","rootHash":"00","state":"/dev/vda7",
            "stateCreated":false,"notes":["this slot is on trial","no watchdog"]}"#,
    );
    let (code, stdout, stderr) = node.run(&[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("\nnote        this slot is on trial\nnote        no watchdog\n"), "{stdout}");
}

#[test]
fn artifacts_that_are_not_as_pinned_are_on_the_screen_and_in_the_status() {
    let node = Node::new();
    let unusable = node.write("usr/lib/imgbuild/artifacts.json", "{}");
    let (code, stdout, _) = node.run(&[]);
    assert_eq!(code, 1);
    assert!(
        stdout.contains(": reading `/usr/lib/imgbuild/artifacts.json`: missing field `version`"),
        "{stdout}"
    );
    let text = r#"{"version":1,"unpinned":["k3s","k3s-images"],"absent":["argocd"]}"#;
    fs::write(unusable, text).unwrap();
    let (code, stdout, stderr) = node.run(&[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let lines = "\nartifact    unpinned: k3s\nartifact    unpinned: k3s-images\nartifact    absent: argocd\n";
    assert!(stdout.contains(lines), "{stdout}");
    let (_, shown, _) = node.run(&["status"]);
    assert_eq!(shown, stdout);
    let (_, json, _) = node.run(&["status", "--json"]);
    let status: Status = serde_json::from_str(&json).unwrap();
    assert_eq!(status.unpinned, ["k3s", "k3s-images"]);
    assert_eq!(status.absent, ["argocd"]);
}

#[test]
fn a_wrong_record_stops_with_its_fault() {
    let node = Node::new();
    let record = node.write("record.json", &RECORD.replace("\"role\"", "\"roel\""));
    let (code, stdout, _) = node.run(&["--record", record.to_str().unwrap()]);
    assert_eq!(code, 2);
    let root = node.root.path().to_str().unwrap();
    masked().bind(|| insta::assert_snapshot!(stdout.replace(root, "[root]"), @"
    ---------------------------------------------------------------- firstboot ----
    this machine is no node yet
    fingerprint [fingerprint]
    phase       stopped since [time]: reading node record from [root]/record.json: line 4, column 33: unknown field `roel`, expected one of `name`, `role`, `labels`, `site`, `taints`, `hardware`, `swap`, `longhorn`
    hint        `imgbuild record NODE` writes a record that this image reads
    ------------------------------------------------------------- firstboot end ----
    "));
    assert!(!node.root.path().join("etc/ssh").exists(), "nothing of a wrong record is carried out");
}

#[test]
fn names_a_record_file_that_is_not_there() {
    let node = Node::new();
    let (code, stdout, stderr) = node.run(&["--record", "/nonexistent/record.json"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!(stderr, @"
    error: reading node record `/nonexistent/record.json`
    caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn a_watch_ends_when_nobody_reads_it_any_more() {
    let node = Node::new();
    node.run(&[]);
    #[expect(clippy::disallowed_types, reason = "the test runs the program it tests")]
    let mut watch = Command::new(env!("CARGO_BIN_EXE_firstboot"))
        .arg("--root")
        .arg(node.root.path())
        .args(["status", "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(watch.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    drop(output);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = watch.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > Duration::from_secs(20) {
            watch.kill().unwrap();
            watch.wait().unwrap();
            panic!("the watch goes on without a reader");
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn status_before_any_report_says_so() {
    let node = Node::new();
    let (code, _, stderr) = node.run(&["status"]);
    assert_eq!((code, stderr.as_str()), (1, "error: firstboot has not reported in this boot\n"));
}
