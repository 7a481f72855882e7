//! Staging on disks that lose power at every write and flush, judged by what firmware, boot loaders and stage0 do.

mod judge;
mod recorder;
pub(crate) mod sample;

use std::collections::BTreeSet;

use self::judge::Judge;
use self::recorder::{Dice, Recorder};
use self::sample::Sample;
use super::*;
use crate::diagnostic::chain;
use crate::units::{Arch, SectorSize};
use firstboot::slot::node::{self, Running};

/// What a disk was through before the staging that is looked at.
struct History {
    name: &'static str,
    /// Staged one after the other, and whether they then ran well.
    staged: &'static [(u8, bool)],
    /// Whether a commit lost its second half.
    is_block_behind: bool,
    /// What is staged now, and into which slot.
    last: (u8, Slot),
}

const HISTORIES: [History; 5] = [
    History { name: "a new disk", staged: &[], is_block_behind: false, last: (2, Slot::B) },
    History {
        name: "a trial that is replaced",
        staged: &[(2, false)],
        is_block_behind: false,
        last: (3, Slot::B),
    },
    History { name: "a third generation", staged: &[(2, true)], is_block_behind: false, last: (3, Slot::A) },
    History { name: "a downgrade", staged: &[(2, true)], is_block_behind: false, last: (1, Slot::A) },
    History { name: "half a commit", staged: &[(2, true)], is_block_behind: true, last: (3, Slot::A) },
];

/// Stages on the disk as it is.
fn stage_sample(sample: &Sample, disk: &mut Recorder) -> Result<Staged, StagingError> {
    let copies = gpt::read(disk).unwrap();
    stage(&sample.source(), disk, &copies, |_| {})
}

/// What a node does that has come up in `slot`.
fn commit(sample: &Sample, slot: Slot, disk: &mut Recorder) {
    let layout = Layout::of(&gpt::read(disk).unwrap().table, &sample.manifest).unwrap();
    let mut fat = open_esp(&layout, &sample.source(), disk).unwrap();
    let root_hash = Root::parse(&sample.manifest.root_hash.to_string()).unwrap();
    node::commit(&mut fat, Running { slot, root_hash, is_on_trial: true }).unwrap();
}

fn with_history(history: &History, samples: &[Sample]) -> Recorder {
    let mut disk = samples[0].disk();
    for (number, ran_well) in history.staged {
        let sample = &samples[usize::from(*number) - 1];
        let staged = stage_sample(sample, &mut disk).unwrap();
        if *ran_well {
            let before = disk.esp_file(sample, "grub/grubenv");
            commit(sample, staged.slot, &mut disk);
            if let Some(before) = before.filter(|_| history.is_block_behind) {
                let layout = Layout::of(&gpt::read(&disk).unwrap().table, &sample.manifest).unwrap();
                open_esp(&layout, &sample.source(), &mut disk)
                    .unwrap()
                    .overwrite("grub/grubenv", &before)
                    .unwrap();
            }
        }
    }
    disk.start_log();
    disk
}

/// Cuts the power at every write and every flush of a staging, and lets what was not flushed survive in part.
fn survives_power_cuts(history: &History, samples: &[Sample], rounds: usize) {
    let mut disk = with_history(history, samples);
    let judge = Judge::new(samples);
    let start = judge.choices(&disk.start(), history.name);
    let (number, slot) = history.last;
    let staged = stage_sample(&samples[usize::from(number) - 1], &mut disk).unwrap();
    assert_eq!((staged.slot, staged.committed_slot), (slot, slot.other()), "{}", history.name);
    let end = judge.choices(&disk.end(), history.name);
    assert!(
        end.iter().all(|choice| choice.sample == number && choice.is_on_trial),
        "{}: {end:?}",
        history.name
    );
    let mut seen = BTreeSet::new();
    let mut dice = Dice(u64::from(number));
    disk.cuts(rounds, &mut dice, |state, place| {
        let place = format!("{}, {place}", history.name);
        let choices = judge.choices(state, &place);
        for (index, choice) in choices.iter().enumerate() {
            // UEFI's names are ahead where the two differ.
            let committed = start[0].committed;
            let is_old = *choice == start[index] || !choice.is_on_trial && choice.sample == committed;
            let is_new = *choice == end[index];
            assert!(
                is_old || is_new,
                "{place}: {choice:?}, was {:?}, becomes {:?}",
                start[index],
                end[index]
            );
        }
        seen.insert(choices.iter().map(|choice| choice.sample).collect::<Vec<_>>());
    });
    let samples_of =
        |choices: &[judge::Choice]| choices.iter().map(|choice| choice.sample).collect::<Vec<_>>();
    assert!(seen.contains(&samples_of(&start)) || start[0].is_on_trial, "{}: {seen:?}", history.name);
    assert!(seen.contains(&samples_of(&end)), "{}: {seen:?}", history.name);
    // Whatever state the power cut left, the next staging works.
    let (mut states, mut count) = (Vec::new(), 0);
    disk.cuts(1, &mut dice, |state, place| {
        count += 1;
        if count % 17 == 0 {
            states.push((state.clone_disk(), place.to_owned()));
        }
    });
    for (mut disk, place) in states {
        let committed = judge.choices(&disk.end(), &place)[0].committed;
        let other = samples.iter().find(|sample| sample.number != committed).unwrap();
        stage_sample(other, &mut disk).unwrap_or_else(|fault| panic!("{place}: {}", chain(&fault)));
        let choices = judge.choices(&disk.end(), &place);
        assert!(choices.iter().all(|choice| choice.sample == other.number && choice.is_on_trial), "{place}");
    }
}

