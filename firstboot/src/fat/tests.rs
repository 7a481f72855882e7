//! Volumes made and judged by the crate `fatfs`, on a disk in memory that loses power.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::*;
use crate::gpt::tests::{Dice, Fate, MemoryDisk, mib};
use crate::gpt::{Disk, Lba, SectorSize};

const STAMP: Stamp = Stamp { date: 0x5af5, time: 0x6000 };

/// A disk as `fatfs` wants it.
pub(crate) struct Stream {
    pub(crate) disk: MemoryDisk,
    position: u64,
}

impl Stream {
    pub(crate) fn new(disk: MemoryDisk) -> Self {
        Self { disk, position: 0 }
    }

    /// The sector at the position, and how many of `wanted` bytes lie in it from there.
    fn sector(&self, wanted: usize) -> io::Result<(Lba, Vec<u8>, usize, usize)> {
        let size = self.disk.sector_size();
        let start = usize::try_from(self.position % size.bytes()).unwrap();
        let mut sector = vec![0; size.in_memory()];
        let at = Lba(self.position / size.bytes());
        if at.0 >= self.disk.sectors() {
            return Ok((at, sector, 0, 0));
        }
        self.disk.read(at, &mut sector)?;
        Ok((at, sector, start, wanted.min(size.in_memory() - start)))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, sector, start, count) = self.sector(buffer.len())?;
        buffer[..count].copy_from_slice(&sector[start..start + count]);
        self.position += u64::try_from(count).unwrap();
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let (at, mut sector, start, count) = self.sector(data.len())?;
        sector[start..start + count].copy_from_slice(&data[..count]);
        self.disk.write(at, &sector)?;
        self.disk.flush()?;
        self.position += u64::try_from(count).unwrap();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::Current(by) => self.position.checked_add_signed(by).unwrap(),
            SeekFrom::End(by) => {
                (self.disk.sectors() * self.disk.sector_size().bytes()).checked_add_signed(by).unwrap()
            }
        };
        Ok(self.position)
    }
}

/// A volume of 40 MiB with clusters of one sector and these files.
pub(crate) fn volume(files: &[(&str, &[u8])]) -> MemoryDisk {
    let size = SectorSize::S512;
    let mut stream = Stream::new(MemoryDisk::new(size, mib(40, size)));
    let options = fatfs::FormatVolumeOptions::new().bytes_per_cluster(512).fat_type(fatfs::FatType::Fat32);
    fatfs::format_volume(&mut stream, options).unwrap();
    stream.position = 0;
    {
        let system = fatfs::FileSystem::new(&mut stream, fatfs::FsOptions::new()).unwrap();
        for (path, content) in files {
            let mut folder = system.root_dir();
            let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
            for part in folders.split('/').filter(|part| !part.is_empty()) {
                folder = folder.create_dir(part).unwrap();
            }
            folder.create_file(name).unwrap().write_all(content).unwrap();
        }
        system.unmount().unwrap();
    }
    stream.disk
}

/// Every file by its path, as `fatfs` sees the volume.
pub(crate) fn files(disk: &MemoryDisk) -> BTreeMap<String, Vec<u8>> {
    fn walk<T: fatfs::ReadWriteSeek>(
        folder: &fatfs::Dir<'_, T>,
        path: &str,
        found: &mut BTreeMap<String, Vec<u8>>,
    ) {
        for entry in folder.iter() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if name == "." || name == ".." {
                continue;
            }
            let path = format!("{path}{name}");
            if entry.is_dir() {
                walk(&entry.to_dir(), &format!("{path}/"), found);
                found.insert(format!("{path}/"), Vec::new());
            } else {
                let mut content = Vec::new();
                entry.to_file().read_to_end(&mut content).unwrap();
                found.insert(path, content);
            }
        }
    }
    let mut found = BTreeMap::new();
    let system = fatfs::FileSystem::new(Stream::new(disk.clone()), fatfs::FsOptions::new()).unwrap();
    walk(&system.root_dir(), "", &mut found);
    found
}

fn content(length: usize, value: u8) -> Vec<u8> {
    (0..length).map(|at| value.wrapping_add(u8::try_from(at % 251).unwrap())).collect()
}

