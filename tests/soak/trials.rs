//! Trials that do not work: each start uses up a try, on both firmwares.

use std::time::Instant;

use anyhow::ensure;
use firstboot::slot::environment::Trial;
use firstboot::slot::{Generation, Slot};
use imgbuild::machine::FirmwareKind::{Bios, Uefi};
use machine::{Disk, Power, Scene, Vm};

/// A trial whose unit fails restarts the machine, and one that hangs is reset by the watchdog: both use up a try.
#[test]
fn engine_slots_on_trial_must_work() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let unit = |command: &str| {
        format!(
            "[Unit]\nDescription=Probe\nAfter=firstboot.service\n\n[Service]\nType=oneshot\nExecStart={command}\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        )
    };
    scene.add_profile("cloud-fails", "cloud", &unit("/usr/bin/false"))?;
    // systemd itself no longer runs, and with it nobody who feeds the watchdog.
    let freeze = "/usr/bin/bash -c 'echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze'";
    scene.add_profile("cloud-hangs", "cloud", &unit(freeze))?;
    let old = scene.build("cloud")?;
    let fails = "slot b is on trial and failed: probe.service: restarting";
    let hangs = "slot        b, generation 2, on trial";
    for (profile, said) in [("cloud-fails", fails), ("cloud-hangs", hangs)] {
        let new = scene.build(profile)?;
        for firmware in [Uefi, Bios] {
            let (name, started) = (format!("{profile}-{firmware:?}").to_lowercase(), Instant::now());
            let disk = Disk::of(&old, &scene)?;
            disk.stage(&new, &scene)?;
            disk.allow_late_timers()?;
            let mut vm = Vm::start(&name, &disk, Power { firmware, ..Power::default() }, &scene)?;
            vm.wait_for_end()?;
            ensure!(vm.console().contains(said), "`{said}` is not on the console:\n{}", vm.console());
            // Either counts for itself.
            let (uki, tries) = match firmware {
                Uefi => ("imgbuild_2+2-1.efi", 3),
                Bios => ("imgbuild_2+3.efi", 2),
            };
            ensure!(disk.ukis()? == ["imgbuild_1.efi", uki], "{:?}", disk.ukis()?);
            let trial = Trial { slot: Slot::B, generation: Generation(2), tries };
            ensure!(disk.environment()?.trial == Some(trial), "{:?}", disk.environment()?);
            println!("{name}: used up a try, {} s", started.elapsed().as_secs());
        }
    }
    Ok(())
}
