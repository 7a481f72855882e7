//! Boxes whose medium has a cluster record and nothing else.

use super::*;
use crate::claim::store::Verdict;
use crate::cluster::ClusterRecord;
use crate::cluster::tests::{operator_key, ticket_key};
use crate::record::{self, example};

pub(super) const FIRST_CHALLENGE: &str = "/var/lib/imgbuild/first-challenge";
pub(super) const MEMBERSHIP: &str = "/var/lib/imgbuild/membership.json";

pub(super) fn newcomer() -> (tempfile::TempDir, System) {
    let folder = tempfile::tempdir().unwrap();
    let system = System::new(folder.path(), Mode::Apply);
    for (path, content) in [
        ("/usr/share/zoneinfo/Europe/Berlin", b"TZif".to_vec()),
        ("/run/imgbuild/esp/firstboot/cluster.json", serde_json::to_vec(&cluster()).unwrap()),
    ] {
        system.ensure_file(path, &content, 0o644).unwrap();
    }
    boot(&system);
    (folder, system)
}

/// What the box does until it is a node.
pub(super) fn ask(system: &System, service: &Running, pauses: u32) -> (anyhow::Result<()>, Vec<String>) {
    let Known::Newcomer(newcomer) = know(system).unwrap() else { panic!("it is a node already") };
    let mut machine = Fake::new(Some(service.address), &[Seen::Ready], pauses);
    (newcomer.become_node(system, &mut machine), machine.done)
}

pub(super) fn facts_of(system: &System) -> Facts {
    match know(system).unwrap() {
        Known::Node(facts) => *facts,
        Known::Newcomer(_) => panic!("it is no node yet"),
    }
}

pub(super) fn approved(record: Option<String>) -> Verdict {
    approved_as("edge1", record)
}

pub(super) fn approved_as(node: &str, record: Option<String>) -> Verdict {
    Verdict::Approved {
        node: node.to_owned(),
        role: Role::Edge,
        address: example().vpn.address,
        generation: 3_000_009,
        record,
        transient: None,
    }
}

pub(super) fn signed_as(node: &str) -> String {
    let mut record = example();
    record.node.name = node.to_owned();
    record::sign(&record, &operator_key()).unwrap()
}

fn signed() -> String {
    signed_as("edge1")
}

#[test]
fn a_box_becomes_the_node_that_a_person_names_and_is_not_asked_again() {
    let service = Running::start(Limits::default());
    let (_folder, system) = newcomer();
    let shown = status(&system);
    assert_eq!((shown.phase, shown.node), (Phase::Unclaimed, None));
    assert_eq!(shown.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["firewall", "claim"]);
    assert_eq!(ask(&system, &service, 3).0.unwrap_err().to_string(), "the run is over");
    let shown = status(&system);
    assert_eq!(shown.phase, Phase::WaitingForApproval);
    let code = shown.code.unwrap();
    let hint = format!("the same code there? `imgbuild node approve {code} --as NAME`");
    assert_eq!(shown.hint, Some(hint));
    // It is switched off and on again, and shows what the person has seen.
    boot(&system);
    ask(&system, &service, 3).0.unwrap_err();
    assert_eq!(status(&system).code, Some(code));
    service.decide(&approved(Some(signed())));
    let (outcome, done) = ask(&system, &service, 3);
    outcome.unwrap();
    assert_eq!(done, ["network"], "the record has an interface");
    assert_eq!(system.read("/etc/hostname").unwrap().unwrap(), b"edge1\n");
    assert_eq!(system.read(FIRST_CHALLENGE).unwrap(), None);
    drop(service);
    for _ in 0..2 {
        let node = status(&system).node.unwrap();
        assert_eq!((node.name.as_str(), node.record.as_str()), ("edge1", "the state partition, as approved"));
        let mut machine = Fake::new(None, &[Seen::Ready], 3);
        join(&facts_of(&system), &system, &mut machine);
        assert_eq!(machine.done, ["tunnels with cp1", "k3s agent IfNeeded", "tunnels with cp1"]);
        assert_eq!(status(&system).phase, Phase::Ready);
        boot(&system);
    }
}

#[test]
fn a_power_cut_before_the_membership_is_kept_is_made_good_by_asking_again() {
    let service = Running::start(Limits::default());
    let (_folder, system) = newcomer();
    ask(&system, &service, 3).0.unwrap_err();
    let challenge = system.read(FIRST_CHALLENGE).unwrap().unwrap();
    service.decide(&approved(Some(signed())));
    ask(&system, &service, 3).0.unwrap();
    system.ensure_absent(MEMBERSHIP).unwrap();
    system.ensure_file(FIRST_CHALLENGE, &challenge, 0o600).unwrap();
    boot(&system);
    let mut machine = Fake::new(Some(service.address), &[Seen::Ready], 3);
    join(&facts_of(&system), &system, &mut machine);
    assert_eq!(machine.done, ["tunnels with cp1", "k3s agent IfNeeded", "tunnels with cp1"]);
}

