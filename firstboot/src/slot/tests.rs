use std::collections::BTreeSet;

use super::environment::{Environment, EnvironmentError, LENGTH};
use super::names::{Names, UkiName};
use super::*;

/// A back end as the shared tests drive it; every step goes through what lies on the disk.
trait BackEnd {
    fn new_disk() -> Self;
    fn committed(&self) -> Option<Generation>;
    fn stage(&mut self, generation: Generation);
    fn commit(&mut self, slot: Slot, generation: Generation);
    /// Starts the machine; returns the generation that runs.
    fn boot(&mut self) -> Generation;
}

/// UEFI: a list of file names.
struct Uefi(BTreeSet<String>);

impl Uefi {
    fn change<T>(&mut self, change: impl FnOnce(&mut Names) -> T) -> T {
        let mut names = Names(self.0.iter().map(|name| name.parse().unwrap()).collect());
        let result = change(&mut names);
        self.0 = names.0.iter().map(ToString::to_string).collect();
        result
    }
}

impl BackEnd for Uefi {
    fn new_disk() -> Self {
        Self(BTreeSet::from([UkiName::NEW.to_string()]))
    }

    fn committed(&self) -> Option<Generation> {
        Names(self.0.iter().map(|name| name.parse().unwrap()).collect()).committed()
    }

    fn stage(&mut self, generation: Generation) {
        self.change(|names| names.stage(generation));
    }

    fn commit(&mut self, _: Slot, generation: Generation) {
        self.change(|names| names.commit(generation));
    }

    fn boot(&mut self) -> Generation {
        self.change(Names::boot).unwrap()
    }
}

/// BIOS: the block, and which generation was put into which slot.
struct Bios {
    block: Vec<u8>,
    slots: [Option<Generation>; 2],
}

impl Bios {
    fn change<T>(&mut self, change: impl FnOnce(&mut Environment) -> T) -> T {
        let mut environment = Environment::parse(&self.block).unwrap();
        let result = change(&mut environment);
        self.block = environment.to_block().to_vec();
        result
    }

    fn place(&mut self, slot: Slot) -> &mut Option<Generation> {
        let [a, b] = &mut self.slots;
        match slot {
            Slot::A => a,
            Slot::B => b,
        }
    }
}

impl BackEnd for Bios {
    fn new_disk() -> Self {
        Self { block: Environment::NEW.to_block().to_vec(), slots: [Some(Generation::FIRST), None] }
    }

    fn committed(&self) -> Option<Generation> {
        Environment::parse(&self.block).ok().map(|environment| environment.generation)
    }

    fn stage(&mut self, generation: Generation) {
        let slot = self.change(|environment| {
            environment.stage(generation);
            environment.committed.other()
        });
        *self.place(slot) = Some(generation);
    }

    fn commit(&mut self, slot: Slot, generation: Generation) {
        self.change(|environment| environment.commit(slot, generation));
    }

    fn boot(&mut self) -> Generation {
        let slot = self.change(Environment::boot);
        // GRUB passes over a slot that holds nothing.
        self.place(slot).or(*self.place(slot.other())).unwrap()
    }
}

fn generations<B: BackEnd>(back_end: &mut B, starts: usize) -> Vec<u32> {
    (0..starts).map(|_| back_end.boot().0).collect()
}

/// What both back ends promise.
fn keeps_the_contract<B: BackEnd>() {
    let (first, second, third) = (Generation(1), Generation(2), Generation(3));
    let mut disk = B::new_disk();
    assert_eq!(disk.committed(), Some(first), "the first image is committed");
    assert_eq!(generations(&mut disk, 9), [1; 9], "and is started for ever");

    let mut disk = B::new_disk();
    disk.stage(second);
    assert_eq!(disk.committed(), Some(first), "what is staged is not committed");
    assert_eq!(generations(&mut disk, 4), [2, 2, 2, 1], "a trial has three starts, then the other slot runs");

    let mut disk = B::new_disk();
    disk.stage(second);
    assert_eq!(disk.boot(), second);
    disk.commit(Slot::B, second);
    assert_eq!(disk.committed(), Some(second));
    assert_eq!(disk.boot(), second, "what is committed runs");
    disk.commit(Slot::B, second);
    assert_eq!(disk.boot(), second, "committing again changes nothing");

    // A downgrade is a staging like any other: an older system has a higher generation.
    disk.stage(third);
    assert_eq!(disk.boot(), third, "what was staged last is preferred");
    disk.commit(Slot::A, third);
    assert_eq!((disk.committed(), disk.boot()), (Some(third), third));

    // Staged again before the trial was over.
    let mut disk = B::new_disk();
    disk.stage(second);
    assert_eq!(disk.boot(), second);
    disk.stage(third);
    assert_eq!(generations(&mut disk, 4), [3, 3, 3, 1]);
    assert_eq!(disk.committed(), Some(first));
}

