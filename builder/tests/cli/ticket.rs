//! `imgbuild ticket`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use firstboot::ticket::{self, Ticket};
use imgbuild::cluster::Cluster;

use super::cluster_secrets::{open, place};
use super::program::{Place, SMALL};

fn opened(place: &Place, text: &str) -> Ticket {
    let secrets = open(place).0.cluster.unwrap();
    let cluster = Cluster::load(&place.path().join("cluster.toml")).unwrap();
    ticket::open(text.as_bytes(), &secrets.record(&cluster), SystemTime::now()).unwrap()
}

/// Time left, in hours, rounded up.
fn hours(ticket: &Ticket) -> u64 {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(ticket.not_after);
    end.duration_since(SystemTime::now()).unwrap().as_secs().div_ceil(3600)
}

#[test]
fn mints_a_ticket_for_a_node_and_the_machine_it_is_bound_to() {
    let place = place();
    let bound = SMALL.replace("role = \"edge\"", "role = \"edge\"\nhardware = { serial = \"SN1\" }");
    place.write("cluster.toml", bound);
    let (code, stdout, stderr) = place.output(&["ticket", "edge1"], &place.path());
    assert_eq!((code, stderr.as_str()), (0, ""));
    let ticket = opened(&place, &stdout);
    assert_eq!(
        (ticket.node.as_str(), ticket.serial.as_deref(), ticket.approve),
        ("edge1", Some("SN1"), false)
    );
    assert_eq!(hours(&ticket), 7 * 24);

    let options = ["ticket", "edge1", "--valid", "2h", "--approve", "--output", "edge1.ticket"];
    let (code, stdout, stderr) = place.output(&options, &place.path());
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert!(stderr.starts_with("wrote edge1.ticket, good for edge1 until "), "{stderr}");
    let mode = fs::metadata(place.path().join("edge1.ticket")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ticket = opened(&place, &place.read("edge1.ticket"));
    assert_eq!((hours(&ticket), ticket.approve), (2, true));

    let (_, stdout, _) = place.output(&["ticket", "edge1", "--json"], &place.path());
    let minted: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(minted["node"], "edge1");
    opened(&place, minted["ticket"].as_str().unwrap());
}

#[test]
fn refuses_what_no_ticket_is_for() {
    let place = place();
    insta::assert_snapshot!(place.run(&["ticket", "edge2"]), @r"
    exit code 2
    --- stderr
    error: the cluster `lab` has no node `edge2`

    hint: did you mean `edge1`?
    ");
    insta::assert_snapshot!(place.run(&["ticket", "cp1"]), @r"
    exit code 2
    --- stderr
    error: node `cp1` is a control plane, which joins by `imgbuild boot` and by no ticket
    ");
    for (valid, reason) in [
        ("0s", "the ticket would have expired at "),
        ("99999999999y", "the ticket would be good beyond the year 9999\n"),
        ("soon", "invalid value 'soon' for '--valid "),
    ] {
        let (code, _, stderr) = place.output(&["ticket", "edge1", "--valid", valid], &place.path());
        assert_eq!(code, 2);
        assert!(stderr.starts_with(&format!("error: {reason}")), "{stderr}");
    }
    fs::remove_file(place.home().join(".config/imgbuild/lab.key")).unwrap();
    insta::assert_snapshot!(place.run(&["ticket", "edge1"]), @r"
    exit code 2
    --- stderr
    error: identity `identity.age` is not opened by a key: none was given or found
    caused by: No matching keys found

    hint: `--identity-key FILE` or `--passphrase-file FILE` opens it
    ");
}
