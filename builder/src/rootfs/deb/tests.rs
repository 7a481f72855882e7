use std::io::Cursor;

use proptest::prelude::*;
use tar::EntryType;

use super::*;
use crate::derived::{Memory, NoCache};
use crate::diagnostic::chain;
use crate::rootfs::sample::{Item, ar, compress, deb, deb_with, open_tar, stanza, tar};
use crate::rootfs::stream::StreamFault;
use crate::tree::Metadata;

fn parse(file: Vec<u8>) -> Result<Deb, Fault> {
    Deb::parse(Cursor::new(file), &|_| true)
}

fn paths(deb: &Deb) -> Vec<&str> {
    deb.entries.iter().map(|(path, _)| path.as_str()).collect()
}

fn content<'deb>(deb: &'deb Deb, path: &str) -> &'deb Bytes {
    let found = deb.entries.iter().find(|(here, _)| here == path);
    match found.map(|(_, entry)| &entry.kind) {
        Some(Kind::File(content)) => content,
        other => panic!("`{path}` is {other:?}"),
    }
}

#[test]
fn reads_members_in_every_compression() {
    let control = tar(&[Item::file("./control", stanza("sample").as_bytes())]);
    let data = tar(&[Item::directory("./"), Item::file("./usr/bin/sample", b"run")]);
    for suffix in ["", ".gz", ".xz", ".zst"] {
        let file = ar(&[
            ("debian-binary", b"2.0\n"),
            (&format!("control.tar{suffix}/"), &compress(suffix, &control)),
            ("_signature", b"for others"),
            (&format!("data.tar{suffix}"), &compress(suffix, &data)),
        ]);
        let deb = parse(file).unwrap_or_else(|fault| panic!("{suffix}: {}", chain(&fault)));
        assert_eq!(deb.control.package, "sample", "{suffix}");
        assert_eq!(content(&deb, "usr/bin/sample"), "run", "{suffix}");
    }
}

#[test]
fn keeps_owners_modes_links_and_control_files() {
    let data = [
        Item::directory("./"),
        Item::directory("./usr/").mode(0o755),
        Item::file("./usr/su", b"switch").mode(0o104_755),
        Item::file("./usr/write", b"tell").mode(0o2755).owned(0, 5),
        Item::symlink("./usr/link", "/etc/target"),
        Item::hard_link("./usr/again", "./usr/su"),
    ];
    let control = [
        ("postinst", "#!/bin/sh\n"),
        ("triggers", "activate-noawait ldconfig\n"),
        ("conffiles", "/etc/one\nremove-on-upgrade /etc/gone\n/etc/two\n"),
        ("md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/su\n"),
        ("shlibs", "libx 1 x\n"),
    ];
    let deb = parse(deb_with("sample", &control, &data)).unwrap();
    let metadata = |path| deb.entries.iter().find(|(here, _)| here == path).map(|(_, entry)| entry.metadata);
    assert_eq!(paths(&deb), ["usr", "usr/su", "usr/write", "usr/link", "usr/again"]);
    assert_eq!(metadata("usr/su"), Some(Metadata::root(0o4755)));
    assert_eq!(metadata("usr/write"), Some(Metadata { mode: 0o2755, uid: 0, gid: 5 }));
    assert_eq!(metadata("usr/again"), Some(Metadata::root(0o4755)));
    assert_eq!(deb.entries[3].1.kind, Kind::Symlink("/etc/target".to_owned()));
    assert_eq!(content(&deb, "usr/again").as_ptr(), content(&deb, "usr/su").as_ptr(), "contents are shared");
    assert_eq!(deb.scripts.keys().collect::<Vec<_>>(), [&ScriptKind::Postinst, &ScriptKind::Triggers]);
    assert_eq!(deb.scripts[&ScriptKind::Postinst], b"#!/bin/sh\n");
    assert_eq!(deb.conffiles, ["etc/one", "etc/two"]);
    assert_eq!(deb.md5sums, "d41d8cd98f00b204e9800998ecf8427e  usr/su\n");
    assert_eq!(deb.control.stanza, stanza("sample"));
    assert_eq!(deb.control.field("description"), Some("sample"));
}

#[test]
fn a_kept_hard_link_outlives_its_excluded_target() {
    let data = [
        Item::file("./zone/Etc/UTC", b"utc"),
        Item::hard_link("./zone/UCT", "./zone/Etc/UTC"),
        Item::hard_link("./zone/UTC", "./zone/UCT"),
    ];
    let deb = Deb::parse(Cursor::new(deb("sample", &data)), &|path| path == "zone/UTC").unwrap();
    assert_eq!(paths(&deb), ["zone/UTC"]);
    assert_eq!(content(&deb, "zone/UTC"), "utc");
}

