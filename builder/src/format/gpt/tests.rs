use std::io::Cursor;

use super::*;

fn entry(label: &str, first: u64, last: u64) -> Entry {
    let (first, last) = (Lba(first), Lba(last));
    Entry {
        label: label.to_owned(),
        partition_type: Uuid::from_u128(1),
        partuuid: Uuid::from_u128(2),
        first,
        last,
    }
}

fn fault(entries: &[Entry]) -> String {
    let mut disk = Cursor::new(vec![0; 1 << 20]);
    let fault = write(&mut disk, SectorSize::B512, Uuid::nil(), entries).unwrap_err();
    assert!(disk.into_inner().iter().all(|byte| *byte == 0), "written to although refused");
    fault.to_string()
}

#[test]
fn refuses_tables_that_cannot_be() {
    assert_eq!(
        fault(&[entry("a", 34, 99), entry("c", 200, 300), entry("b", 99, 100)]),
        "partitions `a` and `b` overlap"
    );
    let usable = "usable are 34 to 2014";
    assert_eq!(fault(&[entry("a", 33, 99)]), format!("partition `a` has sectors 33 to 99, {usable}"));
    assert_eq!(fault(&[entry("a", 99, 2015)]), format!("partition `a` has sectors 99 to 2015, {usable}"));
    assert_eq!(fault(&[entry("a", 99, 98)]), format!("partition `a` has sectors 99 to 98, {usable}"));
    let long = "x".repeat(37);
    assert_eq!(
        fault(&[entry(&long, 34, 99)]),
        format!("partition label `{long}` has 37 UTF-16 units, at most 36 fit")
    );
    let many: Vec<Entry> = (0..129).map(|n| entry("a", 40 + n, 40 + n)).collect();
    assert_eq!(fault(&many), "129 partitions, the table has room for 128");
}

#[test]
fn writes_the_same_table_twice() {
    let table = || {
        let mut disk = Cursor::new(vec![0; 1 << 20]);
        write(&mut disk, SectorSize::B512, Uuid::from_u128(7), &[entry("a", 34, 2014)]).unwrap();
        disk.into_inner()
    };
    assert!(table() == table());
}

#[test]
fn reads_back_what_it_writes() {
    for sector_size in [SectorSize::B512, SectorSize::B4096] {
        let mut disk = Cursor::new(vec![0; 4 << 20]);
        let entries = [entry("root-a", 256, 299), entry("esp", 300, 399)];
        write(&mut disk, sector_size, Uuid::from_u128(3), &entries).unwrap();
        let table = read(&mut disk).unwrap();
        assert_eq!(table, Table { sector_size, entries: entries.to_vec() });
    }
}

#[test]
fn tells_a_damaged_table_from_none() {
    let none = read(&mut Cursor::new(vec![0; 1 << 20])).unwrap_err();
    assert_eq!(
        none.to_string(),
        "there is no GUID partition table, for neither 512 nor 4096 bytes per sector"
    );
    let short = read(&mut Cursor::new(vec![0; 100])).unwrap_err();
    assert_eq!(short.to_string(), none.to_string());
    let mut disk = Cursor::new(vec![0; 1 << 20]);
    write(&mut disk, SectorSize::B512, Uuid::from_u128(3), &[entry("a", 100, 200)]).unwrap();
    for place in [512 + 60, 1024 + 40, (1 << 20) - 512 + 60] {
        let mut damaged = Cursor::new(disk.get_ref().clone());
        damaged.get_mut()[place] ^= 1;
        let fault = read(&mut damaged).unwrap_err();
        assert_eq!(fault.to_string(), "reading the partition table and its backup", "{place}");
    }
}
