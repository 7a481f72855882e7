use super::*;

fn slot(command_line: &str) -> BiosSlot {
    BiosSlot {
        kernel: Content::from_static(b"kernel"),
        microcode: None,
        initrd: Content::from_static(b"initrd"),
        command_line: command_line.to_owned(),
    }
}

/// Paths and contents.
fn files(slot: &BiosSlot, letter: Slot, generation: Generation) -> Vec<(String, String)> {
    let files = slot.files(letter, generation).unwrap().into_iter();
    files.map(|(path, content)| (path, String::from_utf8(content.into()).unwrap())).collect()
}

#[test]
fn a_slot_has_the_arguments_it_is_given() {
    let slot = slot("roothash=12 console=tty0  dyndbg=\"file a.c +p\" quiet");
    let config = "# Slot b, with the arguments of its UKI and of the medium.\nset generation=7\nfunction load {\n  \
         linux $prefix/b/linux 'roothash=12' 'console=tty0' 'dyndbg=file a.c +p' 'quiet' imgbuild.esp=$esp $mode\n  \
         initrd $prefix/b/initrd\n}\n";
    assert_eq!(
        files(&slot, Slot::B, Generation(7)),
        [("grub/b/linux", "kernel"), ("grub/b/initrd", "initrd"), ("grub/b/slot.cfg", config)]
            .map(|(path, content)| (path.to_owned(), content.to_owned()))
    );
}

#[test]
fn microcode_is_a_file_of_its_own_before_the_initrd() {
    let microcode = Some(Content::from_static(b"updates"));
    let slot = BiosSlot { microcode, ..slot("quiet") };
    let files = files(&slot, Slot::A, Generation(1));
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["grub/a/linux", "grub/a/microcode", "grub/a/initrd", "grub/a/slot.cfg"]);
    assert_eq!(files[1].1, "updates");
    let config = &files[3].1;
    assert!(config.contains("\n  initrd $prefix/a/microcode $prefix/a/initrd\n}\n"), "{config}");
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
