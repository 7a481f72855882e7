//! Disk images, read by gdisk, dosfstools and mtools.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod oracle;

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes as Content;
use imgbuild::image::{Image, Partition, Role};
use imgbuild::medium::disk::{DiskContents, DiskLayout, write};
use imgbuild::secure_boot::SecureBoot;
use imgbuild::units::{Arch, Bytes, RootHash, SectorSize, Sha256, Timestamp};

use oracle::run;

const MIB: u64 = 1 << 20;
/// 2026-08-29 04:19:02 UTC.
const TIME: Timestamp = Timestamp(1_787_977_142);

fn image(sector_size: SectorSize, esp: u64) -> Image {
    let sizes = [
        (Role::BiosBoot, 1),
        (Role::Esp, esp),
        (Role::RootA, 64),
        (Role::RootAVerity, 2),
        (Role::RootB, 64),
        (Role::RootBVerity, 2),
    ];
    Image {
        name: "test".into(),
        description: "A disk for tests".into(),
        layout: 1,
        sector_size,
        partitions: sizes.map(|(role, size)| Partition { role, size: Bytes(size * MIB) }).into(),
        command_line: Vec::new(),
        state_minimum: Bytes(0),
        secure_boot: SecureBoot::default(),
    }
}

/// A bundle of known contents in a folder.
struct Bundle {
    folder: tempfile::TempDir,
    esp: Vec<(String, Content)>,
}

impl Bundle {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let noise: Vec<u8> = (0..40 * MIB / 4)
            .flat_map(|n| u32::try_from(n).unwrap().wrapping_mul(0x9e37_79b1).to_le_bytes())
            .collect();
        fs::write(folder.path().join("root.erofs"), &noise).unwrap();
        fs::write(folder.path().join("root.verity"), &noise[..100_000]).unwrap();
        let esp = [
            ("EFI/BOOT/BOOTX64.EFI", Content::from(noise[..124_416].to_vec())),
            ("EFI/Linux/imgbuild_1.efi", Content::from(noise[..13_000_001].to_vec())),
            ("firstboot/node.json", Content::from_static(b"{\"version\":1}\n")),
            ("loader/entries.srel", Content::from_static(b"type1\n")),
            ("loader/loader.conf", Content::from_static(b"timeout 0\n")),
        ];
        Self { folder, esp: esp.map(|(path, content)| (path.to_owned(), content)).into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, image: &Image, out: &Path) -> DiskLayout {
        let contents = DiskContents {
            arch: Arch::Amd64,
            root_hash: RootHash(Sha256::of(b"root")),
            time: TIME,
            root: &self.path("root.erofs"),
            verity: &self.path("root.verity"),
            esp: &self.esp,
            bios: None,
        };
        write(&contents, image, out).unwrap()
    }
}

/// Runs a program whose last argument is a file.
fn check(program: &str, options: &[&str], file: &Path) -> String {
    let mut arguments: Vec<&std::ffi::OsStr> = options.iter().map(std::ffi::OsStr::new).collect();
    arguments.push(file.as_ref());
    run(program, &arguments, &[("TZ", "UTC".as_ref()), ("MTOOLS_SKIP_CHECK", "1".as_ref())])
}

/// Copies one partition out of the disk.
fn cut(disk: &Path, layout: &DiskLayout, label: &str, out: &Path) {
    let placed = layout.partitions.iter().find(|placed| placed.label == label).unwrap();
    let mut disk = fs::File::open(disk).unwrap();
    disk.seek(SeekFrom::Start(placed.first.0 * u64::from(layout.sector_size.bytes()))).unwrap();
    std::io::copy(&mut disk.take(placed.size.0), &mut fs::File::create(out).unwrap()).unwrap();
}

#[test]
fn makes_a_disk_that_gdisk_dosfstools_and_mtools_accept() {
    let bundle = Bundle::new();
    let disk = bundle.path("disk.raw");
    let start = std::time::Instant::now();
    let layout = bundle.write(&image(SectorSize::B512, 64), &disk);
    println!("disk of {} written in {:?}", layout.size, start.elapsed());

    let metadata = fs::metadata(&disk).unwrap();
    assert_eq!(metadata.len(), 199 * MIB);
    assert!(metadata.blocks() * 512 < 60 * MIB, "{} blocks: not sparse", metadata.blocks());

    let verdict = check("sgdisk", &["-v"], &disk);
    assert!(verdict.contains("No problems found"), "{verdict}");
    for (number, placed) in (1..).zip(&layout.partitions) {
        let shown = check("sgdisk", &[&format!("--info={number}")], &disk).to_lowercase();
        let last = placed.first.0 + placed.size.0 / 512 - 1;
        for text in [
            format!("guid code: {}", placed.partition_type),
            format!("unique guid: {}", placed.partuuid),
            format!("first sector: {} ", placed.first.0),
            format!("last sector: {last} "),
            format!("name: '{}'", placed.label),
        ] {
            assert!(shown.contains(&text), "{text}: {shown}");
        }
    }
    let labels: Vec<&str> = layout.partitions.iter().map(|placed| placed.label.as_str()).collect();
    assert_eq!(labels, ["bios-boot", "esp", "root-a", "root-a-verity", "_empty", "_empty"]);

    let bytes = fs::read(&disk).unwrap();
    // Protective MBR: one entry of type 0xee from sector 1 to the end, then the signature.
    assert_eq!(bytes[446..462], [0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0xff, 0x37, 6, 0]);
    assert_eq!(bytes[510..512], [0x55, 0xaa]);
    assert_eq!(&bytes[bytes.len() - 512..][..8], b"EFI PART");

    let root = bundle.path("root-a");
    cut(&disk, &layout, "root-a", &root);
    let expected = fs::read(bundle.path("root.erofs")).unwrap();
    assert!(fs::read(root).unwrap().starts_with(&expected));
}

