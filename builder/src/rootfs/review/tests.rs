use super::*;
use crate::diagnostic::Faults;
use crate::rootfs::setup::{NOTIONS, STEPS};

fn deb(name: &str, script: &str, text: &str) -> DebInfo {
    DebInfo {
        name: name.to_owned(),
        version: "1".to_owned(),
        scripts: [(script.to_owned(), text.as_bytes().to_vec())].into(),
        ..DebInfo::default()
    }
}

fn section(generator: &str) -> String {
    format!(
        "# Automatically added by {generator}/13.24.2\nsystemctl enable x\n# End automatically added section\n"
    )
}

fn table(text: &str) -> ReviewTable {
    ReviewTable::parse("reviewed.toml", text).unwrap()
}

const HAND: &str = "#!/bin/sh\n# a comment\nset -e\n\nadduser --system x\n";
const HAND_REST: &str = "set -e\nadduser --system x\n";

#[test]
fn generated_sections_and_boilerplate_need_no_review() {
    let text = format!(
        "#!/bin/sh\nset -e\n{}{}exit 0\n",
        section("dh_installsystemd"),
        section("dh_installtmpfiles")
    );
    assert_eq!(check_scripts(&[deb("p1", "postinst", &text)], &ReviewTable::default()), Ok(()));
}

#[test]
fn removal_scripts_need_no_review() {
    for script in ["prerm", "postrm"] {
        assert_eq!(check_scripts(&[deb("p1", script, HAND)], &ReviewTable::default()), Ok(()));
    }
}

#[test]
fn an_unreviewed_script_is_shown_with_the_stanza_to_add() {
    let faults = check_scripts(&[deb("p1", "postinst", HAND)], &ReviewTable::default()).unwrap_err();
    let sha256 = Sha256::of(HAND_REST.as_bytes());
    assert_eq!(faults.len(), 1);
    assert_eq!(
        faults[0].to_string(),
        "postinst of `p1` 1 is not reviewed; beyond generated sections it does:\n    set -e\n    adduser --system x\n"
    );
    let stanza = format!(
        "[[package]]\nname = \"p1\"\npostinst = [\"{sha256}\"]\nsteps = []\nnote = \"what replaces it\"\n"
    );
    assert_eq!(stanzas(&faults), stanza);
    let reviewed = table(&stanzas(&faults));
    assert_eq!(check_scripts(&[deb("p1", "postinst", HAND)], &reviewed), Ok(()));
}

#[test]
fn two_scripts_of_a_package_make_one_entry() {
    let debs = [deb("p1", "postinst", HAND), deb("p1", "preinst", HAND)];
    let faults = check_scripts(&debs, &ReviewTable::default()).unwrap_err();
    let reviewed = table(&stanzas(&faults));
    assert_eq!((faults.len(), check_scripts(&debs, &reviewed)), (2, Ok(())));
}

#[test]
fn a_changed_script_is_refused() {
    let faults = check_scripts(&[deb("p1", "postinst", HAND)], &ReviewTable::default()).unwrap_err();
    let reviewed = table(&stanzas(&faults));
    let changed = deb("p1", "postinst", &HAND.replace("adduser", "adduser --group"));
    let faults = check_scripts(&[changed], &reviewed).unwrap_err();
    assert!(faults[0].to_string().starts_with("postinst of `p1` 1 changed since it was reviewed;"));
    // Another script of a reviewed package is not covered by the entry.
    let other = check_scripts(&[deb("p1", "preinst", HAND)], &reviewed).unwrap_err();
    assert_eq!((other[0].script.as_str(), other[0].known.len()), ("preinst", 0));
}

#[test]
fn unknown_generators_and_triggers_are_refused() {
    let text = format!("#!/bin/sh\n{}", section("dh_magic"));
    let faults = check_scripts(&[deb("p1", "postinst", &text)], &ReviewTable::default()).unwrap_err();
    assert_eq!(faults[0].unknown_generators, ["dh_magic"]);
    let triggers = "# Triggers added by dh_makeshlibs/13\nactivate-noawait ldconfig\ninterest /usr/share/x\n";
    assert_eq!(check_scripts(&[deb("p1", "triggers", triggers)], &ReviewTable::default()), Ok(()));
    let triggers = format!("{triggers}activate rebuild-all\n");
    let faults = check_scripts(&[deb("p1", "triggers", &triggers)], &ReviewTable::default()).unwrap_err();
    assert_eq!(faults[0].rest, "activate rebuild-all\n");
}

#[test]
fn a_new_kernel_release_needs_no_new_review() {
    let script = |release: &str| format!("version={release}\ndepmod $version\n");
    let deb = |release: &str| deb(&format!("linux-image-{release}"), "postinst", &script(release));
    let faults = check_scripts(&[deb("6.12.1-amd64")], &ReviewTable::default()).unwrap_err();
    let reviewed = table(&stanzas(&faults));
    assert_eq!(check_scripts(&[deb("6.12.1-amd64"), deb("6.12.9+deb13-cloud-arm64")], &reviewed), Ok(()));
}

#[test]
fn the_shipped_table_names_only_steps_that_exist() {
    let table = ReviewTable::built_in().unwrap();
    assert!(table.iter().count() > 50);
    let names = STEPS.iter().map(|step| step.name).chain(NOTIONS.iter().map(|(name, _)| *name));
    let unique: std::collections::BTreeSet<_> = names.clone().collect();
    assert_eq!(unique.len(), names.count());
}

#[test]
fn refuses_a_second_entry_of_a_package_at_its_name() {
    let twice = "[[package]]\nname = \"p1\"\nnote = \"n\"\n".repeat(2);
    let faults: Faults = ReviewTable::parse("reviewed.toml", &twice).unwrap_err();
    let records = faults.records();
    assert_eq!((records.len(), records[0].line, records[0].column), (1, 5, 8));
    assert_eq!(records[0].reason, "`p1` has an entry in line 2 already");
}

#[test]
fn an_own_entry_adds_digests_and_keeps_the_declared_setup() {
    let changed = deb("less", "postinst", "update-alternatives --new-way\n");
    let mut table_of_both = ReviewTable::built_in().unwrap();
    let faults = check_scripts(std::slice::from_ref(&changed), &table_of_both).unwrap_err();
    table_of_both.extend(table(&stanzas(&faults)));
    assert_eq!(check_scripts(&[changed], &table_of_both), Ok(()));
    let shipped = ReviewTable::built_in().unwrap();
    assert_eq!(table_of_both.get("less").unwrap().setup, shipped.get("less").unwrap().setup);

    table_of_both.extend(table(
        "[[package]]\nname = \"less\"\nnote = \"own\"\n[package.setup]\nenable = [\"less.service\"]\n",
    ));
    assert_eq!(table_of_both.get("less").unwrap().setup.enable, ["less.service"]);
}