#[test]
fn systemd_boot_goes_over_to_the_substitute_after_five_starts_that_do_not_arrive() {
    let mut disk = Uefi::new_disk();
    disk.stage(Generation(2));
    disk.commit(Slot::B, Generation(2));
    assert_eq!(generations(&mut disk, 7), [2, 2, 2, 2, 2, 1, 1]);
    assert_eq!(disk.committed(), Some(Generation(1)));
    // The committed slot is alone while another is on trial, and has no counter then.
    let mut disk = Uefi::new_disk();
    disk.stage(Generation(2));
    disk.commit(Slot::B, Generation(2));
    disk.stage(Generation(3));
    assert_eq!(disk.0.iter().collect::<Vec<_>>(), ["imgbuild_2.efi", "imgbuild_3+3.efi"]);
    assert_eq!(generations(&mut disk, 9), [3, 3, 3, 2, 2, 2, 2, 2, 2]);
}

#[test]
fn both_back_ends_keep_the_contract() {
    keeps_the_contract::<Uefi>();
    keeps_the_contract::<Bios>();
}

#[test]
fn bios_goes_to_the_other_slot_once_and_back_where_the_committed_one_fails() {
    let mut environment =
        Environment { committed: Slot::B, generation: Generation(2), trial: None, failures: 0 };
    let starts: Vec<_> = (0..9).map(|_| environment.boot().letter()).collect();
    assert_eq!(starts, ["b", "a", "b", "a", "b", "a", "b", "a", "b"]);
    assert_eq!(environment.failures, 5, "the count stays near the longest wait");
}

#[test]
fn the_back_end_that_is_behind_is_repaired() {
    let (one, two) = (Some(Generation(1)), Some(Generation(2)));
    for (names, environment, expected) in [
        (one, one, Repair::Nothing),
        (two, one, Repair::Environment(Generation(2))),
        (one, two, Repair::Names(Generation(2))),
        (two, None, Repair::Environment(Generation(2))),
        (None, one, Repair::Names(Generation(1))),
        (None, None, Repair::Nothing),
    ] {
        assert_eq!(repair(names, environment), expected, "{names:?} {environment:?}");
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for name in ["imgbuild_1.efi", "imgbuild_4294967295+3.efi", "imgbuild_2+2-1.efi", "imgbuild_2+0-3.efi"] {
        assert_eq!(name.parse::<UkiName>().unwrap().to_string(), name);
    }
    for name in [
        "imgbuild_.efi",
        "imgbuild_1",
        "imgbuild_01.efi",
        "imgbuild_1+.efi",
        "imgbuild_1+3-.efi",
        "imgbuild_1+300.efi",
        "imgbuild_1.efi.new",
        "linux_1.efi",
    ] {
        let message = format!("`{name}` is not of the form `imgbuild_<generation>[+left[-done]].efi`");
        assert_eq!(name.parse::<UkiName>().unwrap_err().to_string(), message);
    }
}

#[test]
fn the_block_has_all_keys_in_its_first_sector() {
    let mut environment = Environment { generation: Generation(u32::MAX), ..Environment::NEW };
    environment.stage(Generation(u32::MAX));
    let block = environment.to_block();
    assert_eq!(Environment::parse(&block).unwrap(), environment);
    let text = str::from_utf8(&block).unwrap();
    assert_eq!(
        text.trim_end_matches('#'),
        "# GRUB Environment Block\ncommitted=a\ngeneration=4294967295\ntrial=b\ntrial_generation=4294967295\n\
         tries=3\nfailures=0\n"
    );
    assert!(text.rfind('\n').unwrap() < 512);
}

#[test]
fn damaged_blocks_are_named() {
    let whole = str::from_utf8(&Environment::NEW.to_block()).unwrap().to_owned();
    // Of the same length, as GRUB leaves it.
    let changed = |from: &str, to: &str| {
        let mut text = whole.replacen(from, to, 1).into_bytes();
        text.resize(LENGTH, b'#');
        Environment::parse(&text).unwrap_err().to_string()
    };
    let signature = "the environment block has no signature, or is not 1024 bytes of text";
    assert_eq!(Environment::parse(&[0; LENGTH]), Err(EnvironmentError::Signature));
    assert_eq!(Environment::parse(&whole.as_bytes()[..512]).unwrap_err().to_string(), signature);
    assert_eq!(changed("# GRUB", "# grub"), signature);
    assert_eq!(changed("committed=a\n", ""), "the environment block has no `committed`");
    assert_eq!(
        changed("committed=a", "committed=c"),
        "`committed` of the environment block is `c`, expected `a` or `b`"
    );
    assert_eq!(
        changed("generation=1", "generation=-1"),
        "`generation` of the environment block is `-1`, expected a number"
    );
    assert_eq!(
        changed("failures=0", "failures=7"),
        "`failures` of the environment block is `7`, expected a small number"
    );
    assert_eq!(
        changed("trial=\n", "trial=b\n"),
        "`trial_generation` of the environment block is ``, expected a number"
    );
}
