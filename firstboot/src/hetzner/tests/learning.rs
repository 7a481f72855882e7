//! Boots of a server: with a service that answers, that does not, and that says something else.

use super::*;
use crate::cluster::tests::ticket_key;
use crate::esp::MOUNT_POINT;
use crate::firewall;
use crate::status::Phase;

const PUBLIC_FILE: &str = "/etc/systemd/network/20-provided-96000137bc20.network";
const PRIVATE_FILE: &str = "/etc/systemd/network/20-provided-860000b56fab.network";
const MEMBERSHIP: &str = "/var/lib/imgbuild/membership.json";

fn on_esp(item: Item, system: &System, text: &str) {
    let path = format!("{MOUNT_POINT}/{}", item.esp_file());
    system.ensure_file(&path, text.as_bytes(), 0o600).unwrap();
}

/// What is said while a service that fails is asked; it is asked once more where nothing is known.
fn said_meanwhile(system: &System, service: &Service) -> Status {
    let fault = learn(system, service, pauses(1)).unwrap_err();
    assert_eq!(fault.to_string(), "the test ends");
    let mut seen = None;
    drop(learn(system, service, |_| {
        seen = Some(status_of(system));
        anyhow::bail!("the test ends")
    }));
    seen.unwrap()
}

#[test]
fn a_server_becomes_its_node_and_later_boots_begin_as_it() {
    let (_folder, system) = server();
    let status = boot(&system);
    assert_eq!(status.phase, Phase::WaitingForMetadata);
    let names = |status: &Status| status.steps.iter().map(|step| step.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&status), ["firewall"], "it has no network yet, and is closed");
    let closed = firewall::closed();
    assert_eq!(file(&system, "/run/imgbuild/firewall.nft").as_deref(), Some(closed.text()));
    let provider = provider(&encoded(&items()));
    let status = learnt(&system, &provider);
    assert_eq!(status.phase, Phase::Configured);
    let node = status.node.unwrap();
    assert_eq!((node.name.as_str(), node.record.as_str()), ("edge1", "the server's user data"));
    assert_eq!(provider.asked(), 4);
    assert!(file(&system, PUBLIC_FILE).unwrap().contains("Address=2001:db8:c010:bc09::1/64\n"));
    assert!(file(&system, PRIVATE_FILE).unwrap().contains("Address=10.0.0.2/32\n"));
    assert_eq!(file(&system, "/etc/hostname").unwrap(), "edge1\n");
    // Before any network, and for a dry run at any time.
    let status = boot(&system);
    assert_eq!(status.phase, Phase::Configured);
    assert_eq!(status.node.unwrap().record, "the server's user data, as kept from an earlier boot");
    assert!(file(&system, PUBLIC_FILE).is_some());
    let dry_run = System::new(system.path("/"), Mode::DryRun);
    let network = run(&dry_run, None).unwrap().steps.into_iter().find(|step| step.name == "network").unwrap();
    assert_eq!(network.files.len(), 2);
    assert_eq!(network.summary, "sets up 2 interfaces as the provider describes them");
}

#[test]
fn networks_come_and_go_with_the_boots() {
    let (_folder, system) = server();
    boot(&system);
    learnt(&system, &provider(&encoded(&items())));
    boot(&system);
    let other = PRIVATE_NETWORKS.replace("b5:6f:ab", "b5:6f:ac");
    let user_data = encoded(&items());
    let provider = Provider::new(move |path, _| match path.rsplit_once('/').unwrap().1 {
        "instance-id" => Reply::text(ID),
        "userdata" => Reply::text(&user_data),
        "private-networks" => Reply::text(&other),
        _ => Reply::status(404),
    });
    learnt(&system, &provider);
    assert_eq!((file(&system, PUBLIC_FILE), file(&system, PRIVATE_FILE)), (None, None));
    assert!(file(&system, &PRIVATE_FILE.replace("fab", "fac")).is_some());
}

#[test]
fn a_server_without_user_data_says_so() {
    for empty in [Reply::status(404), Reply::status(204), Reply::text(""), Reply::text("\n")] {
        let Reply::Bytes(empty) = empty else { continue };
        let (_folder, system) = server();
        boot(&system);
        let provider = Provider::new(move |path, _| match path.rsplit_once('/').unwrap().1 {
            "instance-id" => Reply::text("43607703\n"),
            "userdata" => Reply::Bytes(empty.clone()),
            _ => Reply::status(404),
        });
        let status = learnt(&system, &provider);
        assert_eq!(status.phase, Phase::Unclaimed);
        assert_eq!(status.reason, "no node record was found, and the server's user data is empty");
        assert_eq!(status.steps[0].summary, "opens nothing");
        assert!(!system.path("/run/imgbuild/cluster.json").exists(), "there is nothing to join");
    }
}

