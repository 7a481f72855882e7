use std::collections::BTreeMap;

use super::*;
use crate::fat::Stamp;
use crate::fat::tests::{files, volume};
use crate::gpt::tests::{Dice, Fate, MemoryDisk};
use crate::slot::environment::{EnvironmentError, LENGTH, PATH, Trial};
use crate::slot::uki::tests::uki;

fn root(digit: &str) -> RootHash {
    RootHash::parse(&digit.repeat(64)).unwrap()
}

/// Where the roots of the tests lie.
fn place(hash: &RootHash) -> Option<Slot> {
    [(root("1"), Slot::A), (root("2"), Slot::B)]
        .into_iter()
        .find(|(other, _)| other == hash)
        .map(|(_, slot)| slot)
}

fn running(digit: &str, is_on_trial: bool) -> Running {
    let root_hash = root(digit);
    Running { slot: place(&root_hash).unwrap(), root_hash, is_on_trial }
}

/// An ESP with these UKIs, whose generation is the digit of their root, and this block.
fn esp(names: &[&str], block: Option<&[u8]>) -> MemoryDisk {
    let path = |name: &str| format!("EFI/Linux/{name}");
    let mut all: Vec<(String, Vec<u8>)> = names
        .iter()
        .map(|name| (path(name), uki(&format!("roothash={} quiet", name[9..10].repeat(64)))))
        .collect();
    if let Some(block) = block {
        all.push((PATH.to_owned(), block.to_vec()));
        for (slot, digit) in [("a", "1"), ("b", "2")] {
            let text = format!("set generation={digit}\n  linux x 'roothash={}'\n", digit.repeat(64));
            all.push((format!("grub/{slot}/slot.cfg"), text.into_bytes()));
        }
    }
    let mut disk = volume(&[]);
    let mut fat = open(&mut disk);
    for folder in ["EFI", "EFI/Linux", "grub", "grub/a", "grub/b"] {
        if block.is_some() || folder.starts_with("EFI") {
            fat.make_folder(folder).unwrap();
        }
    }
    for (path, content) in all {
        fat.create(&path, &content).unwrap();
    }
    disk
}

fn open(disk: &mut MemoryDisk) -> Fat<&mut MemoryDisk> {
    Fat::open(disk, Stamp::from_unix(1_800_000_000)).unwrap()
}

/// Names of UKIs, and the block.
fn state(disk: &MemoryDisk) -> (Vec<String>, Option<Environment>) {
    let files: BTreeMap<String, Vec<u8>> = files(disk);
    let name =
        |path: &String| path.strip_prefix("EFI/Linux/").filter(|name| !name.is_empty()).map(str::to_owned);
    let block = files.get(PATH).and_then(|block| Environment::parse(block).ok());
    (files.keys().filter_map(name).collect(), block)
}

const A1: Environment = Environment::NEW;
const B2: Environment =
    Environment { committed: Slot::B, generation: Generation(2), trial: None, failures: 0 };

fn trial(tries: u8) -> Environment {
    Environment { trial: Some(Trial { slot: Slot::B, generation: Generation(2), tries }), ..A1 }
}

#[test]
fn a_trial_that_works_is_committed_in_both_back_ends_and_the_old_one_stays() {
    let mut disk =
        esp(&["imgbuild_1.efi", "imgbuild_2+2-1.efi", "imgbuild_3+3.new"], Some(&trial(2).to_block()));
    let report = arrive(&mut open(&mut disk), running("2", true), false).unwrap();
    assert_eq!(
        report,
        Report { generation: Some(Generation(2)), standing: Standing::Trial, notes: Vec::new() }
    );
    assert_eq!(state(&disk).1, Some(trial(2)), "nothing is committed before the gate");
    let report = commit(&mut open(&mut disk), running("2", true)).unwrap();
    let notes = vec!["slot b, generation 2, is committed".to_owned()];
    assert_eq!(report, Report { generation: Some(Generation(2)), standing: Standing::Committed, notes });
    // The old one can stand in for it from now on, so its starts are counted.
    let after = (vec!["imgbuild_1.efi".to_owned(), "imgbuild_2+5.efi".to_owned()], Some(B2));
    assert_eq!(state(&disk), after);
    let again = commit(&mut open(&mut disk), running("2", false)).unwrap();
    assert_eq!((again.standing, again.notes.len()), (Standing::Committed, 0));
    assert_eq!(state(&disk), after);
}

