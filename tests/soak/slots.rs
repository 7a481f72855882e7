//! Slots that fail: the other one starts, or a message says what to do, and no machine restarts for ever in silence.
//!
//! `N` cases (default 6) from the one that `SEED` (default 1) begins with: SEED=2 goes on where SEED=1 ended.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use firstboot::slot::Slot;
use imgbuild::format::uki;
use imgbuild::machine::FirmwareKind::{self, Bios, Uefi};
use machine::{Bundle, Disk, Power, Scene, Vm, number};

/// The EROFS superblock begins here.
const SUPERBLOCK: u64 = 1024;
pub(super) const SCREEN: &str = "THIS MACHINE DID NOT START";
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

pub(super) const ON_A: &str = "slot        a, generation 1, committed";
const ON_B: &str = "slot        b, generation 2, committed";
const FOR_B: &str = "slot        a, generation 1, in place of the committed one";
const MADE_ANEW: &str = "made anew, slot b is committed";

/// Slot B's, once it is committed with another beside it.
const UKI_B: &str = "EFI/Linux/imgbuild_2+5.efi";

const CASES: [Case; 15] = [
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
        damage: |disk| disk.remove_esp_file(UKI_B),
        starts: &[Up(&[FOR_B])],
    },
    Case {
        name: "no-kernel",
        firmware: Bios,
        damage: |disk| disk.remove_esp_file("grub/b/linux"),
        starts: &[Up(&["the files of slot b in", "starting slot a, generation 1", FOR_B])],
    },
    Case {
        name: "no-configuration-of-slot",
        firmware: Bios,
        damage: |disk| disk.remove_esp_file("grub/b/slot.cfg"),
        starts: &[Up(&["starting slot a, generation 1"])],
    },
    Case {
        name: "damaged-uki",
        firmware: Uefi,
        damage: |disk| disk.zero_in_esp_file(UKI_B, 0, 512),
        starts: &[Up(&[FOR_B])],
    },
    Case {
        name: "damaged-kernel",
        firmware: Bios,
        damage: |disk| disk.zero_in_esp_file("grub/b/linux", 0, 1024),
        starts: &[Up(&["the files of slot b in", "starting slot a, generation 1", FOR_B])],
    },
    Case {
        name: "damaged-initrd",
        firmware: Bios,
        damage: |disk| disk.zero_in_esp_file("grub/b/initrd", 1 << 16, 4096),
        starts: &[
            Ends(&["starting slot b", "Initramfs unpacking failed", "Kernel panic"]),
            Up(&["the next one begins in 10 seconds", "starting slot a, generation 1", FOR_B]),
        ],
    },
    Case {
        name: "damaged-initrd",
        firmware: Uefi,
        damage: damage_initrd_of_uki,
        starts: &[
            Ends(&["Kernel panic"]),
            Ends(&["Kernel panic"]),
            Ends(&["Kernel panic"]),
            Ends(&["Kernel panic"]),
            Ends(&["Kernel panic"]),
            Up(&[ON_A, "generation 2 did not come up"]),
        ],
    },
];

/// The kernel of such a UKI starts and finds no init.
fn damage_initrd_of_uki(disk: &Disk) -> anyhow::Result<()> {
    let copy = disk.folder().join("uki");
    disk.copy_from_esp(UKI_B, &copy)?;
    let uki = std::fs::read(&copy).context("reading the UKI")?;
    let sections = uki::sections(&uki).context("reading the UKI's sections")?;
    let initrd =
        sections.iter().find(|section| section.name == ".initrd").context("the UKI has no initrd")?;
    disk.zero_in_esp_file(UKI_B, u64::from(initrd.offset) + (1 << 16), 4096)
}