#[test]
fn a_service_that_is_away_for_a_while_is_waited_for() {
    let (_folder, system) = server();
    boot(&system);
    let user_data = encoded(&items());
    let provider = Provider::new(move |path, count| match (count, path.rsplit_once('/').unwrap().1) {
        (0..3, _) => Reply::status(503),
        (_, "instance-id") => Reply::text(ID),
        (_, "userdata") => Reply::text(&user_data),
        _ => Reply::status(404),
    });
    let mut waited = Vec::new();
    learn(&system, &Service::at(provider.address), |time| {
        let Status { phase, reason, hint, .. } = status_of(&system);
        waited.push((phase, reason, hint.is_some(), time));
        anyhow::ensure!(waited.len() < 10);
        Ok(())
    })
    .unwrap();
    assert_eq!(waited.len(), 3);
    for (phase, reason, has_hint, _) in &waited {
        assert_eq!((*phase, *has_hint), (Phase::WaitingForMetadata, true));
        let expected = "the metadata service does not answer: `/hetzner/v1/metadata/instance-id` is answered by status 503";
        assert_eq!(reason, expected);
    }
    assert!(waited[0].3 < waited[1].3 && waited[1].3 < waited[2].3, "{waited:?}");
    assert_eq!(status_of(&system).phase, Phase::Configured);
}

#[test]
fn what_is_no_answer_is_said_and_asked_for_again() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{}/hetzner/v1/metadata/instance-id\r\nContent-Length: 0\r\n\r\n",
        elsewhere.local_addr().unwrap()
    );
    let ok = "HTTP/1.1 200 OK\r\n";
    let path = "`/hetzner/v1/metadata/instance-id`";
    let long = [format!("{ok}\r\n").as_bytes(), &vec![b'1'; (64 << 10) + 1]].concat();
    for (bytes, is_stalled, expected) in [
        (b"SSH-2.0-OpenSSH_10.0\r\n\r\n".to_vec(), false, format!("reading {path}: this is no HTTP/1.1: ")),
        (long, false, format!("reading {path}: body is longer than 65536 bytes")),
        (
            format!("{ok}Content-Length: 65537\r\n\r\n").into_bytes(),
            false,
            format!("reading {path}: body is longer than 65536 bytes"),
        ),
        (redirect.into_bytes(), false, format!("{path} is answered by status 302")),
        (Vec::new(), false, format!("reading {path}: the message ends after 0 bytes of its head")),
        (Vec::new(), true, format!("{path} is not answered within 0.1 seconds")),
        (
            format!("{ok}Content-Length: 8\r\n\r\n4360").into_bytes(),
            true,
            format!("{path} is not answered within 0.1 seconds"),
        ),
        (
            [format!("{ok}Content-Length: 1\r\n\r\n").as_bytes(), b"\xe9"].concat(),
            false,
            format!("{path} is no text"),
        ),
        (format!("{ok}Content-Length: 0\r\n\r\n").into_bytes(), false, "it names no server".to_owned()),
        (
            format!("{ok}Content-Length: 3\r\n\r\n7\u{1b}7").into_bytes(),
            false,
            "it speaks of server 7\\u{1b}7, and this is 43607703".to_owned(),
        ),
    ] {
        let (_folder, system) = server();
        boot(&system);
        let provider = Provider::new(move |_, _| {
            if is_stalled { Reply::Stalled(bytes.clone()) } else { Reply::Bytes(bytes.clone()) }
        });
        let service = Service::at(provider.address);
        // Where it stalls, time has to pass; else a busy machine has all it needs.
        let service = if is_stalled { service.within(Duration::from_millis(100)) } else { service };
        let status = said_meanwhile(&system, &service);
        assert_eq!(status.phase, Phase::WaitingForMetadata);
        let reason = status.reason.strip_prefix("the metadata service does not answer: ").unwrap();
        assert!(reason.starts_with(&expected), "{reason}\n{expected}");
        assert!(provider.asked() >= 2);
        assert!(!system.path(KEPT).exists());
    }
    assert!(elsewhere.accept().is_err(), "no redirect is followed");
}

#[test]
fn who_knows_nothing_waits_for_as_long_as_it_takes() {
    let (_folder, system) = server();
    boot(&system);
    let fault = learn(&system, &Service::at(nobody()), pauses(100)).unwrap_err();
    assert_eq!(fault.to_string(), "the test ends");
    // A server that has its record and not yet its place needs the ticket, which is on no disk.
    boot(&system);
    learnt(&system, &provider(&encoded(&items())));
    assert_eq!(boot(&system).phase, Phase::Configured);
    let fault = learn(&system, &Service::at(nobody()), pauses(100)).unwrap_err();
    assert_eq!(fault.to_string(), "the test ends");
}

