use super::*;

fn slot(command_line: &str) -> BiosSlot<'_> {
    BiosSlot {
        kernel: Content::from_static(b"kernel"),
        initrd: Content::from_static(b"initrd"),
        command_line,
    }
}

#[test]
fn a_slot_has_the_arguments_of_its_uki() {
    let [linux, initrd, config] =
        slot("roothash=12 console=tty0  dyndbg=\"file a.c +p\" quiet").files(Slot::B, Generation(7)).unwrap();
    assert_eq!((linux.0.as_str(), linux.1.as_ref()), ("grub/b/linux", &b"kernel"[..]));
    assert_eq!((initrd.0.as_str(), initrd.1.as_ref()), ("grub/b/initrd", &b"initrd"[..]));
    assert_eq!(config.0, "grub/b/slot.cfg");
    assert_eq!(
        str::from_utf8(&config.1).unwrap(),
        "# Slot b, with the arguments of its UKI.\nset generation=7\nfunction load {\n  \
         linux $prefix/b/linux 'roothash=12' 'console=tty0' 'dyndbg=file a.c +p' 'quiet' imgbuild.esp=$esp $mode\n  \
         initrd $prefix/b/initrd\n}\n"
    );
}

#[test]
fn refuses_arguments_that_grub_would_change() {
    let fault = |command_line| slot(command_line).files(Slot::A, Generation(1)).unwrap_err().to_string();
    assert_eq!(
        fault("quiet a='b'"),
        "kernel argument `a='b'` has a single quote, which GRUB does not pass on"
    );
    assert_eq!(fault("a=\"b\\c\""), "kernel argument `a=b\\c` has a backslash, which GRUB does not pass on");
}

#[test]
fn refuses_a_core_of_which_two_do_not_fit() {
    let bios = BiosBoot { boot: Content::new(), disk_boot: Content::new(), core: vec![0; 512 * 1024] };
    let mut disk = tempfile::tempfile().unwrap();
    let fault = bios.write(Lba(2048), Bytes::MIB, &mut disk).unwrap_err().to_string();
    assert_eq!(fault, "GRUB's core has 512 KiB, half of the BIOS boot partition has room for 511.5 KiB");
}

#[test]
fn names_the_file_that_the_boot_packages_lack() {
    let fault = BiosBoot::assemble(&Tree::default(), 2).unwrap_err().to_string();
    assert_eq!(fault, "no boot package of the profile has `usr/lib/grub/i386-pc/boot.img`");
}

#[test]
fn what_grub_says_fits_on_a_line_of_the_screen() {
    let said = CONFIG.lines().chain(CORE_CONFIG.lines()).filter_map(|line| line.trim().strip_prefix("echo "));
    let said: Vec<&str> = said.collect();
    assert_eq!(said.len(), 11);
    for line in said {
        let shown = line.replace("$prefix", "(hd0,gpt2)/grub").replace("$generation", "4294967295");
        // Without its quotes; the last column makes a new line.
        assert!(shown.len() - 2 < 80, "{line}");
    }
}
