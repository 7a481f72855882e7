//! A k3s release, unpacked as it would unpack itself, and the `PATH` it would then start with.

use std::fmt::Write as _;

use bytes::Bytes;

use super::{ArtifactError, Compression, add, plain, unpack};
use crate::format::k3s;
use crate::tree::{Entry, Kind, Metadata, Tree};

/// The program inside, beside what it starts.
const PROGRAM: &str = "bin/k3s";
/// Where k3s keeps its links to CNI plug-ins, on the state partition.
const CNI: &str = "/var/lib/rancher/k3s/data/cni";
/// systemd's own search path for services.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
/// The folders it carries.
const FOLDERS: [&str; 2] = ["bin", "etc"];

/// Unpacks the release below `folder`: `data/<digest>/{bin,etc}`, and `environment` for the unit.
pub(super) fn place(tree: &mut Tree, release: &Bytes, folder: &str) -> Result<(), ArtifactError> {
    let asset = k3s::find(release)?;
    let entries = unpack(asset.archive, Compression::Zstd, &|_| true)?;
    let is_program = |(path, entry): &(String, Entry)| {
        path == PROGRAM && matches!(entry.kind, Kind::File(_)) && entry.metadata.mode & 0o100 != 0
    };
    if !entries.iter().any(is_program) {
        return Err(ArtifactError::NoProgram { path: PROGRAM });
    }
    let data = format!("{folder}/data/{}", asset.digest);
    for (path, entry) in &entries {
        check(path, entry)?;
        add(tree, &format!("{data}/{path}"), plain(entry))?;
    }
    let environment = Entry { metadata: Metadata::FILE, kind: Kind::File(environment(&data).into()) };
    add(tree, &format!("{folder}/environment"), environment)
}

fn check(path: &str, entry: &Entry) -> Result<(), ArtifactError> {
    let top = path.split('/').next().unwrap_or_default();
    if !FOLDERS.contains(&top) || (path == top && entry.kind != Kind::Directory) {
        return Err(ArtifactError::Outside { path: path.to_owned() });
    }
    match &entry.kind {
        Kind::Symlink(target) if leaves(path, target) => {
            Err(ArtifactError::Link { path: path.to_owned(), target: target.clone() })
        }
        _ => Ok(()),
    }
}

/// Whether a link leads out of the folder that the archive is unpacked to. Links on the way are not
/// followed: none of them leads out either, but one that leads down could make `..` mean another folder,
/// which is still inside.
fn leaves(path: &str, target: &str) -> bool {
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            ".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            },
            "" | "." => {}
            _ => depth += 1,
        }
    }
    target.starts_with('/')
}

/// `PATH` in the order of k3s' wrapper (`cmd/k3s/main.go`, `stageAndRun`): what k3s starts by name, such
/// as containerd, is its own; the host's programs come before those of its small userland.
fn environment(data: &str) -> String {
    let mut text =
        "# For k3s' unit: the search path that its self-extracting release would set.\n".to_owned();
    let _ = writeln!(text, "PATH={CNI}:/{data}/bin:{SYSTEM_PATH}:/{data}/bin/aux");
    text
}