#[test]
fn makes_an_esp_that_fsck_finds_clean_in_both_sector_sizes() {
    for sector_size in [SectorSize::B512, SectorSize::B4096] {
        let bundle = Bundle::new();
        let (disk, esp) = (bundle.path("disk.raw"), bundle.path("esp"));
        let layout = bundle.write(&image(sector_size, 512), &disk);
        cut(&disk, &layout, "esp", &esp);
        let verdict = check("fsck.vfat", &["-n", "-v"], &esp);
        // Five files, five directories and the root, in fsck's way of counting.
        assert!(verdict.contains(" 11 files,"), "{verdict}");
        assert!(verdict.contains("32 bit entries"), "{verdict}");
        assert!(verdict.contains(&format!("{} bytes per logical sector", sector_size.bytes())), "{verdict}");
        let listing = check("mdir", &["-/", "-b", "-i"], &esp);
        for (path, content) in &bundle.esp {
            assert!(listing.contains(&format!("::/{path}")), "{path}: {listing}");
            let copy = bundle.path("copy");
            let from = format!("::/{path}");
            let arguments = ["-n".as_ref(), "-i".as_ref(), esp.as_os_str(), from.as_ref(), copy.as_ref()];
            run("mcopy", &arguments, &[]);
            assert!(fs::read(&copy).unwrap() == *content, "{path}");
            fs::remove_file(copy).unwrap();
        }
        let detail =
            run("mdir", &["-i".as_ref(), esp.as_ref(), "::/EFI/BOOT".as_ref()], &[("TZ", "UTC".as_ref())]);
        assert!(detail.contains("2026-08-29") && detail.contains("4:19"), "{detail}");
        assert!(detail.contains("Volume in drive : is ESP"), "{detail}");
    }
}

#[test]
fn makes_the_same_disk_twice_and_gives_it_the_callers_permissions() {
    let bundle = Bundle::new();
    let (first, second) = (bundle.path("first.raw"), bundle.path("second.raw"));
    let layouts = [&first, &second].map(|path| bundle.write(&image(SectorSize::B512, 64), path));
    assert_eq!(layouts[0], layouts[1]);
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    let plain = bundle.path("plain");
    fs::write(&plain, "").unwrap();
    assert_eq!(fs::metadata(&first).unwrap().mode(), fs::metadata(&plain).unwrap().mode());
}

#[test]
fn lays_the_backup_of_a_4096_byte_table_at_the_end() {
    let bundle = Bundle::new();
    let disk = bundle.path("disk.raw");
    let layout = bundle.write(&image(SectorSize::B4096, 300), &disk);
    assert_eq!(layout.partitions[0].first.0, 256);
    let bytes = fs::read(&disk).unwrap();
    assert_eq!(&bytes[4096..4104], b"EFI PART");
    assert_eq!(&bytes[bytes.len() - 4096..][..8], b"EFI PART");
    let table = gpt::GptConfig::new().logical_block_size(gpt::disk::LogicalBlockSize::Lb4096);
    let table = table.only_valid_headers(true).open(&disk).unwrap();
    let read: Vec<_> = table.partitions().values().map(|entry| (entry.first_lba, entry.part_guid)).collect();
    let written: Vec<_> = layout.partitions.iter().map(|placed| (placed.first.0, placed.partuuid)).collect();
    assert_eq!(read, written);

    let columns = "--output=Start,Sectors,UUID";
    let shown = check("fdisk", &["--list", "--sector-size=4096", columns], &disk);
    let rows = shown.lines().skip_while(|line| !line.trim_start().starts_with("Start")).skip(1);
    let rows: Vec<String> = rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = layout.partitions.iter().map(|placed| {
        let partuuid = placed.partuuid.to_string().to_uppercase();
        format!("{} {} {partuuid}", placed.first.0, placed.size.0 / 4096)
    });
    assert_eq!(rows, expected.collect::<Vec<_>>());
}
