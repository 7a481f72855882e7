//! Sticks that are written: good ones, counterfeit ones, ones that are pulled, and the disks beside them.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use firstboot::fat::{Fat, Stamp};
use firstboot::gpt::{self, BlockDisk, Lba, SectorSize as DiskSector, Window};
use firstboot::source::Item;

use super::*;
use crate::flash::write::Medium;
use crate::image::Role;
use crate::medium::staging::tests::sample::Sample;
use crate::units::{SectorSize, Sha256};

const MB: u64 = 1 << 20;
const RECORD: &str = "a node record, signed";
const TICKET: &str = "a ticket";

fn ids(first: u64) -> OwnIds {
    OwnIds { disk: gpt::Guid::from_random([1; 16]), esp: (first, gpt::Guid::from_random([2; 16])) }
}

/// The image of a sample with what a node is given, for a stick of this size.
fn composed(sample: &Sample, size: u64) -> Composed {
    let image = File::open(sample.path()).unwrap();
    let esp = sample.manifest.partition(Role::Esp).unwrap();
    let first = esp.first.0 * 512;
    let mut composed = Composed::new(image, DiskSector::S512, Bytes(size), ids(first)).unwrap();
    for (role, used) in [(Role::RootA, &sample.root), (Role::RootAVerity, &sample.tree)] {
        let first = sample.manifest.partition(role).unwrap().first.0 * 512;
        composed.keep(first..first + Bytes::of(used).0);
    }
    let items = [(Item::Record, RECORD), (Item::Ticket, TICKET)];
    composed.give((first, esp.size), Stamp::from_unix(1_787_977_142), &items).unwrap();
    composed
}

fn sample() -> Sample {
    Sample::all(SectorSize::B512).remove(0)
}

/// What was written: that the table fits, and what the node is given.
fn judge(path: &Path, sample: &Sample) {
    let file = File::open(path).unwrap();
    let disk = BlockDisk::over(file, DiskSector::S512).unwrap();
    let copies = gpt::read(&disk).unwrap();
    assert_eq!((copies.primary, copies.backup), (gpt::CopyState::Good, gpt::CopyState::Good));
    assert!(!copies.table.is_misfit(gpt::Disk::sectors(&disk)));
    let esp = sample.manifest.partition(Role::Esp).unwrap();
    let volume = Window::new(disk, Lba(esp.first.0), esp.size.0 / 512);
    let volume = Fat::open(volume, Stamp::from_unix(1_787_977_142)).unwrap();
    for (item, text) in [(Item::Record, RECORD), (Item::Ticket, TICKET)] {
        assert_eq!(volume.read(item.esp_file()).unwrap().as_deref(), Some(text.as_bytes()));
    }
    assert!(volume.read("EFI/BOOT/BOOTX64.EFI").unwrap().is_some());
    // Nothing of another time is in its tables.
    let mut volume = volume;
    assert_eq!(volume.reclaim().unwrap(), 0);
    let written = fs::read(path).unwrap();
    for (role, content) in [(Role::RootA, &sample.root), (Role::RootAVerity, &sample.tree)] {
        let start = usize::try_from(sample.manifest.partition(role).unwrap().first.0 * 512).unwrap();
        assert!(written[start..].starts_with(content), "{}", role.name());
    }
    // Two sticks of one image are told apart, and root is found by its hash.
    let table = copies.table;
    assert_eq!(table.disk_id, ids(0).disk);
    for (_, entry) in table.entries() {
        let is_esp = entry.extent.first == Lba(esp.first.0);
        assert_eq!(entry.id == ids(0).esp.1, is_esp, "{}", entry.name);
        let root = sample.manifest.partition(Role::RootA).unwrap();
        let is_root = entry.extent.first == Lba(root.first.0);
        assert_eq!(entry.id.to_string() == root.partuuid.to_string(), is_root, "{}", entry.name);
    }
}

