//! Boxes that their cluster lets go of.

use super::approval::{FIRST_CHALLENGE, MEMBERSHIP, approved_as, ask, facts_of, newcomer, signed_as};
use super::*;
use crate::claim::store::Verdict;
use crate::k3s::KEPT_PASSWORD;
use crate::lifetime::AwayDays;

const CERTIFICATE: &str = "/var/lib/rancher/k3s/agent/client-kubelet.crt";
const KEY: &str = "/var/lib/rancher/k3s/agent/client-kubelet.key";
const ON_MEDIUM: &str = "/run/imgbuild/esp/firstboot/record.json";

/// A later word than the first one.
fn approved_later(node: &str) -> Verdict {
    match approved_as(node, Some(signed_as(node))) {
        Verdict::Approved { node, role, address, record, generation, transient } => {
            let generation = generation + 1;
            Verdict::Approved { node, role, address, record, generation, transient }
        }
        Verdict::Rejected => unreachable!("it was approved"),
    }
}

/// A box that a person has approved as `edge1`, and that has joined.
fn member(service: &Running) -> (tempfile::TempDir, System) {
    let (folder, system) = newcomer();
    ask(&system, service, 3).0.unwrap_err();
    service.decide(&approved_as("edge1", Some(signed_as("edge1"))));
    ask(&system, service, 3).0.unwrap();
    let mut machine = Fake::new(Some(service.address), &[Seen::Ready], 3);
    join(&facts_of(&system), &system, &mut machine);
    for file in [CERTIFICATE, KEY] {
        system.ensure_file(file, b"of edge1", 0o600).unwrap();
    }
    (folder, system)
}

/// What it does once the cluster knows it no more.
fn unknown(system: &System, service: &Running) -> anyhow::Result<Released> {
    let unknown = Seen::Unknown("the cluster has no node of this name".to_owned());
    member::run(&facts_of(system), system, &mut Fake::new(Some(service.address), &[unknown], 60))
}

fn read(system: &System, path: &str) -> Option<String> {
    system.read(path).unwrap().map(|text| String::from_utf8(text).unwrap())
}

/// The next code is of another second than the first.
fn next_code(system: &System, service: &Running) {
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(ask(system, service, 2).0.unwrap_err().to_string(), "the run is over");
    assert_eq!(status(system).phase, Phase::WaitingForApproval);
}

#[test]
fn a_box_that_is_revoked_forgets_which_node_it_was_and_is_approved_as_another() {
    let service = Running::start(Limits::default());
    let (_folder, system) = member(&service);
    let password = read(&system, KEPT_PASSWORD).unwrap();
    service.revoke("edge1");
    let Released = unknown(&system, &service).unwrap();
    let shown = status(&system);
    assert_eq!(shown.phase, Phase::Stopped);
    let expected = "the cluster says no: generation 3000009 of `edge1` is revoked since 2027-01-15T09:00:00Z; this \
                    box is `edge1` no more, and starts again";
    assert_eq!(shown.reason, expected);
    assert_eq!(read(&system, source::APPROVED), None);
    // It has started again.
    boot(&system);
    let shown = status(&system);
    assert_eq!((shown.phase, shown.node), (Phase::Unclaimed, None));
    assert!(shown.steps.iter().all(|step| step.name != "k3s"), "nothing starts k3s: {:?}", shown.steps);
    next_code(&system, &service);
    service.decide(&approved_later("edge2"));
    ask(&system, &service, 3).0.unwrap();
    assert_ne!(read(&system, KEPT_PASSWORD).unwrap(), password);
    for file in [CERTIFICATE, KEY] {
        assert_eq!(read(&system, file), None, "k3s would show it under the new name, for ever");
    }
    drop(service);
    let mut machine = Fake::new(None, &[Seen::Ready], 3);
    let facts = facts_of(&system);
    assert_eq!(facts.record.node.name, "edge2");
    join(&facts, &system, &mut machine);
    assert_eq!(machine.done, ["tunnels with cp1", "k3s agent IfNeeded", "tunnels with cp1"]);
    assert_eq!(status(&system).phase, Phase::Ready);
}

