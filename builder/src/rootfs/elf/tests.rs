use super::*;
use crate::rootfs::sample::Elf;
use crate::tree::Metadata;

const LINKER: &str = "/lib64/ld-linux-x86-64.so.2";
const FOLDER: &str = "usr/lib/x86_64-linux-gnu";

fn tree(files: &[(&str, Elf<'_>)]) -> Tree {
    let mut tree = Tree::default();
    tree.symlink("lib", "usr/lib").unwrap();
    tree.symlink("lib64", "usr/lib64").unwrap();
    tree.symlink("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2").unwrap();
    let linker = Elf { soname: Some("ld-linux-x86-64.so.2"), ..Elf::default() };
    tree.write(&format!("{FOLDER}/ld-linux-x86-64.so.2"), Metadata::root(0o755), linker.build()).unwrap();
    for (path, elf) in files {
        tree.write(path, Metadata::root(0o755), elf.build()).unwrap();
    }
    tree
}

fn program<'a>(needed: &'a [&'a str]) -> Elf<'a> {
    Elf { interpreter: Some(LINKER), needed, ..Elf::default() }
}

fn library<'a>(soname: &'a str, needed: &'a [&'a str]) -> Elf<'a> {
    Elf { soname: Some(soname), needed, ..Elf::default() }
}

fn fault(files: &[(&str, Elf<'_>)]) -> String {
    check(&tree(files), Arch::Amd64).unwrap_err().to_string()
}

fn passes(files: &[(&str, Elf<'_>)]) {
    assert_eq!(check(&tree(files), Arch::Amd64).map_err(|fault| fault.to_string()), Ok(()));
}

#[test]
fn finds_libraries_in_default_own_and_inherited_directories() {
    let liba = format!("{FOLDER}/liba.so.1");
    passes(&[("usr/bin/p", program(&["liba.so.1"])), (&liba, library("liba.so.1", &[]))]);
    let private = "usr/lib/p/liba.so.1";
    let runpath = Elf { runpath: Some("$ORIGIN/../lib/p"), ..program(&["liba.so.1"]) };
    passes(&[("usr/bin/p", runpath), (private, library("liba.so.1", &[]))]);
    let rpath = Elf { rpath: Some("/nowhere:/lib/p"), ..program(&["liba.so.1"]) };
    passes(&[
        ("usr/bin/p", rpath),
        (private, library("liba.so.1", &["libb.so.1"])),
        ("usr/lib/p/libb.so.1", library("libb.so.1", &[])),
    ]);
}

#[test]
fn runpath_is_not_inherited() {
    let program = Elf { runpath: Some("/usr/lib/p"), ..program(&["liba.so.1"]) };
    let fault = fault(&[
        ("usr/bin/p", program),
        ("usr/lib/p/liba.so.1", library("liba.so.1", &["libb.so.1"])),
        ("usr/lib/p/libb.so.1", library("libb.so.1", &[])),
    ]);
    assert_eq!(
        fault,
        "`usr/lib/p/liba.so.1` needs `libb.so.1`, which is not in /lib/x86_64-linux-gnu:/lib when `usr/bin/p` is loaded"
    );
}

#[test]
fn a_library_may_rely_on_what_its_program_loaded() {
    // As systemd does: only the program has a RUNPATH to the library both need.
    let program = Elf { runpath: Some("/usr/lib/p"), ..program(&["libcore.so", "libshared.so"]) };
    passes(&[
        ("usr/lib/p/p", program),
        ("usr/lib/p/libcore.so", library("libcore.so", &["libshared.so"])),
        ("usr/lib/p/libshared.so", library("libshared.so", &[])),
    ]);
}

#[test]
fn tells_every_lack_in_path_order() {
    let foreign = Elf { machine: Some(183), ..program(&[]) };
    let mut tree = tree(&[
        ("usr/bin/b", program(&["libgone.so.1", "libfar.so"])),
        ("usr/bin/c", Elf { interpreter: Some("/lib/ld-musl.so.1"), ..Elf::default() }),
        ("usr/bin/d", foreign),
        ("usr/lib/x86_64-linux-gnu/libfar.so", Elf { machine: Some(183), ..library("libfar.so", &[]) }),
        ("usr/lib/security/plugin.so", library("plugin.so", &["libgone.so.2"])),
    ]);
    tree.write("usr/bin/a", Metadata::root(0o755), &b"\x7fELF\x02\x01\x01"[..]).unwrap();
    tree.write("usr/lib/modules/6/x.ko", Metadata::FILE, &b"\x7fELF"[..]).unwrap();
    let fault = check(&tree, Arch::Amd64).unwrap_err().to_string();
    assert_eq!(
        fault.lines().collect::<Vec<_>>(),
        [
            "`usr/bin/a` is no valid ELF file: Invalid ELF header size or alignment",
            "`usr/bin/b` needs `libfar.so`, which is not in /lib/x86_64-linux-gnu:/lib",
            "`usr/bin/b` needs `libgone.so.1`, which is not in /lib/x86_64-linux-gnu:/lib",
            "`usr/bin/c` needs the dynamic linker `/lib/ld-musl.so.1`, which is not there",
            "`usr/bin/d` is for ELF machine 183, the image for amd64",
            "`usr/lib/security/plugin.so` needs `libgone.so.2`, which is not in /lib/x86_64-linux-gnu:/lib",
            "`usr/lib/x86_64-linux-gnu/libfar.so` is for ELF machine 183, the image for amd64",
        ]
    );
}