#[test]
fn reads_long_names_of_both_kinds() {
    let long = format!("./{}/{}", "d".repeat(120), "f".repeat(140));
    for extension in [Item::long_name(&long), Item::pax("path", &long)] {
        let deb = parse(deb("sample", &[extension, Item::file("./short", b"x")])).unwrap();
        assert_eq!(paths(&deb), [&long[2..]]);
    }
}

#[test]
fn refuses_what_no_package_may_hold() {
    let special = |path: &str, kind| vec![Item::new(path, kind)];
    let cases: Vec<(Vec<Item>, &str)> = vec![
        (vec![Item::file("/etc/passwd", b"")], "entry at byte 0: path `/etc/passwd` is absolute"),
        (vec![Item::file("./../etc/passwd", b"")], "entry at byte 0: path `./../etc/passwd` is not plain"),
        (vec![Item::directory("./a/../../b/")], "entry at byte 0: path `./a/../../b/` is not plain"),
        (vec![Item::file("./a//b", b"")], "entry at byte 0: path `./a//b` is not plain"),
        (vec![Item::file("./a\nb\x1b[2J", b"")], "entry at byte 0: path `./a\\u{a}b\\u{1b}[2J` is not plain"),
        (
            vec![Item::symlink("./a", "b\nc")],
            "entry at byte 0: `a` is a symbolic link to `b\\u{a}c`, which is no plain text",
        ),
        (vec![Item::file(b"./\xff", b"")], "entry at byte 0: path `./\u{fffd}` is no UTF-8"),
        (
            special("./dev/sda", EntryType::Block),
            "entry at byte 0: `dev/sda` is a block device, which no image holds",
        ),
        (
            special("./dev/null", EntryType::Char),
            "entry at byte 0: `dev/null` is a character device, which no image holds",
        ),
        (
            special("./run/x", EntryType::Fifo),
            "entry at byte 0: `run/x` is a named pipe, which no image holds",
        ),
        (special("./x", EntryType::Continuous), "entry at byte 0: `x` has the unsupported type '7'"),
        (
            vec![Item::directory("./usr/"), Item::hard_link("./usr/a", "./usr/b")],
            "entry at byte 512: `usr/a` is a hard link to `usr/b`, which is no file before it",
        ),
        (
            vec![Item::hard_link("./a", "../../etc/shadow")],
            "entry at byte 0: path `../../etc/shadow` is not plain",
        ),
        (vec![Item::symlink("./a", "")], "entry at byte 0: `a` is a symbolic link without a target"),
        (vec![Item::file("./a", b"1"), Item::file("./a", b"2")], "entry at byte 1024: `a` is there twice"),
        (
            vec![Item::pax("SCHILY.xattr.security.capability", "x"), Item::file("./ping", b"")],
            "entry at byte 1024: `ping` has the unsupported attribute `SCHILY.xattr.security.capability`",
        ),
        (vec![Item::file("./a", b"1").owned(1 << 40, 0)], "entry at byte 0: `a` has an unusable owner"),
        (
            vec![Item::file("./a", b"1").claiming(4096)],
            "entry at byte 0: `a` claims 4096 bytes, the archive has 1536 more",
        ),
        (
            vec![Item::file("./a", b"1").claiming(1 << 40)],
            "entry at byte 0: `a` claims 1099511627776 bytes, at most 1073741824 may follow",
        ),
    ];
    for (data, expected) in cases {
        let fault = parse(deb("sample", &data)).unwrap_err();
        assert_eq!(chain(&fault), format!("reading member `data.tar.xz`: {expected}"));
    }
}

#[test]
fn refuses_archives_that_were_cut_off() {
    let control = tar(&[Item::file("./control", stanza("sample").as_bytes())]);
    let with_data =
        |data: &[u8]| ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", data)]);
    let whole = tar(&[Item::file("./a", b"1"), Item::file("./b", b"2")]);
    for (data, expected) in [
        (&whole[..0], "reading member `data.tar`: the tar archive ends at byte 0 without an end mark"),
        (&whole[..1024], "reading member `data.tar`: the tar archive ends at byte 1024 without an end mark"),
        (
            &whole[..1536],
            "reading member `data.tar`: entry at byte 1024: `b` claims 1 bytes, the archive has 0 more",
        ),
    ] {
        assert_eq!(chain(&parse(with_data(data)).unwrap_err()), expected);
    }
    let fault = parse(with_data(&whole[..1100])).unwrap_err();
    assert!(
        chain(&fault).starts_with("reading member `data.tar`: no valid tar header before byte"),
        "{}",
        chain(&fault)
    );
    let mut wrong = open_tar(&[Item::file("./a", b"1")]);
    wrong[0] ^= 1;
    assert_eq!(
        chain(&parse(with_data(&wrong)).unwrap_err()),
        "reading member `data.tar`: no valid tar header before byte 0: archive header checksum mismatch"
    );
}