#[test]
fn a_power_cut_on_the_way_to_another_name_leaves_nothing_of_the_old_one_to_be_taken_for_the_new() {
    let new = |path: &str| path.replace("imgbuild/", "imgbuild/.") + ".new";
    let written = [source::APPROVED, K3S_TOKEN, KEPT_PASSWORD, MEMBERSHIP].map(|path| (path, new(path)));
    let removed = [CERTIFICATE, KEY].map(|path| (path, path.to_owned()));
    for (step, blocked) in removed.into_iter().chain(written) {
        let service = Running::start(Limits::default());
        let (folder, system) = member(&service);
        service.revoke("edge1");
        let Released = unknown(&system, &service).unwrap();
        boot(&system);
        next_code(&system, &service);
        // The old name again, whose old membership looks like the new one.
        service.decide(&approved_later("edge1"));
        system.ensure_absent(&blocked).unwrap();
        let in_the_way = folder.path().join(blocked.trim_start_matches('/'));
        std::fs::create_dir_all(in_the_way.join("folder")).unwrap();
        let fault = format!("{:#}", ask(&system, &service, 3).0.unwrap_err());
        assert!(fault.contains(step), "{fault}");
        assert_eq!(read(&system, MEMBERSHIP), None, "{step}");
        std::fs::remove_dir_all(in_the_way).unwrap();
        boot(&system);
        if let Known::Newcomer(newcomer) = know(&system).unwrap() {
            newcomer.become_node(&system, &mut Fake::new(Some(service.address), &[Seen::Ready], 3)).unwrap();
        }
        let facts = facts_of(&system);
        join(&facts, &system, &mut Fake::new(Some(service.address), &[Seen::Ready], 3));
        assert_eq!(status(&system).phase, Phase::Ready, "{step}");
        let place = grant::load(&system, &facts.cluster, &facts.key).unwrap().unwrap();
        assert_eq!((place.membership.node.as_str(), place.membership.generation), ("edge1", 3_000_010));
        assert_eq!(read(&system, CERTIFICATE), None, "{step}");
    }
}

#[test]
fn a_box_that_is_revoked_between_its_approval_and_its_membership_is_given_another_code() {
    let service = Running::start(Limits::default());
    let (_folder, system) = newcomer();
    ask(&system, &service, 3).0.unwrap_err();
    let challenge = read(&system, FIRST_CHALLENGE).unwrap();
    service.decide(&approved_as("edge1", Some(signed_as("edge1"))));
    ask(&system, &service, 3).0.unwrap();
    // As far as the record, and no further.
    system.ensure_absent(MEMBERSHIP).unwrap();
    system.ensure_file(FIRST_CHALLENGE, challenge.as_bytes(), 0o600).unwrap();
    service.revoke("edge1");
    boot(&system);
    let mut machine = Fake::new(Some(service.address), &[Seen::Ready], 3);
    let Released = member::run(&facts_of(&system), &system, &mut machine).unwrap();
    assert_eq!(machine.done, Vec::<String>::new());
    boot(&system);
    assert_eq!(ask(&system, &service, 1).0.unwrap_err().to_string(), "the run is over");
    assert_eq!(status(&system).phase, Phase::Stopped);
    assert_eq!(read(&system, FIRST_CHALLENGE), None, "the old code was approved as a node that is no more");
    next_code(&system, &service);
}

#[test]
fn a_box_whose_medium_names_its_node_stays_that_node_when_it_is_revoked() {
    let service = Running::start(Limits::default());
    let (_folder, system) = member(&service);
    system.ensure_file(ON_MEDIUM, signed_as("edge1").as_bytes(), 0o644).unwrap();
    boot(&system);
    let before = read(&system, MEMBERSHIP);
    service.revoke("edge1");
    assert_eq!(unknown(&system, &service).unwrap_err().to_string(), "the run is over");
    assert!(!status(&system).reason.contains("no more"), "{}", status(&system).reason);
    assert!(read(&system, source::APPROVED).is_some());
    assert_eq!(read(&system, MEMBERSHIP), before);
    assert!(read(&system, CERTIFICATE).is_some());
    // Nor does one that has a ticket, which is another way in.
    system.ensure_absent(ON_MEDIUM).unwrap();
    let Right::Ticket(ticket) = right(1, 3_000_001) else { panic!("no ticket") };
    system.ensure_file("/run/imgbuild/esp/firstboot/ticket", ticket.as_bytes(), 0o600).unwrap();
    boot(&system);
    assert_eq!(unknown(&system, &service).unwrap_err().to_string(), "the run is over");
    assert!(read(&system, source::APPROVED).is_some());
}

#[test]
fn a_box_whose_medium_names_its_node_asks_for_its_place_anew_when_it_is_forgotten() {
    let service = Running::start(Limits::default());
    let (_folder, system) = node();
    let facts = facts(None);
    let run = |seen: Seen, pauses| {
        join(&facts, &system, &mut Fake::new(Some(service.address), &[seen], pauses));
        status(&system)
    };
    let first = run(Seen::Ready, 3).code.unwrap();
    let mut verdict = approved_as("edge1", None);
    if let Verdict::Approved { transient, .. } = &mut verdict {
        *transient = Some(AwayDays(7));
    }
    service.decide(&verdict);
    assert_eq!(run(Seen::Ready, 3).phase, Phase::Ready);
    service.forget("edge1");
    std::thread::sleep(Duration::from_millis(1100));
    let waiting = run(Seen::Unknown("the cluster has no node of this name".to_owned()), 60);
    assert_eq!(waiting.phase, Phase::WaitingForApproval);
    assert_ne!(waiting.code.unwrap(), first);
    assert_eq!(read(&system, MEMBERSHIP), None);
}
