//! Slots that fail: the other one starts, or a message says what to do, and no machine restarts for ever in silence.
//!
//! `N` cases (default 4) from the one that `SEED` (default 1) begins with: SEED=2 goes on where SEED=1 ended.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use firstboot::slot::Slot;
use imgbuild::machine::FirmwareKind::{self, Bios, Uefi};
use machine::{Bundle, Disk, Power, Random, Scene, Staging, Vm, number};

/// The EROFS superblock begins here.
const SUPERBLOCK: u64 = 1024;
const SCREEN: &str = "THIS MACHINE DID NOT START";
const GIVEN_UP: &str = "This slot is given up: slot a, generation 1, is next.";

/// What is done to a disk.
type Damage = fn(&Disk) -> anyhow::Result<()>;

/// A start, by what it must say: it comes up, or it ends and the machine restarts.
enum Start {
    Up(&'static [&'static str]),
    Ends(&'static [&'static str]),
}
use Start::{Ends, Up};

/// A disk with generation 1 in slot A and generation 2 committed in slot B, and what becomes of it.
struct Case {
    name: &'static str,
    firmware: FirmwareKind,
    damage: Damage,
    starts: &'static [Start],
}

fn flip_b(disk: &Disk) -> anyhow::Result<()> {
    disk.flip_bit("root-b", SUPERBLOCK)
}

fn flip_both(disk: &Disk) -> anyhow::Result<()> {
    disk.flip_bit("root-a", SUPERBLOCK)?;
    flip_b(disk)
}

fn zero_block(disk: &Disk) -> anyhow::Result<()> {
    disk.change_esp_file("grub/grubenv", &[0; 1024])
}

const ON_A: &str = "slot        a, generation 1, committed";
const ON_B: &str = "slot        b, generation 2, committed";
const MADE_ANEW: &str = "made anew, slot b is committed";

const CASES: [Case; 11] = [
    Case {
        name: "damaged-root",
        firmware: Uefi,
        damage: flip_b,
        starts: &[
            Ends(&[SCREEN, "opening the verified root", GIVEN_UP]),
            Up(&[ON_A, "generation 2 did not come up"]),
        ],
    },
    Case {
        name: "damaged-root",
        firmware: Bios,
        damage: flip_b,
        starts: &[
            Ends(&["starting slot b, generation 2", SCREEN, GIVEN_UP]),
            Up(&["starting slot a, generation 1", ON_A]),
        ],
    },
    Case {
        name: "both-damaged",
        firmware: Uefi,
        damage: flip_both,
        starts: &[
            Ends(&[SCREEN, GIVEN_UP, "It restarts in 10 seconds."]),
            Ends(&[SCREEN, "write it again", "It restarts in 20 seconds."]),
            Ends(&[SCREEN, "write it again", "It restarts in 40 seconds."]),
        ],
    },
    Case {
        name: "both-damaged",
        firmware: Bios,
        damage: flip_both,
        starts: &[
            Ends(&["starting slot b", SCREEN, GIVEN_UP]),
            Ends(&["starting slot a", SCREEN, "write it again"]),
            Ends(&["the next one begins in 10 seconds", "starting slot b", SCREEN, "write it again"]),
            Ends(&["the next one begins in 20 seconds", "starting slot a", SCREEN]),
        ],
    },
    Case {
        name: "no-root",
        firmware: Uefi,
        damage: |disk| disk.remove_partition("root-b"),
        starts: &[Ends(&[SCREEN, "for the root", GIVEN_UP]), Up(&[ON_A])],
    },
    Case {
        name: "no-tree",
        firmware: Bios,
        damage: |disk| disk.remove_partition("root-b-verity"),
        starts: &[Ends(&[SCREEN, "for the hash tree of the root", GIVEN_UP]), Up(&[ON_A])],
    },
    Case { name: "no-block", firmware: Uefi, damage: zero_block, starts: &[Up(&[ON_B, MADE_ANEW])] },
    Case {
        name: "no-block",
        firmware: Bios,
        damage: zero_block,
        starts: &[Up(&["slot b starts in 10 seconds", ON_B, MADE_ANEW])],
    },
    Case {
        name: "no-uki",
        firmware: Uefi,
        damage: |disk| disk.remove_esp_file("EFI/Linux/imgbuild_2.efi"),
        starts: &[Up(&["slot        a, generation 1, in place of the committed one"])],
    },
    Case {
        name: "no-kernel",
        firmware: Bios,
        damage: |disk| disk.remove_esp_file("grub/b/linux"),
        starts: &[Up(&[
            "the files of slot b in",
            "starting slot a, generation 1",
            "in place of the committed one",
        ])],
    },
    Case {
        name: "no-configuration-of-slot",
        firmware: Bios,
        damage: |disk| disk.remove_esp_file("grub/b/slot.cfg"),
        starts: &[Up(&["starting slot a, generation 1"])],
    },
];

#[test]
fn engine_slots_that_fail_give_way() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let (old, new) = (scene.build("cloud")?, scene.build("cloud-debug")?);
    for index in window(CASES.len(), 4)? {
        let case = &CASES[index];
        let disk = committed_b(&old, &new, &scene)?;
        (case.damage)(&disk)?;
        for (number, start) in case.starts.iter().enumerate() {
            let name = format!("{}-{:?}-{number}", case.name, case.firmware).to_lowercase();
            expect(&name, start, case.firmware, &disk, &scene)?;
        }
    }
    Ok(())
}