#[test]
fn a_power_cut_at_any_instant_leaves_the_old_system_or_the_new_one() {
    let samples = Sample::all(SectorSize::B512);
    for history in &HISTORIES {
        survives_power_cuts(history, &samples, 6);
    }
}

#[test]
fn a_power_cut_on_a_disk_of_4096_byte_sectors_is_survived_too() {
    let samples = Sample::all(SectorSize::B4096);
    survives_power_cuts(&HISTORIES[1], &samples, 4);
}

#[test]
fn refuses_what_does_not_go_together() {
    let samples = Sample::all(SectorSize::B512);
    let fault = |change: &dyn Fn(&mut Recorder, &mut Source)| {
        let mut disk = samples[0].disk();
        let mut source = samples[1].source();
        change(&mut disk, &mut source);
        disk.start_log();
        let copies = gpt::read(&disk).unwrap();
        let fault = stage(&source, &mut disk, &copies, |_| {}).unwrap_err();
        assert!(disk.is_unchanged(), "something was written: {fault}");
        assert!(fault.is_input(), "{fault}");
        chain(&fault)
    };
    assert_eq!(
        fault(&|_, source| source.manifest.partitions.truncate(4)),
        "the disk has partitions `bios-boot`, `esp`, `root-a`, `root-a-verity`, `root-b`, `root-b-verity`; the bundle \
         is for disks with `bios-boot`, `esp`, `root-a`, `root-a-verity`"
    );
    assert_eq!(
        fault(&|_, source| source.manifest.arch = Arch::Arm64),
        "the disk is for amd64, the bundle for arm64"
    );
    assert_eq!(
        fault(&|_, source| source.root = large_file(1 << 21)),
        "the root is 2 MiB, the disk's slot has room for 1 MiB"
    );
    assert_eq!(
        fault(&|_, source| source.tree = large_file((1 << 20) + 1)),
        "the hash tree is 1 MiB, the disk's slot has room for 1 MiB"
    );
    let esp = fault(&|_, source| source.uki = vec![0; 41 << 20].into());
    assert_eq!(esp, "boot files need 41 MiB, the disk's ESP has 39.3 MiB free");
    assert_eq!(
        fault(&|_, source| source.bios = None),
        "the disk boots by BIOS too, the bundle has no files for GRUB"
    );
    let same = samples[0].manifest.root_hash;
    assert_eq!(
        fault(&|_, source| *source = samples[0].source()),
        format!("slot a, which is committed, holds root {same} already")
    );
    assert_eq!(
        fault(&|disk, source| {
            let layout = Layout::of(&gpt::read(disk).unwrap().table, &source.manifest).unwrap();
            let mut fat = open_esp(&layout, source, disk).unwrap();
            for path in ["EFI/Linux/imgbuild_1.efi", "grub/grubenv", "grub/a/slot.cfg"] {
                fat.remove(path).unwrap();
            }
        }),
        "no boot file of the disk says which slot is committed"
    );
}

fn large_file(length: u64) -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(length).unwrap();
    file
}

#[test]
fn boot_programs_change_only_where_their_bytes_differ() {
    let samples = Sample::all(SectorSize::B512);
    let mut disk = samples[0].disk();
    let staged = stage_sample(&samples[1], &mut disk).unwrap();
    assert_eq!(staged.programs, Vec::<String>::new(), "the second sample has the programs of the first");
    commit(&samples[1], staged.slot, &mut disk);
    let staged = stage_sample(&samples[2], &mut disk).unwrap();
    let expected = [
        "loader/loader.conf",
        "grub/grub.cfg",
        "EFI/BOOT/BOOTX64.EFI",
        "loader/addons/image.addon.efi",
        "GRUB's core",
    ];
    assert_eq!(staged.programs, expected);
    assert_eq!((staged.slot, staged.generation, staged.tries), (Slot::A, Generation(3), 3));
    assert_eq!((staged.committed_slot, staged.committed_generation), (Slot::B, Generation(2)));
    // And back: the core goes to the half that is free again.
    commit(&samples[2], staged.slot, &mut disk);
    assert_eq!(stage_sample(&samples[0], &mut disk).unwrap().programs, expected);
    let judge = Judge::new(&samples);
    assert!(judge.choices(&disk.end(), "the end").iter().all(|choice| choice.sample == 1));
}
