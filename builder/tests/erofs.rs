//! Compressed EROFS of real packages against `mkfs.erofs` of Debian 13: as small, and unpacked to the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod debian;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use imgbuild::derived::NoCache;
use imgbuild::format::erofs::{Algorithm, Compression, Options, write};
use imgbuild::tree::{Metadata, Tree};
use imgbuild::units::{Bytes, Timestamp};

use debian::{Trixie, run};

/// Programs, libraries, many small files, and modules that are compressed already: 150 MB together
/// with libssl.
const PACKAGES: [&str; 5] = ["coreutils", "libc6", "systemd", "tzdata", "util-linux"];

/// Runs a tool of erofs-utils: of `tests/setup/erofs.sh`, where the host's is too old.
fn erofs_tool(name: &str, arguments: &[&std::ffi::OsStr]) -> String {
    let newer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/oracles/bin").join(name);
    let program = if newer.exists() { newer.display().to_string() } else { name.to_owned() };
    run(&program, arguments, &[])
}

/// Adds what lies in `folder`, which is `path` in the tree.
fn add(tree: &mut Tree, folder: &Path, path: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        let metadata = entry.metadata().unwrap();
        let mode = Metadata::root(u16::try_from(metadata.mode() & 0o7777).unwrap());
        if metadata.is_dir() {
            tree.directory(&path, mode).unwrap();
            add(tree, &entry.path(), &path);
        } else if metadata.is_symlink() {
            tree.symlink(&path, fs::read_link(entry.path()).unwrap().to_str().unwrap()).unwrap();
        } else {
            tree.write(&path, mode, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// The root of several packages in a folder, by hard links.
fn merge(trixie: &Trixie, target: &Path) {
    fs::create_dir(target).unwrap();
    let from = |package: &str| trixie.unpacked(package).join(".");
    let libssl = trixie.dependency("openssl", "libssl");
    for package in PACKAGES.into_iter().chain([libssl.as_str()]) {
        run("cp", &["-al".as_ref(), from(package).as_ref(), target.as_ref()], &[]);
    }
}

#[test]
fn is_no_larger_than_what_mkfs_erofs_makes_and_unpacks_to_the_same() {
    let trixie = Trixie::new("erofs");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [source, ours, theirs] = ["source", "ours", "theirs"].map(|name| folder.path().join(name));
    merge(&trixie, &source);
    let mut tree = Tree::default();
    add(&mut tree, &source, "");
    for (algorithm, level, cluster) in [
        (Algorithm::Lz4Hc, 5, 64 << 10),
        (Algorithm::Lz4Hc, 9, 64 << 10),
        (Algorithm::Zstd, 3, 64 << 10),
        (Algorithm::Zstd, 3, 128 << 10),
    ] {
        let compression = Compression::from(algorithm).with_level(level).unwrap();
        let compression = compression.with_cluster_size(Bytes(cluster)).unwrap();
        let options = Options {
            timestamp: Timestamp(1_787_977_142),
            uuid: uuid::Uuid::nil(),
            volume_name: "root".to_owned(),
            compression: Some(compression),
        };
        write(&tree, &options, &NoCache, &mut fs::File::create(&ours).unwrap()).unwrap();
        let (how, size) = (format!("-z{algorithm},{level}"), format!("-C{cluster}"));
        let arguments = [&how, &size, "-Eztailpacking", "--all-root", "-x-1", "-T1787977142", "--quiet"];
        let mut arguments: Vec<&std::ffi::OsStr> = arguments.map(AsRef::as_ref).to_vec();
        arguments.extend([theirs.as_os_str(), source.as_os_str()]);
        erofs_tool("mkfs.erofs", &arguments);
        let [own, other] = [&ours, &theirs].map(|path| fs::metadata(path).unwrap().len());
        println!("{how} {size}: ours {own}, theirs {other}");
        // A fiftieth of what it may be: 1.05.
        assert!(own * 1000 <= other * 1001, "{how} {size}: ours {own}, theirs {other}");

        let unpacked = folder.path().join("unpacked");
        let extract = format!("--extract={}", unpacked.display());
        erofs_tool("fsck.erofs", &[extract.as_ref(), "--no-preserve".as_ref(), ours.as_os_str()]);
        let both = [source.as_os_str(), unpacked.as_os_str()];
        run("diff", &[&["-r".as_ref(), "--no-dereference".as_ref()], &both[..]].concat(), &[]);
        fs::remove_dir_all(&unpacked).unwrap();
    }
}
