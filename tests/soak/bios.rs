//! Damage of what GRUB reads: another start, or a message that says what to do, never silence.

use anyhow::ensure;
use imgbuild::machine::FirmwareKind;
use machine::{Disk, Power, Scene, Vm};

/// What is done to the ESP.
type Damage = fn(&Disk) -> anyhow::Result<()>;

#[test]
fn faults_of_bios_boot() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("cloud")?;
    let cases: [(&str, Damage, &[&str]); 4] = [
        (
            "no-configuration",
            |disk| disk.remove_esp_file("grub/grub.cfg"),
            &[
                "imgbuild: grub/grub.cfg is missing or damaged on the EFI system partition",
                "next attempt in 60 seconds",
            ],
        ),
        (
            "no-kernel",
            |disk| disk.remove_esp_file("grub/a/linux"),
            &[
                "imgbuild: the files of slot a in",
                "neither slot can be started",
                "next attempt in 10 seconds",
            ],
        ),
        (
            "failures",
            |disk| {
                let environment = disk.esp_file("grub/grubenv")?;
                let changed = environment.replace("failures=0", "failures=5");
                disk.change_esp_file("grub/grubenv", changed.as_bytes())
            },
            &["the last start did not reach a running system", "the next one begins in 320 seconds"],
        ),
        (
            "lost-trial",
            |disk| {
                let environment = disk.esp_file("grub/grubenv")?;
                let staged = environment.replace(
                    "\ntrial=\ntrial_generation=\ntries=\n",
                    "\ntrial=b\ntrial_generation=2\ntries=0\n",
                );
                disk.change_esp_file("grub/grubenv", staged.get(..1024).unwrap_or_default().as_bytes())
            },
            &["slot b did not come up on trial and is given up", "imgbuild: starting slot a, generation 1"],
        ),
    ];
    for (name, damage, parts) in cases {
        let disk = Disk::of(&bundle, &scene)?;
        damage(&disk)?;
        let power = Power { firmware: FirmwareKind::Bios, ..Power::default() };
        let mut vm = Vm::start(name, &disk, power, &scene)?;
        for part in parts {
            vm.wait_for(part)?;
        }
    }
    Ok(())
}

/// GRUB starts the slot that the UKIs' names commit, and the system makes the block anew.
#[test]
fn faults_of_the_environment_block() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let disk = Disk::of(&scene.build("cloud")?, &scene)?;
    disk.allow_late_timers()?;
    disk.change_esp_file("grub/grubenv", &[0; 1024])?;
    let power = Power { firmware: FirmwareKind::Bios, ..Power::default() };
    let mut vm = Vm::start("no-environment", &disk, power, &scene)?;
    vm.wait_until_up()?;
    let console = vm.shut_down()?;
    for part in ["grub/grubenv is damaged", "slot a starts in 10 seconds", "made anew, slot a is committed"] {
        ensure!(console.contains(part), "`{part}` is not on the console:\n{console}");
    }
    let environment = disk.esp_file("grub/grubenv")?;
    ensure!(
        environment.starts_with("# GRUB Environment Block\ncommitted=a\ngeneration=1\n"),
        "{environment}"
    );
    Ok(())
}