#[test]
fn disks_without_grub_get_no_block() {
    let mut disk = esp(&["imgbuild_1.efi", "imgbuild_2+2-1.efi"], None);
    commit(&mut open(&mut disk), running("2", true)).unwrap();
    assert_eq!(state(&disk), (vec!["imgbuild_1.efi".to_owned(), "imgbuild_2+5.efi".to_owned()], None));
}

#[test]
fn a_power_cut_in_a_commit_leaves_what_the_next_boot_repairs() {
    let start = esp(&["imgbuild_1.efi", "imgbuild_2+2-1.efi"], Some(&trial(2).to_block()));
    let old = state(&start);
    let new = (vec!["imgbuild_1.efi".to_owned(), "imgbuild_2+5.efi".to_owned()], Some(B2));
    let between = (new.0.clone(), old.1);
    let mut dice = Dice(3);
    let mut seen = [0; 3];
    for operations in 0..40 {
        for _ in 0..8 {
            let mut disk = start.clone();
            disk.operations_left = Some(operations);
            let _cut = commit(&mut open(&mut disk), running("2", true));
            let mut cut = disk.cut(|_| if dice.below(2) == 0 { Fate::Lost } else { Fate::Written });
            let found = state(&cut);
            let which = [&old, &between, &new].iter().position(|state| **state == found);
            seen[which.unwrap_or_else(|| panic!("after {operations} operations: {found:?}"))] += 1;
            // Whichever of the two boots next makes both say the same.
            if found != old {
                arrive(&mut open(&mut cut), running("2", false), false).unwrap();
                assert_eq!(state(&cut), new);
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn a_good_start_by_grub_is_no_failure_and_a_trial_is_not_counted_back() {
    let failed = Environment { failures: 3, ..A1 };
    let mut disk = esp(&["imgbuild_1.efi"], Some(&failed.to_block()));
    arrive(&mut open(&mut disk), running("1", false), false).unwrap();
    assert_eq!(state(&disk).1, Some(failed), "UEFI says nothing on starts by a BIOS");
    arrive(&mut open(&mut disk), running("1", false), true).unwrap();
    assert_eq!(state(&disk).1, Some(A1));
    let failed = Environment { failures: 3, ..trial(1) };
    let mut disk = esp(&["imgbuild_1.efi", "imgbuild_2+3.efi"], Some(&failed.to_block()));
    arrive(&mut open(&mut disk), running("2", true), true).unwrap();
    assert_eq!(state(&disk).1, Some(failed));
}

#[test]
fn what_one_firmware_has_given_up_is_not_tried_by_the_other() {
    let mut disk = esp(&["imgbuild_1.efi", "imgbuild_2+0-3.efi"], Some(&trial(3).to_block()));
    let report = arrive(&mut open(&mut disk), running("1", false), false).unwrap();
    let notes = vec!["generation 2 did not come up and is given up".to_owned()];
    assert_eq!(report, Report { generation: Some(Generation(1)), standing: Standing::Committed, notes });
    assert_eq!(state(&disk).1, Some(A1));
}

#[test]
fn a_block_that_grub_cannot_use_is_made_anew() {
    for damaged in [vec![0; LENGTH], Vec::new(), vec![b'#'; 4096]] {
        let mut disk = esp(&["imgbuild_1.efi", "imgbuild_2.efi"], Some(&damaged));
        let report = arrive(&mut open(&mut disk), running("2", false), true).unwrap();
        let expected = format!("{}: made anew, slot b is committed", EnvironmentError::Signature);
        assert_eq!(report.notes, [expected]);
        assert_eq!(state(&disk).1, Some(B2));
    }
    // Without a UKI it is GRUB's own files that say what runs.
    let mut disk = esp(&[], Some(&[0; LENGTH]));
    arrive(&mut open(&mut disk), running("2", false), true).unwrap();
    assert_eq!(state(&disk).1, Some(B2));
}

#[test]
fn a_substitute_is_neither_committed_nor_does_it_take_the_commit_away() {
    let mut disk = esp(&["imgbuild_1.efi", "imgbuild_2.efi"], Some(&B2.to_block()));
    let before = state(&disk);
    assert_eq!(
        arrive(&mut open(&mut disk), running("1", false), false).unwrap().standing,
        Standing::Substitute
    );
    assert_eq!(commit(&mut open(&mut disk), running("1", false)).unwrap().standing, Standing::Substitute);
    assert_eq!(state(&disk), before);
}

#[test]
fn a_committed_slot_that_arrives_has_all_its_starts_again() {
    // The last start that was left is as good as any.
    for name in ["imgbuild_2.efi", "imgbuild_2+4-1.efi", "imgbuild_2+0-5.efi"] {
        let mut disk = esp(&["imgbuild_1.efi", name], Some(&B2.to_block()));
        let report = arrive(&mut open(&mut disk), running("2", false), false).unwrap();
        assert_eq!((report.standing, report.notes), (Standing::Committed, Vec::new()), "{name}");
        let names = vec!["imgbuild_1.efi".to_owned(), "imgbuild_2+5.efi".to_owned()];
        assert_eq!(state(&disk), (names, Some(B2)), "{name}");
    }
    // Nothing stands in for a slot that is alone.
    for name in ["imgbuild_2.efi", "imgbuild_2+3-2.efi"] {
        let mut disk = esp(&[name], Some(&B2.to_block()));
        arrive(&mut open(&mut disk), running("2", false), false).unwrap();
        assert_eq!(state(&disk).0, ["imgbuild_2.efi"], "{name}");
    }
    // A start by GRUB says nothing of systemd-boot's.
    let mut disk = esp(&["imgbuild_1.efi", "imgbuild_2+3-2.efi"], Some(&B2.to_block()));
    arrive(&mut open(&mut disk), running("2", false), true).unwrap();
    assert_eq!(state(&disk).0, ["imgbuild_1.efi", "imgbuild_2+3-2.efi"]);
}

#[test]
fn a_committed_slot_whose_starts_are_used_up_is_replaced_for_both_firmwares() {
    let mut disk = esp(&["imgbuild_1.efi", "imgbuild_2+0-5.efi"], Some(&B2.to_block()));
    let report = arrive(&mut open(&mut disk), running("1", false), false).unwrap();
    let notes = vec!["generation 2 did not come up and is given up".to_owned()];
    assert_eq!(report, Report { generation: Some(Generation(1)), standing: Standing::Committed, notes });
    let names = vec!["imgbuild_1.efi".to_owned(), "imgbuild_2+0-5.efi".to_owned()];
    assert_eq!(state(&disk), (names, Some(A1)));
}

#[test]
fn a_committed_slot_that_cannot_start_gives_way_once() {
    let mut disk = esp(&["imgbuild_1.efi", "imgbuild_2.efi"], Some(&B2.to_block()));
    let other = give_up(&mut open(&mut disk), &root("2"), place).unwrap();
    assert_eq!(other, Some((Slot::A, Generation(1))));
    let names = vec!["imgbuild_1.efi".to_owned(), "imgbuild_2+0.efi".to_owned()];
    assert_eq!(state(&disk), (names, Some(A1)));
    // The other one cannot start either: there is nothing left to go to.
    for digit in ["1", "2"] {
        let before = state(&disk);
        assert_eq!(give_up(&mut open(&mut disk), &root(digit), place).unwrap(), None);
        assert_eq!(state(&disk), before);
    }
    // Power failed between the two: names are ahead, and the block follows them.
    let mut disk = esp(&["imgbuild_1.efi", "imgbuild_2+0.efi"], Some(&B2.to_block()));
    arrive(&mut open(&mut disk), running("1", false), false).unwrap();
    assert_eq!(state(&disk).1, Some(A1));
    // A first image has no other slot.
    let mut disk = esp(&["imgbuild_1.efi"], Some(&A1.to_block()));
    assert_eq!(give_up(&mut open(&mut disk), &root("1"), |_| None).unwrap(), None);
}
