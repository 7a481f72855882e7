use super::*;
use crate::units::{Bytes, Lba};

/// A `kernel.img` with one section of this place and content.
fn kernel(address: u32, content: &[u8], declared: u32) -> Vec<u8> {
    let put =
        |file: &mut Vec<u8>, values: &[u32]| file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    // Type and machine, version, entry, program headers, section headers, flags.
    let sections = 52 + u32::try_from(content.len()).unwrap().next_multiple_of(4);
    put(&mut file, &[2 | 3 << 16, 1, address, 0, sections, 0]);
    // Sizes and numbers of headers, 16 bits each: three sections of 40 bytes, the last of which holds names.
    put(&mut file, &[52, 40 << 16, 3 | 2 << 16]);
    file.extend(content);
    file.resize(usize::try_from(sections).unwrap() + 40, 0);
    // Name, type, flags, address, offset, size.
    put(&mut file, &[0, 1, 2, address, 52, declared, 0, 0, 1, 0]);
    put(&mut file, &[0, 3, 0, 0, 0, 0, 0, 0, 1, 0]);
    file
}

fn platform<'a>(kernel: &'a [u8], dependencies: &'a str) -> Platform<'a> {
    let modules = BTreeMap::new();
    Platform { boot: &[], disk_boot: &[], decompressor: &[0; 16], kernel, dependencies, modules }
}

const EMPTY: Contents<'_> = Contents { modules: &[], config: Some("echo"), prefix: "(hd0)/grub" };

#[test]
fn the_module_area_lies_behind_the_kernel() {
    let kernel = kernel(0x9000, b"kernel", 6);
    let payload = payload(&platform(&kernel, ""), &EMPTY).unwrap();
    let area = [
        &b"mimg"[..],
        &[12, 0, 0, 0, 48, 0, 0, 0],
        &[2, 0, 0, 0, 16, 0, 0, 0],
        b"echo\0\0\0\0",
        &[3, 0, 0, 0, 20, 0, 0, 0],
        b"(hd0)/grub\0\0",
    ];
    assert_eq!(payload, [&b"kernel"[..], &area.concat()].concat());
}

#[test]
fn refuses_a_kernel_elsewhere_than_where_it_is_loaded() {
    for (address, declared, expected) in [
        (0x8000, 4, "`kernel.img` has 4 B at 0x8000, which is not between 0x9000 and 0x68000"),
        (0x6_7ffe, 4, "`kernel.img` has 4 B at 0x67ffe, which is not between 0x9000 and 0x68000"),
        (u32::MAX, 4, "`kernel.img` has 4 B at 0xffffffff, which is not between 0x9000 and 0x68000"),
        (0x9000, u32::MAX, "`kernel.img` has 3.9 GiB at 0x9000, which is not between 0x9000 and 0x68000"),
        (0x9004, 4, "`kernel.img` begins at 0x9004, not at 0x9000"),
        (0x9000, 4096, "`kernel.img` is a corrupt ELF file"),
    ] {
        let kernel = kernel(address, b"code", declared);
        let fault = payload(&platform(&kernel, ""), &EMPTY).unwrap_err().to_string();
        assert_eq!(fault, expected);
    }
}

#[test]
fn refuses_lists_of_dependencies_that_are_not() {
    let kernel = kernel(0x9000, b"code", 4);
    for (list, expected) in [
        ("fat: fshelp\n", "there is no GRUB module `fshelp`, which `fat` needs"),
        ("fshelp:\n", "there is no GRUB module `fat`"),
        ("fshelp:\nfat fshelp\n", "line 2 of `moddep.lst` is `fat fshelp`, expected `NAME: NAME…`"),
        // A circle ends; then its first module's file is looked for.
        ("fat: fshelp\nfshelp: fat\n", "there is no GRUB module `fshelp`"),
    ] {
        let contents = Contents { modules: &["fat"], ..EMPTY };
        let fault = payload(&platform(&kernel, list), &contents).unwrap_err().to_string();
        assert_eq!(fault, expected, "{list}");
    }
}

#[test]
fn boot_sectors_keep_what_is_the_disks() {
    let mut boot = [0x11; SECTOR];
    boot[0x66..0x68].copy_from_slice(&[0xeb, 5]);
    let sector = boot_sector(&boot, Lba(0x0102_0304_0506), &[0x22; SECTOR]).unwrap();
    assert_eq!(sector[0x5c..0x64], [6, 5, 4, 3, 2, 1, 0, 0]);
    assert_eq!(sector[0x64..0x6a], [0x11, 0x11, 0x90, 0x90, 0x11, 0x11]);
    assert_eq!(sector[0x1b6..0x1ba], [0x11, 0x11, 0x22, 0x22]);
    assert_eq!(sector[0x1fe..], [0x22, 0x22]);
    let other = boot_sector(&[0; SECTOR], Lba(1), &[0; SECTOR]).unwrap_err().to_string();
    assert_eq!(other, "`boot.img` is no boot sector of GRUB 2");
    let short = boot_sector(&[0; 511], Lba(1), &[0; SECTOR]).unwrap_err().to_string();
    assert_eq!(short, "`boot.img` has 511 bytes, expected 512");
}

#[test]
fn the_block_list_counts_whole_sectors() {
    let list = |size| disk_boot_sector(&[0x33; SECTOR], BlockList { first: Lba(2049), size: Bytes(size) });
    let sector = list(513).unwrap();
    assert_eq!(sector[0x1f0..], [0x33, 0x33, 0x33, 0x33, 1, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x33, 0x33]);
    let fault = list(0xffff * 512 + 1).unwrap_err().to_string();
    assert_eq!(fault, "GRUB's core has 31.9 MiB, at most 31.9 MiB fit");
}

#[test]
fn a_core_that_does_not_fit_is_refused() {
    let kernel = kernel(0x9000, b"code", 4);
    let config: String = (0_u32..200_000).map(|n| n.wrapping_mul(0x9e37_79b1).to_string()).collect();
    let contents = Contents { config: Some(&config), ..EMPTY };
    let fault = core(&platform(&kernel, ""), &contents).unwrap_err();
    assert!(
        matches!(fault, GrubError::TooLarge { what: "GRUB's core", limit: Bytes(0x6_f000), .. }),
        "{fault}"
    );
}
