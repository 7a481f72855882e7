use super::*;

const MIB: u64 = 1 << 20;

fn format(size: u64) -> Format<'static> {
    Format {
        size: Bytes(size),
        sector_size: SectorSize::B512,
        label: "ESP",
        volume_id: 0x1234_abcd,
        time: Timestamp(1_787_977_142),
    }
}

fn files(paths: &[&str]) -> Vec<(String, Vec<u8>)> {
    paths.iter().map(|path| ((*path).to_owned(), path.as_bytes().to_vec())).collect()
}

fn fault(format: &Format<'_>, paths: &[&str]) -> String {
    build(format, &files(paths)).unwrap_err().to_string()
}

#[test]
fn reads_back_what_it_wrote() {
    let paths = ["EFI/BOOT/BOOTX64.EFI", "EFI/Linux/imgbuild_0000001+3.efi", "loader/loader.conf", "ä"];
    let mut volume = build(&format(64 * MIB), &files(&paths)).unwrap();
    volume.rewind();
    let system = FileSystem::new(&mut volume, FsOptions::new()).unwrap();
    assert_eq!((system.fat_type(), system.volume_id()), (fatfs::FatType::Fat32, 0x1234_abcd));
    for path in paths {
        let mut text = String::new();
        let mut file = system.root_dir().open_file(path).unwrap();
        io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert_eq!(text, path);
    }
}

#[test]
fn holds_only_blocks_with_something_in_them() {
    let volume = build(&format(512 * MIB), &files(&["a"])).unwrap();
    assert!(volume.blocks().count() < 10, "{}", volume.blocks().count());
    assert!(volume.blocks().all(|(_, block)| block.iter().any(|byte| *byte != 0)));
}

#[test]
fn repairs_directories_of_several_clusters() {
    let many: Vec<String> =
        (0..200).map(|n| format!("d/a long name that takes three entries {n}/f")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let volume = build(&format(64 * MIB), &files(&many)).unwrap();
    // Every directory of the volume begins with `.`, never with the long name that fatfs gives it.
    let starts = |name: &[u8]| {
        volume
            .blocks()
            .flat_map(|(_, block)| block.chunks(512))
            .filter(|cluster| cluster.starts_with(name))
            .count()
    };
    assert_eq!((starts(b".          "), starts(b"\x41.\0\0\0")), (201, 0));
}

#[test]
fn refuses_sizes_that_are_no_fat32() {
    assert_eq!(
        fault(&format(20 * MIB), &[]),
        "FAT32 with 512-byte sectors needs at least 33 MiB, the partition has 20 MiB"
    );
    let wide = Format { sector_size: SectorSize::B4096, ..format(200 * MIB) };
    assert_eq!(
        fault(&wide, &[]),
        "FAT32 with 4096-byte sectors needs at least 257 MiB, the partition has 200 MiB"
    );
    let huge = format(3 << 40);
    assert_eq!(
        fault(&huge, &[]),
        "FAT32 with 512-byte sectors holds at most 2047.9 GiB, the partition has 3072 GiB"
    );
    for (sector_size, cluster) in
        [(SectorSize::B512, 512), (SectorSize::B512, 4096), (SectorSize::B4096, 4096)]
    {
        let least = least_size(cluster, sector_size.bytes());
        let format = Format { size: least, sector_size, ..format(0) };
        build(&format, &files(&["a"])).unwrap();
    }
}

#[test]
fn refuses_files_that_do_not_fit() {
    let files = [("a".to_owned(), vec![1; 40 * 1024 * 1024])];
    let fault = build(&format(33 * MIB), &files).unwrap_err();
    assert_eq!(fault.to_string(), "files and directories need 40 MiB, the volume has room for 32.4 MiB");
}

#[test]
fn refuses_names_that_fat_cannot_tell() {
    for path in
        ["", "/a", "a/", "a//b", "a/../b", ".", "a:b", "a*", "a\\b", "a.", "a ", "a\nb", &"x".repeat(256)]
    {
        assert_eq!(fault(&format(64 * MIB), &[path]), format!("`{path}` is no path that FAT can hold"));
    }
    for (paths, path, other) in [
        (["EFI/a", "efi/b"], "efi/b", "EFI"),
        (["a", "A"], "A", "a"),
        (["a", "a"], "a", "a"),
        (["a", "a/b"], "a/b", "a"),
        (["a/b", "a"], "a", "a"),
    ] {
        let expected = format!("`{path}` and `{other}` are the same place to FAT");
        assert_eq!(fault(&format(64 * MIB), &paths), expected);
    }
}

#[test]
fn refuses_labels_and_times_that_fat_does_not_know() {
    for label in ["", "TWELVE-CHARS", "esp", "A B"] {
        let format = Format { label, ..format(64 * MIB) };
        assert_eq!(fault(&format, &[]), format!("`{label}` is no volume label: at most 11 of `A-Z 0-9 _ -`"));
    }
    let ancient = Format { time: Timestamp(0), ..format(64 * MIB) };
    assert_eq!(fault(&ancient, &[]), "FAT has no date for 0 s after 1970");
}