#[test]
fn another_reader_sees_what_was_changed() {
    let old = content(3000, 1);
    let mut disk = volume(&[("EFI/Linux/imgbuild_1.efi", &old), ("grub/a/linux", b"kernel"), ("empty", b"")]);
    let mut fat = Fat::open(&mut disk, STAMP).unwrap();
    assert_eq!(fat.read("efi/LINUX/imgbuild_1.efi").unwrap().as_deref(), Some(old.as_slice()));
    assert_eq!(fat.read_range("EFI/Linux/imgbuild_1.efi", 700, 600).unwrap().unwrap(), old[700..1300]);
    assert_eq!(fat.read_range("EFI/Linux/imgbuild_1.efi", 2990, 600).unwrap().unwrap(), old[2990..]);
    assert_eq!(fat.read("empty").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(fat.read("EFI/none").unwrap(), None);
    assert_eq!(fat.list("nowhere").unwrap(), None);
    let new = content(70_000, 9);
    fat.create("EFI/Linux/imgbuild_2+3.new", &new).unwrap();
    fat.rename("EFI/Linux", "imgbuild_2+3.new", "imgbuild_2+3.efi").unwrap();
    fat.make_folder("grub/b").unwrap();
    fat.create("grub/b/slot.cfg", b"").unwrap();
    fat.replace("grub/a/linux", &content(600, 3)).unwrap();
    fat.replace("grub/b/initrd", b"initrd").unwrap();
    fat.overwrite("EFI/Linux/imgbuild_1.efi", &content(1024, 5)).unwrap();
    fat.remove("empty").unwrap();
    fat.finish().unwrap();
    assert_eq!(fat.reclaim().unwrap(), 0, "nothing is lost on the way");
    let mut overwritten = content(1024, 5);
    overwritten.extend(&old[1024..]);
    let expected: BTreeMap<String, Vec<u8>> = [
        ("EFI/", Vec::new()),
        ("EFI/Linux/", Vec::new()),
        ("EFI/Linux/imgbuild_1.efi", overwritten),
        ("EFI/Linux/imgbuild_2+3.efi", new),
        ("grub/", Vec::new()),
        ("grub/a/", Vec::new()),
        ("grub/a/linux", content(600, 3)),
        ("grub/b/", Vec::new()),
        ("grub/b/initrd", b"initrd".to_vec()),
        ("grub/b/slot.cfg", Vec::new()),
    ]
    .map(|(path, content)| (path.to_owned(), content))
    .into();
    assert!(files(&disk) == expected, "{:?}", files(&disk).keys());
}

#[test]
fn folders_grow_and_names_stay_within_a_sector() {
    let mut disk = volume(&[("d/first", b"1")]);
    let mut fat = Fat::open(&mut disk, STAMP).unwrap();
    let name = |number: usize| format!("d/a name that takes four slots, number {number:02}");
    for number in 0..40 {
        fat.create(&name(number), name(number).as_bytes()).unwrap();
    }
    for number in (0..40).step_by(2) {
        fat.remove(&name(number)).unwrap();
    }
    for number in (0..40).step_by(2) {
        fat.create(&name(number), name(number).as_bytes()).unwrap();
    }
    assert_eq!(fat.reclaim().unwrap(), 0);
    let found = files(&disk);
    assert_eq!(found.len(), 42);
    assert!((0..40).all(|number| found[&name(number)] == name(number).as_bytes()));
}

#[test]
fn what_cannot_be_done_is_named() {
    let mut disk = volume(&[("d/file", b"1")]);
    let mut fat = Fat::open(&mut disk, STAMP).unwrap();
    let shown = |outcome: Result<(), FatError>| outcome.unwrap_err().to_string();
    assert_eq!(shown(fat.create("d/FILE", b"")), "`d/FILE` is there already");
    assert_eq!(shown(fat.create("e/file", b"")), "`e` is not on the FAT volume");
    assert_eq!(shown(fat.create("d/file/x", b"")), "`d/file` is no folder");
    assert_eq!(shown(fat.create("d/a:b", b"")), "`a:b` is no name that can be written");
    assert_eq!(shown(fat.replace("d", b"")), "`d` is no file");
    assert_eq!(shown(fat.overwrite("d/file", b"12")), "`d/file` is no file of that size");
    assert_eq!(shown(fat.remove("d/none")), "`d/none` is not on the FAT volume");
    assert_eq!(shown(fat.rename("d", "none", "other")), "`d/none` is not on the FAT volume");
    fat.create("d/other", b"").unwrap();
    assert_eq!(shown(fat.rename("d", "file", "other")), "`d/other` is there already");
    let large = vec![0; 41 << 20];
    let free = fat.table.free(&fat.geometry) * 512;
    assert_eq!(
        shown(fat.create("large", &large)),
        format!("`large` needs 42991616 bytes, {free} are free on the FAT volume")
    );
}

#[test]
fn other_volumes_are_told_from_damaged_ones() {
    let fault = |at: usize, bytes: &[u8]| {
        let mut disk = volume(&[]);
        let mut sector = [0; 512];
        disk.read(Lba(0), &mut sector).unwrap();
        sector[at..at + bytes.len()].copy_from_slice(bytes);
        disk.write(Lba(0), &sector).unwrap();
        Fat::open(disk, STAMP).unwrap_err().to_string()
    };
    for (at, bytes, expected) in [
        (510, &[0, 0][..], "the FAT volume is damaged: no boot sector at 0"),
        (11, &[0, 16], "the FAT volume has sectors of another size than the disk, which is not supported"),
        (13, &[3], "the FAT volume is damaged: a boot sector with empty fields at 0"),
        (17, &[0, 2], "the FAT volume has tables of FAT12 or FAT16, which is not supported"),
        (
            32,
            &[0, 0, 0, 1],
            "the FAT volume is damaged: a boot sector that tells of more sectors than there are at 0",
        ),
        (36, &[1, 0, 0, 0], "the FAT volume is damaged: a table that is too short at 0"),
        (40, &[0x80], "the FAT volume has tables that do not mirror each other, which is not supported"),
        (44, &[0, 0, 0, 0], "the FAT volume is damaged: a root folder outside at 0"),
    ] {
        assert_eq!(fault(at, bytes), expected, "byte {at}");
    }
}

#[test]
fn damage_ends_in_an_error_and_never_in_a_loop() {
    let clean = volume(&[("EFI/Linux/imgbuild_1.efi", &content(5000, 1)), ("grub/a/linux", b"kernel")]);
    let geometry = Fat::open(clean.clone(), STAMP).unwrap().geometry;
    let mut dice = Dice(11);
    let places = [(geometry.table_at, 2), (geometry.data_at, 40)];
    for _ in 0..400 {
        let mut disk = clean.clone();
        for _ in 0..=dice.below(8) {
            let (at, sectors) = places[usize::try_from(dice.below(2)).unwrap()];
            disk.flip(at * 512 + dice.below(sectors * 512));
        }
        let Ok(mut fat) = Fat::open(disk, STAMP) else { continue };
        // Whatever comes of it, it comes.
        let _ = fat.read("EFI/Linux/imgbuild_1.efi");
        let _ = fat.create("EFI/Linux/new", &content(3000, 2));
        let _ = fat.rename("EFI/Linux", "new", "newer");
        let _ = fat.remove("grub/a/linux");
        let _ = fat.reclaim();
    }
}

/// A change of a volume.
type Change = fn(&mut Fat<MemoryDisk>) -> Result<(), FatError>;

#[test]
fn a_power_cut_leaves_each_change_done_or_undone() {
    let base: &[(&str, &[u8])] = &[
        ("EFI/Linux/imgbuild_1.efi", &content(2000, 1)),
        ("EFI/Linux/imgbuild_2+2-1.efi", &content(2000, 2)),
        ("EFI/Linux/imgbuild_3.efi", b"3"),
        ("grub/a/linux", b"kernel"),
    ];
    let changes: [(&str, Change); 9] = [
        ("create", |fat| fat.create("EFI/Linux/imgbuild_4+3.new", &content(3000, 4))),
        ("create beyond the sector", |fat| {
            fat.create("EFI/Linux/a name of many slots, many, many, many", b"5")
        }),
        ("replace", |fat| fat.replace("grub/a/linux", &content(5000, 7))),
        ("overwrite", |fat| fat.overwrite("grub/a/linux", b"KERNEL")),
        ("make folder", |fat| fat.make_folder("grub/b")),
        ("rename", |fat| fat.rename("EFI/Linux", "imgbuild_3.efi", "imgbuild_4.efi")),
        ("shorten", |fat| fat.rename("EFI/Linux", "imgbuild_2+2-1.efi", "imgbuild_2.efi")),
        ("lengthen", |fat| fat.rename("grub/a", "linux", "a name that is longer")),
        ("remove", |fat| fat.remove("EFI/Linux/imgbuild_2+2-1.efi")),
    ];
    let start = volume(base);
    let before = files(&start);
    let mut dice = Dice(5);
    for (name, change) in changes {
        let run = |operations: Option<usize>| {
            let mut disk = start.clone();
            disk.operations_left = operations;
            let mut fat = Fat::open(disk, STAMP).unwrap();
            let outcome = change(&mut fat);
            (outcome.is_ok(), fat.disk)
        };
        let after = files(&run(None).1);
        assert_ne!(before, after, "{name}");
        let mut seen = [0, 0];
        for operations in 0.. {
            let (is_done, disk) = run(Some(operations));
            for round in 0..12 {
                let fate = |coin: bool| if coin { Fate::Written } else { Fate::Lost };
                let cut = disk.cut(|_| if round < 2 { fate(round == 1) } else { fate(dice.below(2) == 1) });
                let found = files(&cut);
                // A name that does not fit in its place is there twice before the old one goes.
                let is_twice = name == "lengthen"
                    && before.keys().chain(after.keys()).all(|key| found.contains_key(key));
                assert!(
                    found == before || found == after || is_twice,
                    "{name} after {operations} operations: {:?}",
                    found.keys()
                );
                seen[usize::from(found == after)] += 1;
                let mut fat = Fat::open(cut, STAMP).unwrap();
                fat.reclaim().unwrap();
                assert_eq!(files(&fat.disk), found, "{name}: reclaiming takes nothing that is in use");
            }
            if is_done {
                break;
            }
        }
        assert!(seen.iter().all(|count| *count > 0), "{name}: {seen:?}");
    }
}

#[test]
fn a_second_name_of_the_same_file_keeps_its_content() {
    let mut disk = volume(&[("d/one", &content(2000, 1))]);
    let mut fat = Fat::open(&mut disk, STAMP).unwrap();
    let entry = fat.find("d/one").unwrap().unwrap();
    let folder = fat.folder_cluster("d").unwrap().unwrap();
    fat.add(folder, "two", entry.short).unwrap();
    fat.remove("d/one").unwrap();
    assert_eq!(fat.reclaim().unwrap(), 0);
    assert_eq!(fat.read("d/two").unwrap().unwrap(), content(2000, 1));
}

#[test]
fn parts_of_a_lost_name_do_not_hide_the_next_one() {
    let mut disk = volume(&[("d/one", &content(10, 1))]);
    let mut fat = Fat::open(&mut disk, STAMP).unwrap();
    fat.create("d/whose short name is lost", &content(20, 2)).unwrap();
    let lost = fat.find("d/whose short name is lost").unwrap().unwrap();
    fat.patch([(*lost.slots.last().unwrap(), [0; 32])]).unwrap();
    assert_eq!(fat.list("d").unwrap().unwrap().len(), 1);
    fat.create("d/Another one", &content(30, 3)).unwrap();
    assert_eq!(fat.read("d/Another one").unwrap().unwrap(), content(30, 3));
}

#[test]
fn whatever_is_not_in_use_may_be_anything() {
    let long = content(30_000, 3);
    let mut disk =
        volume(&[("EFI/Linux/imgbuild_1.efi", &long), ("grub/a/linux", b"kernel"), ("empty", b"")]);
    let mut fat = Fat::open(&mut disk, STAMP).unwrap();
    fat.remove("grub/a/linux").unwrap();
    fat.create("new", &long).unwrap();
    fat.finish().unwrap();
    let (in_use, free) = (fat.in_use(), fat.free());
    drop(fat);
    let before = files(&disk);
    let sector = disk.sector_size().bytes();
    let size = disk.sectors() * sector;
    assert!(in_use.windows(2).all(|pair| pair[0].end < pair[1].start), "{in_use:?}");
    let used: u64 = in_use.iter().map(|range| range.end - range.start).sum();
    assert!(used < size / 2, "{used} of {size}");
    let ends = [0].into_iter().chain(in_use.iter().map(|range| range.end));
    let starts = in_use.iter().map(|range| range.start).chain([size]);
    for (end, start) in ends.zip(starts) {
        for at in end / sector..start / sector {
            disk.write(Lba(at), &vec![0xa5; disk.sector_size().in_memory()]).unwrap();
        }
    }
    assert_eq!(files(&disk), before);
    let mut fat = Fat::open(&mut disk, STAMP).unwrap();
    assert_eq!((fat.free(), fat.reclaim().unwrap()), (free, 0));
}