#[test]
fn a_step_that_fails_after_the_approval_is_tried_again_and_nobody_is_asked() {
    let service = Running::start(Limits::default());
    let (folder, system) = newcomer();
    ask(&system, &service, 3).0.unwrap_err();
    service.decide(&approved(Some(signed())));
    let in_the_way = folder.path().join("etc/hostname");
    std::fs::create_dir_all(in_the_way.join("folder")).unwrap();
    let fault = format!("{:#}", ask(&system, &service, 3).0.unwrap_err());
    assert!(fault.contains("/etc/hostname"), "{fault}");
    drop(service);
    // Until its settings are in force it is no node, and goes no further.
    let again = |pauses| {
        let Known::Newcomer(newcomer) = know(&system).unwrap() else { panic!("it is taken for a node") };
        newcomer.become_node(&system, &mut Fake::new(None, &[Seen::Ready], pauses))
    };
    again(3).unwrap_err();
    std::fs::remove_dir_all(in_the_way).unwrap();
    again(3).unwrap();
    assert_eq!(facts_of(&system).record.node.name, "edge1");
    assert_eq!(system.read("/etc/hostname").unwrap().unwrap(), b"edge1\n");
}

#[test]
fn an_approval_whose_record_is_not_of_this_node_and_cluster_is_refused_by_name() {
    let foreign = || {
        let mut record = example();
        record.cluster.name = "other".to_owned();
        record
    };
    for (record, expected) in [
        (None, "the approval has no node record, and there is none here"),
        (Some(record::sign(&example(), &ticket_key()).unwrap()), "record is not signed by key "),
        (Some(record::sign(&foreign(), &operator_key()).unwrap()), "the record is of cluster `other`"),
        (Some(signed_as("edge2")), "the membership is that of `edge1` at "),
    ] {
        let service = Running::start(Limits::default());
        let (_folder, system) = newcomer();
        ask(&system, &service, 2).0.unwrap_err();
        service.decide(&approved(record));
        assert_eq!(ask(&system, &service, 1).0.unwrap_err().to_string(), "the run is over");
        let shown = status(&system);
        assert_eq!(shown.phase, Phase::Stopped);
        let begin = "this box was approved, and cannot become that node: ";
        assert!(shown.reason.starts_with(begin) && shown.reason.contains(expected), "{}", shown.reason);
        assert_eq!(system.read(source::APPROVED).unwrap(), None);
        assert_eq!(system.read(MEMBERSHIP).unwrap(), None);
        // What was said is said: the next code, of another challenge, can be answered better.
        assert_eq!(system.read(FIRST_CHALLENGE).unwrap(), None);
    }
}

#[test]
fn a_kept_record_gives_way_to_the_mediums_and_is_nothing_to_another_cluster() {
    let (_folder, system) = newcomer();
    system.ensure_file(source::APPROVED, signed().as_bytes(), 0o600).unwrap();
    system
        .ensure_file("/run/imgbuild/esp/firstboot/record.json", signed_as("edge2").as_bytes(), 0o644)
        .unwrap();
    boot(&system);
    assert_eq!(status(&system).node.unwrap().name, "edge2");
    system.ensure_absent("/run/imgbuild/esp/firstboot/record.json").unwrap();
    let other = ClusterRecord { name: "other".to_owned(), ..cluster() };
    let other = serde_json::to_vec(&other).unwrap();
    system.ensure_file("/run/imgbuild/esp/firstboot/cluster.json", &other, 0o644).unwrap();
    let stopped = run::run(&system, None).unwrap_err().status;
    let expected = "reading node record from the state partition, as approved: the record is of cluster `demo`, \
                    this medium is of `other`";
    assert_eq!((stopped.phase, stopped.reason.as_str()), (Phase::Stopped, expected));
}

#[test]
fn a_node_with_a_record_that_is_approved_as_another_goes_on_and_joins_by_its_own_name() {
    let other = signed_as("edge2");
    for (verdict, expected) in [
        (approved_as("edge2", Some(other.clone())), " was approved as `edge2`, this box is `edge1`"),
        (approved(Some(other)), "this box was approved as `edge2`, and its record is of `edge1`"),
    ] {
        let service = Running::start(Limits::default());
        let (_folder, system) = node();
        let ask = |pauses| {
            let mut machine = Fake::new(Some(service.address), &[Seen::Ready], pauses);
            (join(&facts(None), &system, &mut machine), machine.done)
        };
        ask(3);
        let shown = status(&system);
        let code = shown.code.unwrap();
        assert_eq!(shown.hint, Some(format!("the same code there? `imgbuild node approve {code}`")));
        service.decide(&verdict);
        // No error, which would have the service started again every ten seconds, for ever.
        assert_eq!(ask(1), ("the run is over".to_owned(), Vec::new()));
        let shown = status(&system);
        assert_eq!(shown.phase, Phase::Stopped);
        assert!(shown.reason.starts_with("the cluster says no: ") && shown.reason.ends_with(expected));
        assert!(shown.hint.unwrap().starts_with("approve its next code with `--as edge1`"));
        assert_eq!(system.read(MEMBERSHIP).unwrap(), None);
        assert_eq!(system.read(FIRST_CHALLENGE).unwrap(), None, "its next code is another one");
        // Challenges of one second are alike.
        while status(&system).phase != Phase::WaitingForApproval {
            std::thread::sleep(Duration::from_millis(100));
            ask(2);
        }
        assert_ne!(status(&system).code.unwrap(), code);
        service.decide(&approved(Some(signed())));
        ask(3);
        assert_eq!(status(&system).phase, Phase::Ready);
    }
}