fn expect(
    name: &str,
    start: &Start,
    firmware: FirmwareKind,
    disk: &Disk,
    scene: &Scene,
) -> anyhow::Result<()> {
    let mut vm = Vm::start(name, disk, Power { firmware, ..Power::default() }, scene)?;
    let (is_up, parts) = match start {
        Up(parts) => (true, parts),
        Ends(parts) => (false, parts),
    };
    ensure!(vm.comes_up()? == is_up, "comes `{name}` up? Not as expected:\n{}", vm.console());
    let console = if is_up { vm.shut_down()? } else { vm.console().to_owned() };
    for part in *parts {
        ensure!(console.contains(part), "`{part}` is not on the console of `{name}`:\n{console}");
    }
    Ok(())
}

/// A disk on which the update was committed; nobody has to wait for a machine to do it.
fn committed_b(old: &Bundle, new: &Bundle, scene: &Scene) -> anyhow::Result<Disk> {
    let disk = Disk::of(old, scene)?;
    disk.stage(new, scene)?;
    disk.commit(new, Slot::B)?;
    disk.allow_late_timers()?;
    Ok(disk)
}

/// Which of `count` cases are run now.
fn window(count: usize, most: u64) -> anyhow::Result<Vec<usize>> {
    let (number, seed) = (number("N", most)?, number("SEED", 1)?);
    let first = seed.saturating_sub(1).saturating_mul(number);
    println!("SEED={seed} N={number} of {count} cases");
    let all = u64::try_from(count)?;
    (first..first + number.min(all)).map(|index| Ok(usize::try_from(index % all)?)).collect()
}

/// A bit anywhere in the committed root. Where nobody reads it, nothing happens; else the machine says something, and
/// is up again after a few starts.
#[test]
fn engine_slots_survive_a_flipped_bit_anywhere() -> anyhow::Result<()> {
    const MOST_STARTS: usize = 6;
    let scene = Scene::open()?;
    let (old, new) = (scene.build("cloud")?, scene.build("cloud-debug")?);
    let (count, seed) = (number("N", 2)?, number("SEED", 1)?);
    let mut random = Random::new(seed);
    let used = new.partition("root-a")?.used.0;
    for case in 0..count {
        let disk = committed_b(&old, &new, &scene)?;
        let offset = random.below(used);
        disk.flip_bit("root-b", offset)?;
        let firmware = if random.coin() { Uefi } else { Bios };
        let mut story = format!("SEED={seed}, case {case}, byte {offset}, {firmware:?}:");
        let mut is_up = false;
        for start in 0..MOST_STARTS {
            let power = Power { firmware, ..Power::default() };
            let mut vm = Vm::start(&format!("bit-{offset}-{start}"), &disk, power, &scene)?;
            is_up = vm.comes_up()?;
            let says =
                [SCREEN, "Kernel panic", "did not reach a running system", "You are in emergency mode"];
            let said = says.iter().find(|part| vm.console().contains(**part));
            let _ = write!(story, " {}", if is_up { "up" } else { said.unwrap_or(&"silence") });
            ensure!(is_up || said.is_some(), "a start ended in silence; {story}\n{}", vm.console());
            if is_up {
                break;
            }
        }
        println!("{story}");
        ensure!(is_up, "the machine does not come up; {story}");
    }
    Ok(())
}

/// Each state of boot entries and slots that a staging goes through is booted, by either firmware.
#[test]
fn engine_slots_boot_from_every_state_of_a_staging() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let (old, new) = (scene.build("cloud")?, scene.build("cloud-debug")?);
    let staging = Staging::record(&old, &new, &scene)?;
    println!("{} states", staging.states());
    ensure!(staging.states() >= 6, "a staging has only {} states", staging.states());
    let mut random = Random::new(number("SEED", 1)?);
    for index in window(staging.states() * 2, 4)? {
        let (state, firmware) = (index / 2, if index % 2 == 0 { Uefi } else { Bios });
        let disk = Disk::of(&old, &scene)?;
        let cut = staging.cut(state, &disk, &mut random)?;
        disk.allow_late_timers()?;
        let name = format!("state-{state}-{firmware:?}").to_lowercase();
        println!("{name}: {cut:?}");
        let mut vm = Vm::start(&name, &disk, Power { firmware, ..Power::default() }, &scene)?;
        vm.wait_until_up().with_context(|| format!("after {cut:?}"))?;
        let console = vm.shut_down()?;
        let said = [ON_A, "slot        b, generation 2, on trial"];
        ensure!(said.iter().any(|part| console.contains(part)), "neither system runs:\n{console}");
        disk.check_table()?;
        // The next staging works, whatever this one has left.
        disk.stage(&new, &scene)?;
        disk.check_esp()?;
    }
    Ok(())
}

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
    for (profile, parts) in [
        ("cloud-fails", &["slot b is on trial and failed: probe.service: restarting"][..]),
        ("cloud-hangs", &["slot        b, generation 2, on trial"]),
    ] {
        let disk = Disk::of(&old, &scene)?;
        disk.stage(&scene.build(profile)?, &scene)?;
        let mut vm = Vm::start(profile, &disk, Power::default(), &scene)?;
        vm.wait_for_end()?;
        for part in parts {
            ensure!(vm.console().contains(part), "`{part}` is not on the console:\n{}", vm.console());
        }
        ensure!(disk.ukis()? == ["imgbuild_1.efi", "imgbuild_2+2-1.efi"], "{:?}", disk.ukis()?);
    }
    Ok(())
}
