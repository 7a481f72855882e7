use std::io::Write as _;

use super::*;
use crate::diagnostic::chain;

/// A 64-bit relocatable ELF file with the given sections; `.symtab` and its names come from `symbols`,
/// each a name and whether it is defined.
fn elf(sections: &[(&str, &[u8])], symbols: &[(&str, bool)]) -> Vec<u8> {
    let mut names = vec![0];
    let mut table = vec![0; 24];
    for (name, is_defined) in symbols {
        let at = u32::try_from(names.len()).unwrap();
        names.extend([name.as_bytes(), b"\0"].concat());
        table.extend(at.to_le_bytes());
        table.extend([0x10, 0, u8::from(*is_defined), 0]);
        table.extend([0; 16]);
    }
    let link = u32::try_from(sections.len() + 2).unwrap();
    let mut all: Vec<(&str, &[u8], u32, u32, u64)> =
        sections.iter().map(|(name, content)| (*name, *content, 1, 0, 0)).collect();
    if !symbols.is_empty() {
        all.push((".symtab", &table, 2, link, 24));
        all.push((".strtab", &names, 3, 0, 0));
    }
    let titles: Vec<u8> = [&b"\0"[..]]
        .into_iter()
        .chain(all.iter().flat_map(|(name, ..)| [name.as_bytes(), b"\0"]))
        .collect::<Vec<_>>()
        .concat();
    let titles = [titles, b".shstrtab\0".to_vec()].concat();
    all.push((".shstrtab", &titles, 3, 0, 0));

    let mut file = vec![0; 64];
    let mut headers = vec![0; 64];
    let mut title = 1;
    for (name, content, kind, link, entry) in &all {
        headers.extend(u32::try_from(title).unwrap().to_le_bytes());
        headers.extend(u32::to_le_bytes(*kind));
        headers.extend([0; 16]);
        headers.extend(u64::try_from(file.len()).unwrap().to_le_bytes());
        headers.extend(u64::try_from(content.len()).unwrap().to_le_bytes());
        headers.extend(link.to_le_bytes());
        headers.extend([0; 4]);
        headers.extend(8_u64.to_le_bytes());
        headers.extend(entry.to_le_bytes());
        file.extend(*content);
        file.resize(file.len().next_multiple_of(8), 0);
        title += name.len() + 1;
    }
    let offset = u64::try_from(file.len()).unwrap();
    file.extend(headers);
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16] = 1; // e_type: relocatable
    file[18] = 62; // e_machine: x86-64
    file[20] = 1;
    file[40..48].copy_from_slice(&offset.to_le_bytes());
    file[52] = 64;
    file[58] = 64;
    file[60] = u8::try_from(all.len() + 1).unwrap();
    file[62] = u8::try_from(all.len()).unwrap();
    file
}

fn good() -> Vec<u8> {
    let modinfo =
        b"alias=fs-one\0\0softdep=pre: two\0depends=two,three-four\0firmware=one.bin\0license=GPL\0";
    elf(&[(".modinfo", modinfo)], &[("__crc_one_read", true), ("one_read", true), ("printk", false)])
}

fn module(name: &str) -> Module {
    let info = ModuleInfo { name: name.to_owned(), ..ModuleInfo::default() };
    Module { path: format!("kernel/{name}.ko"), info }
}

/// Modules by name and what each needs; every module exports a symbol of its own name.
fn modules(list: &[(&str, &[&str])]) -> Vec<Module> {
    let make = |(name, needs): &(&str, &[&str])| {
        let mut made = module(name);
        made.info.exports = vec![(*name).to_owned()];
        made.info.imports = needs.iter().map(|need| (*need).to_owned()).collect();
        made
    };
    list.iter().map(make).collect()
}

