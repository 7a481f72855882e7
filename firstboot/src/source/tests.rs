use super::*;

fn on_esp(item: Item) -> String {
    format!("{MOUNT_POINT}/{}", item.esp_file())
}

fn text(found: Option<Found>) -> Option<Vec<u8>> {
    found.map(|found| found.text)
}

#[test]
fn prefers_the_machine_over_the_medium() {
    let directory = tempfile::tempdir().unwrap();
    let system = System::new(directory.path(), Mode::Apply);
    assert_eq!(find(&system, None).unwrap(), Given::default());
    for item in Item::ALL {
        system.ensure_file(&on_esp(item), b"esp", 0o600).unwrap();
    }
    assert_eq!(text(find(&system, None).unwrap().record).unwrap(), b"esp");
    for item in Item::ALL {
        system.ensure_file(&item.fw_cfg(), b"fw_cfg", 0o400).unwrap();
    }
    let given = find(&system, None).unwrap();
    for (found, expected) in [
        (given.record, "fw_cfg"),
        // Else whoever runs the machine could name another operator.
        (given.cluster, "esp"),
        (given.ticket, "fw_cfg"),
        (given.push_key, "fw_cfg"),
    ] {
        assert_eq!(text(found).unwrap(), expected.as_bytes());
    }
}

#[test]
fn a_dry_run_takes_what_the_last_applying_run_found() {
    let directory = tempfile::tempdir().unwrap();
    let apply = System::new(directory.path(), Mode::Apply);
    let dry_run = System::new(directory.path(), Mode::DryRun);
    for item in Item::ALL {
        apply.ensure_file(&on_esp(item), item.name().as_bytes(), 0o600).unwrap();
    }
    let found = find(&apply, None).unwrap();
    assert_eq!(text(found.push_key.clone()).unwrap(), b"push-key");
    // The partition is mounted only for as long as an applying run reads it.
    for item in Item::ALL {
        apply.ensure_absent(&on_esp(item)).unwrap();
    }
    assert_eq!(find(&dry_run, None).unwrap(), found);
    assert_eq!(kept(&apply).unwrap(), found);
    assert_eq!(find(&apply, None).unwrap(), Given::default(), "an applying run asks the source itself");
    assert_eq!(find(&dry_run, None).unwrap(), Given::default(), "what left the source is not kept");
}

#[test]
fn says_when_the_boot_report_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let system = System::new(directory.path(), Mode::Apply);
    system.ensure_file(boot::PATH, b"{", 0o644).unwrap();
    let fault = boot_report(&system).unwrap_err();
    assert_eq!(fault.to_string(), "boot report `/run/imgbuild/boot.json` is unusable");
}

#[test]
fn a_boot_report_without_a_device_is_a_fault() {
    let directory = tempfile::tempdir().unwrap();
    let system = System::new(directory.path(), Mode::Apply);
    let mut report = boot::tests::example();
    let read_back = |report: &BootReport| {
        system.ensure_file(boot::PATH, &serde_json::to_vec(report).unwrap(), 0o644).unwrap();
        boot_report(&system)
    };
    assert_eq!(read_back(&report).unwrap(), Some(report.clone()));
    report.esp.clear();
    let fault = read_back(&report).unwrap_err();
    assert_eq!(fault.to_string(), "boot report `/run/imgbuild/boot.json` has an empty `esp`");
}
