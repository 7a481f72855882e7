//! Wraps the stand-in as k3s' releases are wrapped: a program in whose file lies one asset, `<H>.tar.zst`, H being
//! the SHA-256 of the compressed archive (k3s, `scripts/package-cli`).

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::pki::hash::hex;

/// Links to `bin/k3s`, as releases have them.
const LINKS: [&str; 11] = [
    "containerd",
    "crictl",
    "ctr",
    "k3s-agent",
    "k3s-certificate",
    "k3s-completion",
    "k3s-etcd-snapshot",
    "k3s-secrets-encrypt",
    "k3s-server",
    "k3s-token",
    "kubectl",
];
/// Links to `bin/cni`.
const PLUGINS: [&str; 7] =
    ["bandwidth", "bridge", "firewall", "flannel", "host-local", "loopback", "portmap"];
/// What stands for programs that the stand-in has no use for.
const NOTHING: &[u8] = b"#!/bin/sh\necho 'k3s stand-in: no containers are run' >&2\nexit 1\n";
/// 32 MiB, `zstd --long=25`.
const WINDOW: u32 = 25;

/// A release that carries `program`, in the file format of the real one.
pub fn release(program: &[u8]) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    // Sorted, as there.
    let mut entries: Vec<(String, Option<&str>, &[u8])> = vec![
        ("bin/cni".to_owned(), None, NOTHING),
        ("bin/containerd-shim-runc-v2".to_owned(), None, NOTHING),
        ("bin/k3s".to_owned(), None, program),
        ("bin/runc".to_owned(), None, NOTHING),
        ("bin/aux/mount".to_owned(), None, NOTHING),
        ("etc/stand-in".to_owned(), None, b"This is no k3s: it is the stand-in of imgbuild's tests.\n"),
    ];
    entries.extend(LINKS.map(|name| (format!("bin/{name}"), Some("k3s"), &b""[..])));
    entries.extend(PLUGINS.map(|name| (format!("bin/{name}"), Some("cni"), &b""[..])));
    entries.sort();
    for folder in ["bin/", "bin/aux/", "etc/"] {
        let mut header = header(EntryType::Directory, 0o755, 0)?;
        tar.append_data(&mut header, folder, io::empty())?;
    }
    for (path, target, content) in entries {
        if let Some(target) = target {
            tar.append_link(&mut header(EntryType::Symlink, 0o777, 0)?, path, target)?;
        } else {
            let mode = if path.starts_with("etc/") { 0o644 } else { 0o755 };
            tar.append_data(&mut header(EntryType::Regular, mode, content.len())?, path, content)?;
        }
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
    encoder.include_checksum(true)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(WINDOW)?;
    io::Write::write_all(&mut encoder, &tar.into_inner()?)?;
    let archive = encoder.finish()?;
    let name = format!("build/data/{}.tar.zst", hex(&Sha256::digest(&archive)));
    Ok([program, name.as_bytes(), b"\0", &archive].concat())
}

fn header(kind: EntryType, mode: u32, size: usize) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(u64::try_from(size).map_err(io::Error::other)?);
    Ok(header)
}

/// Wraps the program at `program`, or this one, into the file `output`.
pub fn write(program: Option<&Path>, output: &Path) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("asking where this program lies")?;
    let program = program.unwrap_or(&own);
    let content = fs::read(program).with_context(|| format!("reading `{}`", program.display()))?;
    let release = release(&content).context("packing the stand-in")?;
    fs::write(output, release).with_context(|| format!("writing `{}`", output.display()))?;
    fs::set_permissions(output, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