#[test]
fn who_has_all_it_needs_goes_on_soon_and_says_so() {
    let (_folder, system) = server();
    boot(&system);
    learnt(&system, &provider(&encoded(&items())));
    system.ensure_file(MEMBERSHIP, b"{}", 0o600).unwrap();
    let by_earlier_boot = boot(&system);
    learn(&system, &Service::at(nobody()), pauses(10)).unwrap();
    let (_other_folder, other) = server();
    on_esp(Item::Record, &other, &serde_json::to_string(&record()).unwrap());
    let by_medium = boot(&other);
    learn(&other, &Service::at(nobody()), pauses(10)).unwrap();
    for (system, before) in [(&system, by_earlier_boot), (&other, by_medium)] {
        let status = status_of(system);
        assert_eq!((before.phase, status.phase), (Phase::Configured, Phase::Configured));
        let [note] = status.notes.as_slice() else { panic!("{:?}", status.notes) };
        assert!(note.starts_with("the metadata service does not answer: connecting to 127.0.0.1:"), "{note}");
        assert!(note.ends_with("; this node goes on with what it knows"), "{note}");
    }
    assert!(file(&system, PUBLIC_FILE).is_some());
}

#[test]
fn user_data_of_another_program_stops_a_server_that_knows_nothing_else() {
    let (_folder, system) = server();
    boot(&system);
    let provider = provider("#cloud-config\nusers: []\n");
    let fault = learn(&system, &Service::at(provider.address), pauses(0)).unwrap_err();
    assert!(run::is_input_fault(&fault));
    let Status { phase, reason, hint, .. } = status_of(&system);
    let expected = "user data is a `#cloud-config` of cloud-init, and not what `imgbuild` gives to a server";
    assert_eq!((phase, reason.as_str(), hint.is_some()), (Phase::Stopped, expected, true));
    on_esp(Item::Record, &system, &serde_json::to_string(&record()).unwrap());
    boot(&system);
    let status = learnt(&system, &provider);
    assert_eq!((status.phase, status.notes), (Phase::Configured, vec![expected.to_owned()]));
}

#[test]
fn a_medium_says_whose_records_are_taken() {
    let (_folder, system) = server();
    on_esp(Item::Cluster, &system, &serde_json::to_string(&cluster()).unwrap());
    assert_eq!(boot(&system).phase, Phase::WaitingForMetadata);
    let mut stranger = cluster();
    stranger.operator_key = stranger.ticket_key;
    let items = UserData {
        record: Some(sign(&record(), &ticket_key()).unwrap()),
        cluster: Some(serde_json::to_string(&stranger).unwrap()),
        ..items()
    };
    let strange = provider(&encoded(&items));
    let fault = learn(&system, &Service::at(strange.address), pauses(0)).unwrap_err();
    assert!(run::is_input_fault(&fault));
    let status = status_of(&system);
    assert_eq!(status.phase, Phase::Stopped);
    let expected = "reading node record from the server's user data: record is not signed by key ";
    assert!(status.reason.starts_with(expected), "{}", status.reason);
    assert!(!system.path(&Item::Record.kept()).exists(), "nobody joins by it");
    // Where the medium says nothing, user data does.
    let (_folder, system) = server();
    boot(&system);
    assert_eq!(learnt(&system, &strange).phase, Phase::Configured);
}

#[test]
fn a_network_that_is_described_wrongly_keeps_nobody_from_its_work() {
    let (_folder, system) = server();
    boot(&system);
    let user_data = encoded(&items());
    let provider = Provider::new(move |path, _| match path.rsplit_once('/').unwrap().1 {
        "instance-id" => Reply::text(ID),
        "userdata" => Reply::text(&user_data),
        "network-config" => Reply::text("config: [\n"),
        _ => Reply::text(PRIVATE_NETWORKS),
    });
    let status = learnt(&system, &provider);
    assert_eq!(status.phase, Phase::Configured);
    let [note] = status.notes.as_slice() else { panic!("{:?}", status.notes) };
    assert!(note.starts_with("`network-config` of the metadata: "), "{note}");
    assert!(file(&system, PRIVATE_FILE).is_some());
}

#[test]
fn a_copied_disk_is_not_taken_for_the_server_that_it_is_of() {
    let (_folder, system) = server();
    boot(&system);
    learnt(&system, &provider(&encoded(&items())));
    system.ensure_file(SERIAL, b"7\n", 0o444).unwrap();
    let status = boot(&system);
    assert_eq!((status.phase, status.node), (Phase::WaitingForMetadata, None));
}

#[test]
fn only_devices_are_asked_by() {
    let (_folder, system) = server();
    for file in ["eth1/device/vendor", "eth0/device/vendor", "eth0/address", "lo/address", "wg0/address"] {
        system.ensure_file(&format!("/sys/class/net/{file}"), b"", 0o444).unwrap();
    }
    let service = format!("{:?}", Service::of(&system));
    assert!(service.contains("address: 169.254.169.254:80, interfaces: [\"eth0\", \"eth1\"],"), "{service}");
}