#[test]
fn reads_a_module_in_every_packing() {
    let plain = good();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&plain).unwrap();
    for (ending, bytes) in [
        ("ko", plain.clone()),
        ("ko.xz", xz.finish().unwrap()),
        ("ko.gz", gz.finish().unwrap()),
        ("ko.zst", zstd::encode_all(plain.as_slice(), 1).unwrap()),
    ] {
        let path = format!("kernel/fs/one-fs.{ending}");
        let read = read_module(&path, &bytes).unwrap();
        let expected = ModuleInfo {
            name: "one_fs".into(),
            aliases: vec!["fs-one".into()],
            depends: vec!["two".into(), "three-four".into()],
            softdeps: vec!["pre: two".into()],
            weakdeps: vec![],
            firmware: vec!["one.bin".into()],
            exports: vec!["one_read".into()],
            imports: vec!["printk".into()],
        };
        assert_eq!((read.unpacked_path(), &read.info), ("kernel/fs/one-fs.ko", &expected), "{ending}");
    }
}

#[test]
fn takes_exports_from_the_string_section_without_checksums() {
    let file = elf(&[(".modinfo", b"license=GPL\0"), ("__ksymtab_strings", b"\0a\0\0b\0")], &[("a", true)]);
    assert_eq!(read_module("a.ko", &file).unwrap().info.exports, ["a", "b"]);
}

#[test]
fn refuses_each_broken_module_with_its_own_error() {
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&good()).unwrap();
    let xz = xz.finish().unwrap();
    let change = |at: usize, byte: u8| {
        let mut file = good();
        file[at] = byte;
        file
    };
    for (path, bytes, expected) in [
        ("a.txt", good(), "`a.txt` ends in none of `.ko`, `.ko.xz`, `.ko.zst`, `.ko.gz`"),
        ("a.ko.xz", xz[..xz.len() / 2].to_vec(), "unpacking module `a.ko.xz`: premature eof"),
        // The header of the older .lzma format, which asks for 4 GiB.
        (
            "a.ko.xz",
            [&[1], &[0xff; 29][..]].concat(),
            "unpacking module `a.ko.xz`: stream/file format not recognized",
        ),
        ("a.ko.gz", b"this is no gzip file".to_vec(), "unpacking module `a.ko.gz`: invalid gzip header"),
        (
            "a.ko.zst",
            b"this is no zstd file".to_vec(),
            "unpacking module `a.ko.zst`: Unknown frame descriptor",
        ),
        ("a.ko", Vec::new(), "module `a.ko` is a corrupt ELF file: Invalid ELF header size or alignment"),
        ("a.ko", change(4, 1), "module `a.ko` is no 64-bit little-endian relocatable ELF file"),
        ("a.ko", change(5, 2), "module `a.ko` is no 64-bit little-endian relocatable ELF file"),
        ("a.ko", change(16, 2), "module `a.ko` is no 64-bit little-endian relocatable ELF file"),
        (
            "a.ko",
            change(44, 1),
            "module `a.ko` is a corrupt ELF file: Invalid ELF section header offset/size/alignment",
        ),
        ("a.ko", elf(&[], &[("x", true)]), "module `a.ko` has no section `.modinfo`"),
        ("a.ko", elf(&[(".modinfo", b"a=b\0")], &[]), "module `a.ko` has no section `.symtab`"),
        (
            "a.ko",
            elf(&[(".modinfo", b"alias=\xff\0")], &[("x", true)]),
            "module `a.ko` has a malformed string in section `.modinfo`",
        ),
        (
            "a.ko",
            elf(&[(".modinfo", b"a=b\0"), ("__versions", &[1; 64])], &[("x", true)]),
            "module `a.ko` has a malformed string in section `__versions`",
        ),
    ] {
        assert_eq!(chain(&read_module(path, &bytes).unwrap_err()), expected, "{path}");
    }
}

#[test]
fn refuses_sets_of_modules_that_cannot_be_indexed() {
    let fault = |modules: &[Module], builtin: &str, modinfo: &[u8]| {
        chain(&indexes(modules, "", builtin, modinfo).unwrap_err())
    };
    let mut twice = modules(&[("a", &[]), ("a", &[])]);
    twice[1].path = "updates/a.ko".into();
    assert_eq!(fault(&twice, "", b""), "module `a` is both `kernel/a.ko` and `updates/a.ko`");
    let circle = modules(&[("c", &["b"]), ("b", &["a"]), ("a", &["b"]), ("d", &[])]);
    assert_eq!(fault(&circle, "", b""), "modules depend on each other in a circle: a, b");
    for (alias, expected) in [
        ("usb:[0-9", "module `a` has alias `usb:[0-9` with an unmatched bracket"),
        ("usb:0-9]", "module `a` has alias `usb:0-9]` with an unmatched bracket"),
        ("fs-ü", "`fs_ü` cannot be indexed, for it is not ASCII"),
    ] {
        let mut list = modules(&[("a", &[])]);
        list[0].info.aliases.push(alias.to_owned());
        assert_eq!(fault(&list, "", b""), expected);
    }
    assert_eq!(
        fault(&[], "/x.ko\n", b""),
        "`modules.builtin` has line `/x.ko`, which is no path of a module"
    );
    assert_eq!(
        fault(&[], "", b"ext4.license\0"),
        "`modules.builtin.modinfo` has record `ext4.license`, which is not `module.key=value`"
    );
}

