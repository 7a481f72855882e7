//! Unified kernel images on systemd's real stubs, compared with systemd's own ukify.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod debian;
mod oracle;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use imgbuild::format::uki::{Section, Uki, assemble, sections};

use debian::Trixie;
use oracle::run;

const OS_RELEASE: &str = "ID=imgbuild\nVERSION_ID=1\nPRETTY_NAME=\"imgbuild\"\n";
const COMMAND_LINE: &str = "console=ttyS0 panic=10 roothash=00";

/// Runs trixie's ukify with the host's Python.
fn ukify(trixie: &Trixie, arguments: &[&OsStr]) -> String {
    let modules = trixie.unpacked("python3-pefile").join("usr/lib/python3/dist-packages");
    let program = trixie.unpacked("systemd-ukify").join("usr/bin/ukify");
    let arguments: Vec<&OsStr> = [program.as_ref()].into_iter().chain(arguments.iter().copied()).collect();
    run("python3", &arguments, &[("PYTHONPATH", modules.as_ref())])
}

fn file(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// ukify merges further lines into `.sbat`; all else must agree, byte for byte.
fn agree(ours: &[u8], theirs: &[u8]) {
    let lists = [ours, theirs].map(|image| sections(image).unwrap());
    let places = |list: &[Section]| -> Vec<Section> {
        list.iter().filter(|section| section.name != ".sbat").cloned().collect()
    };
    assert_eq!(places(&lists[0]), places(&lists[1]));
    for (our, their) in lists[0].iter().zip(&lists[1]).filter(|(our, _)| our.name != ".sbat") {
        assert_eq!(our.content(ours), their.content(theirs), "{}", our.name);
    }
    assert_eq!(ours.len(), theirs.len());
    let end = |list: &[Section]| usize::try_from(list[0].offset).unwrap();
    // Between the DOS header and the sections everything is in the headers.
    let headers = [&ours[..end(&lists[0])], &theirs[..end(&lists[1])]];
    let differing: Vec<usize> =
        (0..headers[0].len()).filter(|at| headers[0][*at] != headers[1][*at]).collect();
    let sbat = headers[0].windows(5).position(|window| window == b".sbat").unwrap();
    let initialized =
        usize::try_from(u32::from_le_bytes(ours[0x3c..0x40].try_into().unwrap())).unwrap() + 24 + 8;
    let allowed = |at: &usize| (sbat..sbat + 40).contains(at) || (initialized..initialized + 4).contains(at);
    assert!(differing.iter().all(allowed), "headers differ at {differing:?}");
}

#[test]
fn assembles_what_ukify_assembles_and_binutils_reads() {
    let trixie = Trixie::new("uki");
    let stubs = trixie.unpacked("systemd-boot-efi").join("usr/lib/systemd/boot/efi");
    let (suffix, kernel_arch) =
        if cfg!(target_arch = "aarch64") { ("aa64", "arm64") } else { ("x64", "amd64") };
    let package = trixie.dependency(&format!("linux-image-cloud-{kernel_arch}"), "linux-image-");
    let boot = trixie.unpacked(&package).join("boot");
    let release = package.strip_prefix("linux-image-").unwrap();
    let kernel = fs::read(boot.join(format!("vmlinuz-{release}"))).unwrap();
    let stub = fs::read(stubs.join(format!("linux{suffix}.efi.stub"))).unwrap();
    let initrd = b"070701 not really".repeat(1000);
    let microcode = b"070701 microcode".repeat(500);
    let uki = Uki {
        stub: &stub,
        kernel: Some(&kernel),
        microcode: Some(&microcode),
        initrd: Some(&initrd),
        command_line: Some(COMMAND_LINE),
        os_release: Some(OS_RELEASE),
        uname: Some(release),
        sbat: None,
    };
    let start = std::time::Instant::now();
    let ours = assemble(&uki).unwrap();
    println!("UKI of {} bytes in {:?}", ours.len(), start.elapsed());

    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let output = at.join("theirs.efi");
    let arguments = [
        "build".to_owned(),
        format!("--stub={}", file(at, "stub", &stub)),
        format!("--linux={}", file(at, "linux", &kernel)),
        format!("--initrd={}", file(at, "initrd", &initrd)),
        format!("--microcode={}", file(at, "microcode", &microcode)),
        format!("--cmdline={COMMAND_LINE}"),
        format!("--os-release=@{}", file(at, "os-release", OS_RELEASE.as_bytes())),
        format!("--uname={release}"),
        format!("--efi-arch={suffix}"),
        format!("--output={}", output.display()),
    ];
    ukify(&trixie, &arguments.iter().map(OsStr::new).collect::<Vec<_>>());
    agree(&ours, &fs::read(&output).unwrap());

    let path = file(at, "ours.efi", &ours);
    let shown = ukify(&trixie, &["inspect".as_ref(), path.as_ref(), "--json=short".as_ref()]);
    for text in [COMMAND_LINE, release, "PRETTY_NAME"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let dump = run("objdump", &["-h".as_ref(), path.as_ref()], &[]);
    for section in sections(&ours).unwrap() {
        let line = dump.lines().find(|line| line.contains(&format!(" {} ", section.name))).unwrap();
        assert!(line.contains(&format!("{:08x}", section.size)), "{section:?}: {line}");
    }
}

#[test]
fn assembles_an_addon_that_carries_a_command_line_only() {
    let trixie = Trixie::new("uki-addon");
    let stubs = trixie.unpacked("systemd-boot-efi").join("usr/lib/systemd/boot/efi");
    let suffix = if cfg!(target_arch = "aarch64") { "aa64" } else { "x64" };
    let path = stubs.join(format!("addon{suffix}.efi.stub"));
    let stub = fs::read(&path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("theirs.efi");
    let arguments = [
        "build".to_owned(),
        format!("--stub={}", path.display()),
        "--cmdline=ip=dhcp".to_owned(),
        format!("--output={}", output.display()),
    ];
    ukify(&trixie, &arguments.iter().map(OsStr::new).collect::<Vec<_>>());
    let theirs = fs::read(&output).unwrap();
    let listed = sections(&theirs).unwrap();
    let sbat = listed.iter().find(|section| section.name == ".sbat").unwrap().content(&theirs).unwrap();
    let sbat = str::from_utf8(sbat).unwrap();
    let addon = Uki { stub: &stub, command_line: Some("ip=dhcp"), sbat: Some(sbat), ..Uki::default() };
    assert!(assemble(&addon).unwrap() == theirs, "the add-on differs from ukify's");
}
