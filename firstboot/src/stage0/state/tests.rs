//! Power cuts at every write while state is made, in memory.

use super::*;
use crate::gpt::tests::{Dice, Fate, MIB, MemoryDisk, entry, image, mib};
use crate::gpt::{CopyState, SectorSize};

/// What the stand-in formatter leaves at the start and the end of a finished file system.
const WHOLE: u8 = 0xf5;

fn ids(seed: u128) -> FreshIds {
    FreshIds {
        disk: Guid::from_u128(seed << 8 | 0xd),
        esp: Guid::from_u128(seed << 8 | 0xe),
        state: Guid::from_u128(seed << 8 | 0x5),
    }
}

/// What the least image asks for.
fn wish(seed: u128) -> Wish {
    Wish { esp: 1, ids: ids(seed), minimum: 256 * MIB }
}

/// Writes both ends, as mkfs does, and then flushes, as the sync before the mark does.
fn format(disk: &mut MemoryDisk, made: Unfinished) -> Result<(), Error> {
    let sector = vec![WHOLE; disk.sector_size().in_memory()];
    disk.write(made.extent.first, &sector).map_err(Error::Write)?;
    disk.write(made.extent.last, &sector).map_err(Error::Write)?;
    disk.flush().map_err(Error::Write)
}

fn is_formatted(disk: &MemoryDisk, extent: Extent) -> bool {
    [extent.first, extent.last].into_iter().all(|at| {
        let mut sector = vec![0; disk.sector_size().in_memory()];
        disk.read(at, &mut sector).unwrap();
        sector.iter().all(|byte| *byte == WHOLE)
    })
}

/// One boot as far as state is concerned; returns the state partition's number and whether it was made.
fn boot(disk: &mut MemoryDisk, seed: u128) -> Result<(u32, bool), Error> {
    let copies = gpt::read(disk).expect("a table at every boot");
    gpt::repair(disk, &copies).map_err(Error::Write)?;
    match find(&copies.table)? {
        Found::Present(number) => Ok((number, false)),
        Found::Absent => create(disk, &copies.table, wish(seed), format).map(|(_, number)| (number, true)),
    }
}

/// An image on a disk that has room for state.
fn fresh_disk(size: SectorSize) -> MemoryDisk {
    image(size).grown_to(mib(300, size))
}

#[test]
fn the_first_boot_makes_state_to_the_end_and_the_second_keeps_it() {
    for bytes in [512, 4096] {
        let size = SectorSize::new(bytes).unwrap();
        let mut disk = fresh_disk(size);
        assert_eq!(boot(&mut disk, 7).unwrap(), (4, true));
        let copies = gpt::read(&disk).unwrap();
        assert_eq!((&copies.primary, &copies.backup), (&CopyState::Good, &CopyState::Good));
        let state = copies.table.entry(4).unwrap();
        assert!(state.name == *LABEL && is_formatted(&disk, state.extent));
        assert_eq!((state.extent.first.0, state.extent.last.0), (mib(6, size), mib(299, size) - 1));
        let kept = |number: u32| copies.table.entry(number).unwrap().id;
        assert_eq!((copies.table.disk_id, kept(1), kept(4)), (ids(7).disk, ids(7).esp, ids(7).state));
        assert_eq!((kept(2), kept(3)), (Guid::from_u128(0xa0), Guid::from_u128(0xa1)));
        let before = copies.table;
        assert_eq!(boot(&mut disk, 8).unwrap(), (4, false));
        assert_eq!(gpt::read(&disk).unwrap().table, before);
    }
}