#[test]
fn engine_slots_that_fail_give_way() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let (old, new) = (scene.build("cloud")?, scene.build("cloud-debug")?);
    for index in window(CASES.len(), 6)? {
        let (case, started) = (&CASES[index], Instant::now());
        let full_name = format!("{}-{:?}", case.name, case.firmware).to_lowercase();
        let disk = committed_b(&old, &new, &scene)?;
        (case.damage)(&disk)?;
        run(&full_name, case.firmware, case.starts, &disk, &scene)?;
        println!(
            "case {} of {}: {full_name} as expected, {} s",
            index + 1,
            CASES.len(),
            started.elapsed().as_secs()
        );
    }
    Ok(())
}

/// One start after the other on the same disk.
fn run(
    name: &str,
    firmware: FirmwareKind,
    starts: &[Start],
    disk: &Disk,
    scene: &Scene,
) -> anyhow::Result<()> {
    for (number, start) in starts.iter().enumerate() {
        let name = format!("{name}-{number}");
        let mut vm = Vm::start(&name, disk, Power { firmware, ..Power::default() }, scene)?;
        let (is_up, parts) = match start {
            Up(parts) => (true, parts),
            Ends(parts) => (false, parts),
        };
        ensure!(vm.comes_up()? == is_up, "comes `{name}` up? Not as expected:\n{}", vm.console());
        let console = if is_up { vm.shut_down()? } else { vm.console().to_owned() };
        for part in *parts {
            ensure!(console.contains(part), "`{part}` is not on the console of `{name}`:\n{console}");
        }
    }
    Ok(())
}

/// A disk on which the update was committed; nobody has to wait for a machine to do it.
pub(super) fn committed_b(old: &Bundle, new: &Bundle, scene: &Scene) -> anyhow::Result<Disk> {
    let disk = Disk::of(old, scene)?;
    disk.stage(new, scene)?;
    disk.commit(new, Slot::B)?;
    disk.allow_late_timers()?;
    Ok(disk)
}

/// Which of `count` cases are run now.
pub(super) fn window(count: usize, most: u64) -> anyhow::Result<Vec<usize>> {
    let (number, seed) = (number("N", most)?, number("SEED", 1)?);
    let first = seed.saturating_sub(1).saturating_mul(number);
    let all = u64::try_from(count)?;
    let number = number.min(all);
    let cases: Vec<usize> = (first..first + number)
        .map(|index| usize::try_from(index % all).context("a case has a number"))
        .collect::<anyhow::Result<_>>()?;
    println!(
        "SEED={seed} N={number}: cases {:?} of {count}",
        cases.iter().map(|index| index + 1).collect::<Vec<_>>()
    );
    Ok(cases)
}

/// A unit that stops systemd itself, and with it who feeds the watchdog, before the machine is up.
const HANGS: &str = "[Unit]\nDescription=Probe\nDefaultDependencies=no\nBefore=firstboot.service\n\n\
    [Service]\nType=oneshot\nExecStart=/usr/bin/bash -c 'echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze'\n\n\
    [Install]\nWantedBy=firstboot.service\n";

/// A committed slot that no longer comes as far as firstboot: the watchdog resets the machine, and after three such
/// starts stage0 goes over to the other slot; GRUB does after one.
#[test]
fn engine_slots_that_hang_give_way() -> anyhow::Result<()> {
    const HUNG: Start = Ends(&["stage0: starting /"]);
    let scene = Scene::open()?;
    scene.add_profile("cloud-hangs-early", "cloud", HANGS)?;
    let (old, new) = (scene.build("cloud")?, scene.build("cloud-hangs-early")?);
    let by_bios = [
        Ends(&["starting slot b, generation 2", "stage0: starting /"]),
        Up(&["the next one begins in 10 seconds", "starting slot a, generation 1", FOR_B]),
    ];
    let by_uefi = [HUNG, HUNG, HUNG, Ends(&[SCREEN, GIVEN_UP]), Up(&[ON_A])];
    for (firmware, starts) in [(Bios, &by_bios[..]), (Uefi, &by_uefi)] {
        let disk = committed_b(&old, &new, &scene)?;
        run(&format!("hangs-{firmware:?}").to_lowercase(), firmware, starts, &disk, &scene)?;
    }
    Ok(())
}