#[test]
fn a_stick_gets_the_image_its_node_and_a_table_of_its_own_size_and_nothing_else_is_touched() {
    let sample = sample();
    let size = fs::metadata(sample.path()).unwrap().len() + 24 * MB;
    let mut computer = Computer::new();
    let places = [STICK, STICK2, SATA, NVME];
    let names = ["sdb", "sdc", "sda", "nvme0n1"];
    fs::create_dir(computer.path().join("dev")).unwrap();
    for (name, place) in names.into_iter().zip(places) {
        computer.disk(name, place, size).with(&[("removable", "1")]);
        // What lay there before.
        let old: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        fs::write(computer.path().join("dev").join(name), old).unwrap();
    }
    let digest = |name: &str| Sha256::of(&fs::read(computer.path().join("dev").join(name)).unwrap());
    let before: Vec<_> = names.iter().map(|name| digest(name)).collect();
    let device = computer.all().into_iter().find(|device| device.name == "sdb").unwrap();
    let image = composed(&sample, size);
    let target = Target::open(computer.path(), &device, &|| true).unwrap();
    let told = RefCell::new([0, 0]);
    let total = target
        .write(&image, &image.sections().unwrap(), &mut |step, done| {
            told.borrow_mut()[usize::from(step == Step::Reading)] += done.0;
            true
        })
        .unwrap();
    assert_eq!(told.into_inner(), [total.0, total.0]);
    assert!(total.0 < size / 2, "holes are not written: {total} of {}", Bytes(size));
    judge(&computer.path().join("dev/sdb"), &sample);
    for (name, before) in names.iter().zip(before) {
        assert_eq!(digest(name) == before, *name != "sdb", "{name}");
    }
    // Nothing of the marks is left: what is no section is as it was.
    let (written, mut end) = (fs::read(computer.path().join("dev/sdb")).unwrap(), 0);
    let mut zeros = 0;
    for section in image.sections().unwrap() {
        for at in end..section.start {
            let byte = written[usize::try_from(at).unwrap()];
            assert!(byte == u8::try_from(at % 251).unwrap() || byte == 0, "at {at}");
            zeros += usize::from(byte == 0 && at % 251 != 0);
        }
        end = section.end;
    }
    assert!(zeros <= 64 * 4096, "{zeros}");
}

#[test]
fn another_disk_of_the_same_name_is_not_written() {
    let mut computer = Computer::new();
    computer.disk("sdb", STICK, 64 * MB);
    fs::create_dir(computer.path().join("dev")).unwrap();
    let device = computer.all().remove(0);
    let open = || Target::open(computer.path(), &device, &|| true).map(drop).unwrap_err().to_string();
    assert_eq!(open(), "opening `/dev/sdb`");
    fs::write(computer.path().join("dev/sdb"), vec![1; 65 << 20]).unwrap();
    assert_eq!(open(), "`/dev/sdb` is another disk than the one that was shown");
}

#[test]
fn a_file_is_a_disk_and_stays_sparse() {
    let (sample, folder) = (sample(), tempfile::tempdir().unwrap());
    let size = fs::metadata(sample.path()).unwrap().len();
    let path = folder.path().join("edge1.img");
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    let target = Target::file(file, &path, Bytes(size)).unwrap();
    let image = composed(&sample, size);
    let written = target.write(&image, &image.sections().unwrap(), &mut |_, _| true).unwrap();
    judge(&path, &sample);
    // Nor are there marks where nothing can be counterfeit.
    let data = crate::bundle::sparse::sections(&File::open(&path).unwrap(), Bytes(size)).unwrap();
    let data: u64 = data.iter().map(|range| range.end - range.start).sum();
    assert!(data <= written.0 + (1 << 20), "{data} of {written}");
}

/// Memory that says of itself what it likes.
struct Stick {
    memory: RefCell<Vec<u8>>,
    /// What lies beyond is taken, and kept nowhere.
    real: u64,
    /// Or it is written over what lies at the beginning.
    wraps: bool,
    /// Pulled after so many writes.
    writes_left: Cell<u32>,
    /// A byte that is kept as another one.
    rotten: Option<u64>,
}

