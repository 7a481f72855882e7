use super::*;
use crate::units::Sha256 as Digest;

const MIB: u64 = 1 << 20;

/// An image of the given partitions in MiB.
fn image(partitions: &[(Role, u64)]) -> Image {
    let partitions = partitions.iter().map(|(role, size)| Partition { role: *role, size: Bytes(size * MIB) });
    Image {
        name: "test".into(),
        description: String::new(),
        layout: 1,
        sector_size: SectorSize::B512,
        partitions: partitions.collect(),
        command_line: Vec::new(),
        state_minimum: Bytes(0),
    }
}

/// Writes a disk with a root of `root` bytes and returns the error and what is left in the folder.
fn fault(image: &Image, root: Option<u64>, esp: &[(String, bytes::Bytes)]) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let parts = tempfile::tempdir().unwrap();
    let path = parts.path().join("root.erofs");
    if let Some(root) = root {
        File::create(&path).unwrap().set_len(root).unwrap();
    }
    let verity = parts.path().join("root.verity");
    fs::write(&verity, "tree").unwrap();
    let contents = DiskContents {
        arch: Arch::Arm64,
        root_hash: RootHash(Digest::of(b"")),
        time: Timestamp(1_787_977_142),
        root: &path,
        verity: &verity,
        esp,
        bios: None,
    };
    let fault = write(&contents, image, &folder.path().join("disk.raw")).unwrap_err();
    let mut text = fault.to_string();
    let mut source = std::error::Error::source(&fault);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    let text =
        text.replace(parts.path().to_str().unwrap(), "PARTS").replace(folder.path().to_str().unwrap(), "OUT");
    let left =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    (text, left.collect())
}

#[test]
fn refuses_what_does_not_fit_and_leaves_nothing_behind() {
    let slots = [(Role::RootA, 10), (Role::RootAVerity, 1)];
    let large = [("a".to_owned(), bytes::Bytes::from(vec![1; 40 << 20]))];
    for (partitions, root, esp, expected) in [
        (
            &slots[..],
            Some(8 * MIB + 1),
            &[][..],
            "root-a is 8 MiB, which is more than 80 % of its slot of 10 MiB",
        ),
        (&slots, None, &[], "reading `PARTS/root.erofs`: No such file or directory (os error 2)"),
        (
            &[(Role::RootA, 0)],
            Some(1),
            &[],
            "partition `root-a` has 0 bytes, which is no positive multiple of 1 MiB",
        ),
        (&[(Role::Esp, 40), (Role::Esp, 40)], Some(1), &[], "the image has more than one partition `esp`"),
        (
            &[(Role::Esp, 20)],
            Some(1),
            &[],
            "making the ESP: FAT32 with 512-byte sectors needs at least 33 MiB, the partition has 20 MiB",
        ),
        (
            &[(Role::Esp, 33)],
            Some(1),
            &large,
            "making the ESP: files and directories need 40 MiB, the volume has room for 32.4 MiB",
        ),
        (
            &[(Role::RootA, 1 << 43), (Role::RootB, 1 << 43)],
            Some(1),
            &[],
            "the partitions together are larger than a disk can be",
        ),
    ] {
        assert_eq!(fault(&image(partitions), root, esp), (expected.to_owned(), vec![]));
    }
    let unaligned =
        Image { partitions: vec![Partition { role: Role::RootA, size: Bytes(MIB + 512) }], ..image(&[]) };
    let expected = "partition `root-a` has 1049088 bytes, which is no positive multiple of 1 MiB";
    assert_eq!(fault(&unaligned, Some(1), &[]), (expected.to_owned(), vec![]));
}

#[test]
fn fills_a_slot_to_80_percent_and_shows_no_half_made_file() {
    let folder = tempfile::tempdir().unwrap();
    let (root, verity) = (folder.path().join("root"), folder.path().join("verity"));
    File::create(&root).unwrap().set_len(8 * MIB).unwrap();
    fs::write(&verity, "tree").unwrap();
    let out = folder.path().join("disk.raw");
    fs::write(&out, "what was there before").unwrap();
    let contents = DiskContents {
        arch: Arch::Amd64,
        root_hash: RootHash(Digest::of(b"")),
        time: Timestamp(1_787_977_142),
        root: &root,
        verity: &verity,
        esp: &[],
        bios: None,
    };
    let layout = write(&contents, &image(&[(Role::RootA, 10), (Role::RootAVerity, 1)]), &out).unwrap();
    assert_eq!((layout.size, fs::metadata(&out).unwrap().len()), (Bytes(13 * MIB), 13 * MIB));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "a partial file is left");
    let json = serde_json::to_value(&layout.partitions[0]).unwrap();
    assert_eq!(json["type"], "4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
    assert_eq!(json["partuuid"], "e3b0c442-98fc-1c14-9afb-f4c8996fb924");
    assert_eq!(
        (&json["label"], &json["first"], &json["size"]),
        (&"root-a".into(), &2048.into(), &(10 * MIB).into())
    );
}

#[test]
fn derives_other_guids_from_the_root_hash() {
    let of = |role, root: &[u8]| partuuid(role, RootHash(Digest::of(root)));
    assert_eq!(of(Role::Esp, b"a"), of(Role::Esp, b"a"));
    assert_ne!(of(Role::Esp, b"a"), of(Role::Esp, b"b"));
    assert_ne!(of(Role::RootB, b"a"), of(Role::RootBVerity, b"a"));
    assert_eq!(of(Role::Esp, b"a").get_version_num(), 8);
}