#[test]
fn refuses_damaged_containers() {
    let version: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    let control = tar(&[Item::file("./control", stanza("sample").as_bytes())]);
    let control: (&str, &[u8]) = ("control.tar", &control);
    let data = tar(&[]);
    let data: (&str, &[u8]) = ("data.tar", &data);
    let whole = ar(&[version, control, data]);
    let mut no_header = whole.clone();
    no_header[8 + 58] = b'?';
    let mut signed_size = whole.clone();
    signed_size[8 + 48] = b'+';
    for (file, expected) in [
        (
            b"PK\x03\x04".to_vec(),
            "the file begins with [50, 4b, 03, 04], not with the magic of an ar archive",
        ),
        (Vec::new(), "the file begins with [], not with the magic of an ar archive"),
        (whole[..100].to_vec(), "the file ends at byte 100, inside the member header at byte 72"),
        (
            whole[..whole.len() - 1].to_vec(),
            "member `data.tar` at byte 2240 has 1024 bytes, the file only 1023 more",
        ),
        (no_header, "no member header at byte 8"),
        (signed_size, "no member header at byte 8"),
        (ar(&[control, data]), "no member `debian-binary` where deb(5) puts it"),
        (ar(&[version, data]), "no member `control.tar` where deb(5) puts it"),
        (ar(&[version, control]), "no member `data.tar` where deb(5) puts it"),
        (ar(&[version]), "no member `control.tar` where deb(5) puts it"),
        (ar(&[("debian-binary", b"3.0\n"), control, data]), "the format version is \"3.0\\n\", not 2.x"),
        (ar(&[version, control, control, data]), "a second `control.tar` at byte 2240"),
        (ar(&[version, control, data, control]), "a second `control.tar` at byte 3324"),
        (ar(&[version, control, data, data]), "a second `data.tar` at byte 3324"),
        (
            ar(&[version, ("control.tar.bz2", b"BZh9")]),
            "member `control.tar.bz2` has an unknown compression: `.xz`, `.zst`, `.gz` or none are known",
        ),
    ] {
        assert_eq!(chain(&parse(file).unwrap_err()), expected);
    }
}

#[test]
fn refuses_damaged_compression() {
    let control = tar(&[Item::file("./control", stanza("sample").as_bytes())]);
    let noise: Vec<u8> =
        (0..40_000_u32).map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let data = tar(&[Item::file("./noise", &noise)]);
    for suffix in [".gz", ".xz", ".zst"] {
        let name = format!("data.tar{suffix}");
        let with_data =
            |data: &[u8]| ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), (&name, data)]);
        let good = compress(suffix, &data);
        let mut flipped = good.clone();
        // In the checksum at the end, which a reader that stops at the tar's end never sees.
        let in_checksum = match suffix {
            ".gz" => good.len() - 8,
            ".xz" => good.len() - 40,
            _ => good.len() - 1,
        };
        flipped[in_checksum] ^= 1;
        for (case, bad) in
            [("cut", &good[..good.len() / 2]), ("flipped", &flipped), ("foreign", b"not compressed")]
        {
            let fault = parse(with_data(bad)).unwrap_err();
            assert!(
                matches!(&fault, Fault::Stream { member, fault: StreamFault::Damaged { .. } } if *member == name),
                "{suffix} {case}: {}",
                chain(&fault)
            );
        }
    }
}

#[test]
fn refuses_decompression_bombs() {
    let zeroes = vec![0; (CONTROL_LIMIT.0 + 1).try_into().unwrap()];
    let file = ar(&[("debian-binary", b"2.0\n"), ("control.tar.xz", &compress(".xz", &zeroes))]);
    assert_eq!(
        chain(&parse(file).unwrap_err()),
        "decompressing member `control.tar.xz`: more than 16 MiB come out"
    );
}