#[test]
fn lists_device_nodes_with_their_numbers_only() {
    let mut list = modules(&[("fuse", &[]), ("nameless", &[]), ("numberless", &[]), ("loop", &[])]);
    list[0].info.aliases = vec!["devname:fuse".into(), "char-major-10-229".into()];
    list[1].info.aliases = vec!["char-major-10-1".into()];
    list[2].info.aliases = vec!["devname:x".into(), "char-major-10-*".into()];
    list[3].info.aliases = vec!["block-major-7-0".into(), "devname:loop-control".into()];
    let order = "kernel/fuse.ko\nkernel/loop.ko\n";
    let files = indexes(&list, order, "", b"").unwrap();
    let text = String::from_utf8(files["modules.devname"].clone()).unwrap();
    let title = "# Device nodes to trigger on-demand module loading.\n";
    assert_eq!(text, format!("{title}fuse fuse c10:229\nloop loop-control b7:0\n"));
}

fn names(modules: &[Module], wanted: &[&str]) -> Result<Vec<String>, KmodError> {
    let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let builtin_modinfo = b"crypto.alias=crypto-sha1\0crypto.license=GPL\0";
    let found = closure(modules, "kernel/crypto/sha256-generic.ko\n", builtin_modinfo, &wanted)?;
    Ok(found.iter().map(|module| module.info.name.clone()).collect())
}

#[test]
fn orders_a_closure_so_that_every_module_loads() {
    let mut list = modules(&[
        ("top", &["middle", "other"]),
        ("middle", &["bottom"]),
        ("other", &["bottom"]),
        ("bottom", &[]),
        ("before_1", &["bottom"]),
        ("after", &[]),
        ("unrelated", &[]),
    ]);
    list[1].info.softdeps = vec!["pre: crypto-crc absent sha256_generic post: after".into()];
    list[4].info.aliases = vec!["crypto-crc".into()];
    // A circle of softdeps: after wants middle first, which is already on its way.
    list[5].info.softdeps = vec!["pre: middle".into()];
    let order = names(&list, &["top"]).unwrap();
    let place = |name: &str| order.iter().position(|other| other == name).unwrap();
    for (earlier, later) in [
        ("bottom", "before_1"),
        ("before_1", "middle"),
        ("middle", "top"),
        ("other", "top"),
        ("bottom", "other"),
        ("middle", "after"),
    ] {
        assert!(place(earlier) < place(later), "{earlier} before {later}: {order:?}");
    }
    assert_eq!(order.len(), 6, "{order:?}");
}

#[test]
fn finds_wanted_modules_by_any_spelling_alias_or_in_the_kernel() {
    let mut list = modules(&[("dm_verity", &[]), ("crc_a", &[]), ("crc_b", &[])]);
    list[1].info.aliases = vec!["crc32c".into()];
    list[2].info.aliases = vec!["crc32c".into()];
    assert_eq!(names(&list, &["dm-verity", "dm_verity"]).unwrap(), ["dm_verity"]);
    assert_eq!(names(&list, &["crc32c"]).unwrap().len(), 2);
    assert_eq!(names(&list, &["sha256_generic", "crypto-sha1"]).unwrap(), Vec::<String>::new());
    let unknown = names(&list, &["dm-verty"]).unwrap_err();
    assert_eq!(unknown.to_string(), "the kernel has no module `dm-verty` (there is `dm_verity`)");
    assert_eq!(names(&list, &["zzz"]).unwrap_err().to_string(), "the kernel has no module `zzz`");
}
