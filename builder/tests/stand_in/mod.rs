//! A stand-in for a k3s release, for where the real one can't be downloaded: an ELF file around an asset, as
//! k3s' own build (`scripts/package-cli`) makes it. What is inside are scripts that say that they stand in.

use imgbuild::units::{Arch, Sha256};
use tar::{EntryType, Header};

/// What k3s' `bin/` has as links to k3s itself, and to its one program for all CNI plug-ins.
const LINKS: [(&str, &[&str]); 2] = [
    (
        "k3s",
        &["containerd", "crictl", "ctr", "kubectl", "k3s-agent", "k3s-server", "k3s-token", "k3s-completion"],
    ),
    ("cni", &["bandwidth", "bridge", "firewall", "flannel", "host-local", "loopback", "portmap"]),
];

/// The release as a file.
pub(crate) fn k3s_release(arch: Arch) -> Vec<u8> {
    let asset = asset();
    let mut release = elf(arch);
    release.extend(b"some code and constants\0build/data/");
    release.extend(Sha256::of(&asset).to_string().bytes());
    release.extend(b".tar.zst\0");
    release.extend(&asset);
    release.extend(b"more constants");
    release
}

/// `tar cf … ./bin ./etc`, then zstd with a long window.
fn asset() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind: EntryType, content: &[u8], target: &str| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Regular && content.starts_with(b"#!") { 0o755 } else { 0o644 });
        header.set_uid(1000);
        header.set_gid(1000);
        header.set_size(content.len().try_into().expect("contents are short"));
        let added = if kind == EntryType::Symlink {
            archive.append_link(&mut header, path, target)
        } else {
            archive.append_data(&mut header, path, content)
        };
        added.expect("memory takes everything");
    };
    for folder in ["bin/", "bin/aux/", "etc/"] {
        add(folder, EntryType::Directory, b"", "");
    }
    for program in ["k3s", "cni", "runc", "containerd-shim-runc-v2", "busybox", "check-config"] {
        let script = format!("#!/bin/sh\necho \"{program} stand-in\" \"$@\"\n");
        add(&format!("bin/{program}"), EntryType::Regular, script.as_bytes(), "");
    }
    for (target, names) in LINKS {
        for name in names {
            add(&format!("bin/{name}"), EntryType::Symlink, b"", target);
        }
    }
    add("bin/aux/modprobe", EntryType::Symlink, b"", "../busybox");
    add("etc/strongswan.conf", EntryType::Regular, b"# stand-in\n", "");
    let archive = archive.into_inner().expect("memory takes everything");
    zstd::bulk::compress(&archive, 3).expect("zstd compresses anything")
}

/// The header of a 64-bit executable (ELF specification, figure 1-3), with nothing to load.
fn elf(arch: Arch) -> Vec<u8> {
    let machine: u16 = match arch {
        Arch::Amd64 => 62,
        Arch::Arm64 => 183,
    };
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    header.extend(machine.to_le_bytes());
    header.extend(1_u32.to_le_bytes());
    header.resize(52, 0);
    header.extend(64_u16.to_le_bytes());
    header.resize(64, 0);
    header
}