#[test]
fn refuses_senseless_control_information() {
    let with_control = |files: &[Item]| {
        ar(&[("debian-binary", b"2.0\n"), ("control.tar", &tar(files)), ("data.tar", &tar(&[]))])
    };
    let with_stanza = |text: &str| with_control(&[Item::file("./control", text.as_bytes())]);
    let whole = stanza("sample");
    for (file, expected) in [
        (with_control(&[Item::file("./postinst", b"")]), "no file `control` in member `control.tar`"),
        (
            with_control(&[Item::file("./control", b"a: b\n"), Item::file("./control", b"a: b\n")]),
            "reading member `control.tar`: entry at byte 1024: `control` is there twice",
        ),
        (
            with_control(&[Item::file("./control", b"Package: \xff\n")]),
            "control file `control` is no UTF-8 text at byte 9",
        ),
        (with_stanza("Version: 1\n"), "the control stanza has no field `Package`"),
        (with_stanza(""), "line 1 of the control stanza is no field: \"\""),
        (
            with_stanza(&format!("{whole}version: 2\n")),
            "line 6 of the control stanza repeats field `version`",
        ),
        (with_stanza(&format!("{whole}\n{whole}")), "line 6 of the control stanza is no field: \"\""),
        (
            with_stanza(&whole.replace("sample\n", "../../etc\n")),
            "field `Package` of the control stanza is \"../../etc\"",
        ),
        (with_stanza(&whole.replace("1.0", "1 0")), "field `Version` of the control stanza is \"1 0\""),
    ] {
        assert_eq!(chain(&parse(file).unwrap_err()), expected);
    }
}

#[test]
fn reads_a_copy_as_it_reads_the_package() {
    let data = [
        Item::directory("./"),
        Item::file("./usr/bin/sample", b"run"),
        Item::hard_link("./usr/bin/other", "./usr/bin/sample"),
        Item::file("./usr/share/doc/sample", b"read"),
    ];
    let package = deb_with("sample", &[("postinst", "#!/bin/sh\n"), ("conffiles", "/etc/sample\n")], &data);
    let cache = Memory::default();
    let read = |keep: &dyn Fn(&str) -> bool, open: Option<&[u8]>| {
        let open = || Ok(Cursor::new(open.expect("a copy was kept")));
        copy::read_through(&cache, Sha256::of(&package), keep, open)
    };
    // Read a second time for the hard link: the copy is whole nevertheless.
    let other = |path: &str| path != "usr/bin/sample";
    let first = read(&other, Some(&package)).unwrap();
    assert_eq!(cache.0.lock().unwrap().len(), 1);
    let keeps: [&dyn Fn(&str) -> bool; 2] = [&other, &|_| true];
    for keep in keeps {
        let (copy, deb) = (read(keep, None).unwrap(), Deb::parse(Cursor::new(&package), keep).unwrap());
        assert_eq!(copy.entries, deb.entries);
        assert_eq!((copy.control, copy.scripts), (deb.control, deb.scripts));
        assert_eq!((copy.conffiles, copy.md5sums), (deb.conffiles, deb.md5sums));
    }
    assert_eq!(content(&first, "usr/bin/other"), &b"run"[..]);
    cache.0.lock().unwrap().values_mut().for_each(|kept| kept.truncate(100));
    assert_eq!(read(&other, Some(&package)).unwrap().entries, first.entries);
}

#[test]
fn keeps_no_copy_of_what_can_not_be_read_or_is_read_as_fast() {
    let cache = Memory::default();
    let read = |package: &[u8]| {
        copy::read_through(&cache, Sha256::of(package), &|_| true, || Ok(Cursor::new(package)))
    };
    let package = deb("sample", &[Item::file("./sample", b"run")]);
    read(&package[..package.len() - 8]).unwrap_err();
    let control = tar(&[Item::file("./control", stanza("sample").as_bytes())]);
    read(&ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", &compress(".xz", &control)),
        ("data.tar.zst", &compress(".zst", &tar(&[]))),
    ]))
    .unwrap();
    assert!(cache.0.lock().unwrap().is_empty());
}

#[test]
fn names_the_file_that_cannot_be_read() {
    let path = Path::new("/nonexistent/x.deb");
    let fault = Deb::read(path, Sha256::of(b""), &|_| true, &NoCache).unwrap_err();
    assert_eq!(
        chain(&fault),
        "reading package `/nonexistent/x.deb`: the file cannot be opened: No such file or directory (os error 2)"
    );
}

proptest! {
    /// Whatever happens to a package on its way, reading it ends in a value or an error.
    #[test]
    fn survives_any_damage(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let control = tar(&[Item::file("./control", stanza("sample").as_bytes())]);
        let data = tar(&[
            Item::directory("./usr/"),
            Item::pax("path", "./usr/long"),
            Item::file("./usr/a", b"content"),
            Item::hard_link("./usr/b", "./usr/long"),
            Item::symlink("./usr/c", "a"),
        ]);
        let mut file = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", &data)]);
        for (index, value) in changes {
            let index = index.index(file.len());
            file[index] = value;
        }
        if is_cut {
            file.truncate(end.index(file.len()));
        }
        if let Ok(deb) = parse(file) {
            prop_assert!(deb.entries.iter().all(|(path, _)| !path.starts_with('/') && !path.contains("..")));
        }
    }
}