/// After a cut at any operation, with every fate of the sectors in flight, and again in the boot that follows, a
/// whole boot ends with a formatted state; and a state that was once found is the one that stays.
#[test]
fn a_power_cut_at_any_instant_ends_in_a_whole_state() {
    let start = fresh_disk(SectorSize::S512);
    let mut dice = Dice(3);
    let mut kept = 0;
    for operations in 0..20 {
        for round in 0..60 {
            let mut disk = start.clone();
            for seed in 1..=2 {
                let quota = if seed == 1 { operations } else { dice.below(20) };
                disk.operations_left = Some(usize::try_from(quota).unwrap());
                let _cut = boot(&mut disk, seed);
                disk = disk.cut(|_| if round < 3 { Fate::ALL[round] } else { dice.fate() });
            }
            let name = format!("after {operations} operations, round {round}");
            let found = find(&gpt::read(&disk).expect(&name).table).unwrap();
            let (number, was_made) = boot(&mut disk, 3).expect(&name);
            assert_eq!(was_made, found == Found::Absent, "{name}");
            kept += usize::from(!was_made);
            let copies = gpt::read(&disk).unwrap();
            assert_eq!((&copies.primary, &copies.backup), (&CopyState::Good, &CopyState::Good), "{name}");
            assert!(is_formatted(&disk, copies.table.entry(number).unwrap().extent), "{name}");
            assert_eq!(copies.table.entries().count(), 4, "{name}");
        }
    }
    assert!(kept > 100, "cuts after the last write are among the cases: {kept}");
}

#[test]
fn an_unfinished_state_is_replaced_and_not_joined() {
    let mut disk = fresh_disk(SectorSize::S512);
    let table = gpt::read(&disk).unwrap().table;
    let cut = create(&mut disk, &table, wish(1), |_, _| Err(Error::FullTable));
    assert!(matches!(cut, Err(Error::FullTable)));
    assert_eq!(find(&gpt::read(&disk).unwrap().table).unwrap(), Found::Absent);
    assert_eq!(boot(&mut disk, 2).unwrap(), (4, true));
    assert_eq!(gpt::read(&disk).unwrap().table.entry(4).unwrap().id, ids(2).state);
}

#[test]
fn two_states_are_refused() {
    let mut table = gpt::read(&fresh_disk(SectorSize::S512)).unwrap().table;
    table.fit(mib(300, SectorSize::S512)).unwrap();
    table.add(entry(LABEL, 1, Guid::LINUX_DATA, 20480, 20489));
    table.add(entry(UNFINISHED_LABEL, 2, Guid::LINUX_DATA, 20490, 20499));
    let message = find(&table).unwrap_err().to_string();
    assert_eq!(message, "partitions 4 and 5 are both named `state` or `state-new`");
}

#[test]
fn a_disk_without_room_is_left_as_it_was() {
    let mut disk = image(SectorSize::S512);
    let table = gpt::read(&disk).unwrap().table;
    let message = boot(&mut disk, 1).unwrap_err().to_string();
    assert_eq!(
        message,
        format!("state partition needs {} bytes, the largest free stretch of the disk has {MIB}", 256 * MIB)
    );
    assert_eq!(gpt::read(&disk).unwrap().table, table);
}

#[test]
fn state_has_the_room_that_the_image_asks_for() {
    let table = gpt::read(&fresh_disk(SectorSize::S512)).unwrap().table;
    let make = |minimum: u64| {
        let mut disk = fresh_disk(SectorSize::S512);
        create(&mut disk, &table, Wish { minimum, ..wish(1) }, format).map(|(_, number)| number)
    };
    assert_eq!(make(293 * MIB).unwrap(), 4);
    let message = make(1 << 30).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "state partition needs 1073741824 bytes, the largest free stretch of the disk has {}",
            293 * MIB
        )
    );
}

#[test]
fn a_disk_that_grew_gives_its_room_to_state() {
    let size = SectorSize::S512;
    let mut disk = fresh_disk(size);
    let (number, _) = boot(&mut disk, 1).unwrap();
    let table = gpt::read(&disk).unwrap().table;
    assert_eq!(grow(&table, disk.sectors(), number).unwrap(), None);
    let mut disk = disk.grown_to(mib(400, size));
    assert_eq!(boot(&mut disk, 2).unwrap(), (number, false));
    let table = gpt::read(&disk).unwrap().table;
    let grown = grow(&table, disk.sectors(), number).unwrap().unwrap();
    assert_eq!(grown.entry(number).unwrap().extent.last.0, mib(399, size) - 1);
    gpt::write(&mut disk, &grown).unwrap();
    assert_eq!(gpt::read(&disk).unwrap().table, grown);
}