impl Stick {
    fn good(size: u64) -> Self {
        let memory = RefCell::new(vec![0xaa; usize::try_from(size).unwrap()]);
        Self { memory, real: size, wraps: false, writes_left: Cell::new(u32::MAX), rotten: None }
    }

    fn place(&self, at: u64) -> Option<usize> {
        let place = if self.wraps { at % self.real } else { at };
        (place < self.real).then(|| usize::try_from(place).unwrap())
    }
}

impl Medium for Stick {
    fn put(&self, data: &[u8], at: u64) -> io::Result<()> {
        let left = self.writes_left.get().checked_sub(1).ok_or_else(|| io::Error::from_raw_os_error(5))?;
        self.writes_left.set(left);
        let mut memory = self.memory.borrow_mut();
        for (at, byte) in (at..).zip(data) {
            if let Some(place) = self.place(at) {
                memory[place] = if self.rotten == Some(at) { !byte } else { *byte };
            }
        }
        Ok(())
    }

    fn get(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let memory = self.memory.borrow();
        for (at, byte) in (at..).zip(buffer) {
            *byte = self.place(at).map_or(0, |place| memory[place]);
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn write(stick: Stick, size: u64, sample: &Sample) -> Result<Bytes, WriteError> {
    let target =
        Target { medium: stick, path: PathBuf::from("/dev/sdb"), size: Bytes(size), is_fresh: false };
    let image = composed(sample, size);
    target.write(&image, &image.sections().unwrap(), &mut |_, _| true)
}

#[test]
fn sticks_that_lie_rot_or_go_are_told_apart() {
    let sample = sample();
    let image = fs::metadata(sample.path()).unwrap().len();
    let size = image + 64 * MB;
    write(Stick::good(size), size, &sample).unwrap();
    for wraps in [false, true] {
        // Room for the image, and no more than that; and not even for the image.
        for (real, is_told) in [(image + MB, true), (image, true), (image / 2, wraps)] {
            let fault = write(Stick { real, wraps, ..Stick::good(size) }, size, &sample).unwrap_err();
            let text = fault.to_string();
            assert!(matches!(fault, WriteError::Counterfeit { .. } | WriteError::Differs { .. }), "{text}");
            if is_told && real >= image {
                assert!(matches!(fault, WriteError::Counterfeit { .. }), "{real} {wraps}: {text}");
            }
            assert!(fault.hint().unwrap().contains("throw it away"));
        }
    }
    let esp = sample.manifest.partition(Role::Esp).unwrap().first.0 * 512;
    let rotten = Stick { rotten: Some(esp + 3), ..Stick::good(size) };
    let expected = format!("`/dev/sdb` reads back at byte {} as something else than was written", esp + 3);
    assert_eq!(write(rotten, size, &sample).unwrap_err().to_string(), expected);
    for writes in [0, 10, 66] {
        let pulled = Stick { writes_left: Cell::new(writes), ..Stick::good(size) };
        let fault = write(pulled, size, &sample).unwrap_err();
        assert!(matches!(&fault, WriteError::Disk { action: "writing", .. }), "{writes}: {fault}");
    }
}

#[test]
fn whoever_stops_it_is_told_that_the_stick_is_none() {
    let sample = sample();
    let size = fs::metadata(sample.path()).unwrap().len() + 8 * MB;
    let (medium, path) = (Stick::good(size), PathBuf::from("/dev/sdb"));
    let target = Target { medium, path, size: Bytes(size), is_fresh: false };
    let mut pieces = 0;
    let mut told = |_, _: Bytes| {
        pieces += 1;
        pieces < 3
    };
    let image = composed(&sample, size);
    let fault = target.write(&image, &image.sections().unwrap(), &mut told).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "writing `/dev/sdb` was interrupted: it is not finished, and cannot be used"
    );
}

#[test]
fn an_image_that_does_not_fit_is_refused() {
    let sample = sample();
    let image = File::open(sample.path()).unwrap();
    let fault = Composed::new(image, DiskSector::S512, Bytes(8 * MB), ids(0)).unwrap_err();
    assert!(fault.to_string().starts_with("the partition table does not fit a disk of 8 MiB"), "{fault}");
    let none = tempfile::tempfile().unwrap();
    none.set_len(64 * MB).unwrap();
    let fault = Composed::new(none, DiskSector::S512, Bytes(64 * MB), ids(0)).unwrap_err();
    assert_eq!(fault.to_string(), "the disk image has no good partition table");
}

/// Two MiB of something, a hole, and something at the end; with a table where it is asked for.
fn unknown(has_table: bool) -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(20 * MB + 300).unwrap();
    file.write_all_at(&vec![7; 2 << 20], 4 * MB).unwrap();
    file.write_all_at(b"end", 20 * MB + 297).unwrap();
    if has_table {
        file.set_len(20 * MB).unwrap();
        let mut disk = BlockDisk::over(file.try_clone().unwrap(), DiskSector::S512).unwrap();
        let mut table = gpt::Table::new(ids(0).disk, DiskSector::S512, 20 * MB / 512).unwrap();
        let extent = gpt::Extent { first: Lba(2048), last: Lba(20_000) };
        let (kind, id) = (ids(0).disk, ids(0).esp.1);
        table.add(gpt::Entry { kind, id, extent, attributes: 0, name: gpt::Name::new("a") }).unwrap();
        gpt::write(&mut disk, &table).unwrap();
    }
    file
}

#[test]
fn an_image_of_which_nothing_is_known_comes_with_its_zeros() {
    let size = 32 * MB;
    for has_table in [false, true] {
        let image = unknown(has_table);
        let composed = Composed::unknown(image.try_clone().unwrap(), DiskSector::S512, Bytes(size)).unwrap();
        let mut steps = Vec::new();
        let medium = Stick::good(size);
        let target = Target { medium, path: PathBuf::from("/dev/sdb"), size: Bytes(size), is_fresh: false };
        target
            .write(&composed, &composed.sections().unwrap(), &mut |step, _| {
                steps.push(step);
                true
            })
            .unwrap();
        steps.dedup();
        assert_eq!(steps, [Step::Clearing, Step::Writing, Step::Reading]);
        let written = target.medium.memory.into_inner();
        let mut expected = vec![0; usize::try_from(image.metadata().unwrap().len()).unwrap()];
        image.read_exact_at(&mut expected, 0).unwrap();
        if has_table {
            let path = tempfile::NamedTempFile::new().unwrap();
            fs::write(path.path(), &written).unwrap();
            let disk = BlockDisk::over(path.reopen().unwrap(), DiskSector::S512).unwrap();
            let copies = gpt::read(&disk).unwrap();
            assert_eq!((copies.primary, copies.backup), (gpt::CopyState::Good, gpt::CopyState::Good));
            assert_eq!(copies.table.entries().count(), 1);
            // All but the table and its old copy is as it was.
            assert!(written[1 << 20..][..18 << 20] == expected[1 << 20..][..18 << 20]);
            let old = usize::try_from(20 * MB - 512).unwrap();
            assert!(written[old..][..512].iter().all(|byte| *byte == 0));
        } else {
            assert!(written.starts_with(&expected));
        }
        // Behind the image lie marks no more, and what was there before.
        let behind = &written[21 << 20..31 << 20];
        assert!(behind.iter().all(|byte| matches!(byte, 0 | 0xaa)));
        let zeros: usize = behind.iter().map(|byte| usize::from(*byte == 0)).sum();
        assert!(zeros <= 64 * 4096, "{zeros}");
    }
}

#[test]
fn the_end_of_a_table_that_was_cut_off_is_no_place_to_write_zeros() {
    let image = unknown(true);
    image.set_len(19 * MB).unwrap();
    image.write_all_at(b"kept", 19 * MB - 512).unwrap();
    let fault = Composed::unknown(image, DiskSector::S512, Bytes(32 * MB)).map(|composed| {
        let mut sector = [0; 512];
        composed.read_at(19 * MB - 512, &mut sector).unwrap();
        sector[..4].to_vec()
    });
    assert_eq!(fault.unwrap(), b"kept");
}
