//! Real packages, from the host's apt sources: read as dpkg reads them, cached as ldconfig caches them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use imgbuild::derived::{self, NoCache};
use imgbuild::printer::Printer;
use imgbuild::rootfs::compose::{PackageFile, Unpacked, unpack_all};
use imgbuild::rootfs::deb::Deb;
use imgbuild::rootfs::exclusion::Exclusions;
use imgbuild::rootfs::{elf, ldcache};
use imgbuild::tree::{Entry, Kind, Metadata};
use imgbuild::units::{Arch, Sha256};
use tempfile::TempDir;

/// Merged directories, set-user-ID files, hard links, many links, libraries, owners other than root; 9 MB together.
const PACKAGES: [&str; 8] =
    ["base-files", "bash", "bsdutils", "libc-bin", "libc6", "libtinfo6", "passwd", "zlib1g"];

/// Runs a program of the oracle and gives back what it wrote.
fn run(program: &str, arguments: &[&str], folder: &Path) -> Vec<u8> {
    #[expect(clippy::disallowed_types, reason = "the oracle of a test, not a step of a build")]
    let output = std::process::Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|reason| panic!("`{program}` is needed for this test: {reason}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {errors}", arguments.join(" "));
    output.stdout
}

/// The packages' files, downloaded once for all tests and runs; `apt-get update` must have run before.
fn packages() -> &'static [PathBuf] {
    static FILES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FILES.get_or_init(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
        if list(&cache).len() != PACKAGES.len() {
            let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let mut arguments = vec!["-qq", "-o", "APT::Sandbox::User=", "download"];
            arguments.extend(PACKAGES);
            run("apt-get", &arguments, folder.path());
            if cache.exists() {
                std::fs::remove_dir_all(&cache).unwrap();
            }
            std::fs::rename(folder.keep(), &cache).unwrap();
        }
        list(&cache)
    })
}

/// The files in a folder, sorted; none where there is no folder.
fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The architecture of the host, and so of the packages.
fn host_arch(folder: &Path) -> Arch {
    match run("dpkg", &["--print-architecture"], folder).as_slice() {
        b"amd64\n" => Arch::Amd64,
        b"arm64\n" => Arch::Arm64,
        other => panic!("no image is for {}", String::from_utf8_lossy(other)),
    }
}

/// The entries of a package as `dpkg-deb` and the tar crate see them.
fn oracle(file: &Path, folder: &Path) -> BTreeMap<String, Entry> {
    let archive = run("dpkg-deb", &["--fsys-tarfile", file.to_str().unwrap()], folder);
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
        let header = entry.header().clone();
        let number = |value: std::io::Result<u64>| u32::try_from(value.unwrap()).unwrap();
        let mode = u16::try_from(header.mode().unwrap()).unwrap();
        let metadata = Metadata { mode, uid: number(header.uid()), gid: number(header.gid()) };
        let link = || String::from_utf8(header.link_name_bytes().unwrap().into_owned()).unwrap();
        let kind = match header.entry_type() {
            tar::EntryType::Directory => Kind::Directory,
            tar::EntryType::Symlink => Kind::Symlink(link()),
            tar::EntryType::Link => {
                let target: &Entry = &entries[link().trim_start_matches("./")];
                target.kind.clone()
            }
            _ => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                Kind::File(content.into())
            }
        };
        if !path.is_empty() {
            entries.insert(path, Entry { metadata, kind });
        }
    }
    entries
}

fn digest(path: &Path) -> Sha256 {
    Sha256::of(&std::fs::read(path).unwrap())
}

fn unpack(files: &[PathBuf]) -> Unpacked {
    let package = |path: &PathBuf| {
        let sha256 = digest(path);
        let deb = Deb::read(path, sha256, &|_| false, &NoCache).unwrap();
        let (name, version, arch) = (deb.control.package, deb.control.version, deb.control.architecture);
        PackageFile { name, version, arch, sha256, path: path.clone() }
    };
    let packages: Vec<_> = files.iter().map(package).collect();
    let task = Printer::default().task("unpacking", None);
    unpack_all(&packages, &Exclusions::default(), &NoCache, &task).unwrap()
}

#[test]
fn packages_read_as_dpkg_reads_them() {
    let (folder, files) = (tempfile::tempdir().unwrap(), packages());
    let copies = derived::Folder::new(folder.path().join("copies"), Sha256::of(b""));
    let (mut set_user_id, mut scripts) = (0, 0);
    for file in files {
        let read = || Deb::read(file, digest(file), &|_| true, &copies).unwrap();
        let deb = read();
        assert!(read().entries == deb.entries, "the copy of {}", file.display());
        let expected = oracle(file, folder.path());
        let found: BTreeMap<String, Entry> = deb.entries.into_iter().collect();
        // Not `assert_eq`: contents would be printed.
        for (path, entry) in &expected {
            let same = found.get(path);
            assert_eq!(same.map(|same| same.metadata), Some(entry.metadata), "{}: {path}", file.display());
            assert!(same.is_some_and(|same| same.kind == entry.kind), "{}: {path}", file.display());
            set_user_id += usize::from(entry.metadata.mode & 0o6000 != 0);
        }
        assert_eq!(found.len(), expected.len(), "{}", file.display());

        let fields = ["--field", file.to_str().unwrap(), "Package", "Version", "Architecture"];
        let control = &deb.control;
        assert_eq!(
            String::from_utf8(run("dpkg-deb", &fields, folder.path())).unwrap(),
            format!(
                "Package: {}\nVersion: {}\nArchitecture: {}\n",
                control.package, control.version, control.architecture
            )
        );
        for (kind, script) in &deb.scripts {
            let arguments = ["--info", file.to_str().unwrap(), kind.file_name()];
            let expected = run("dpkg-deb", &arguments, folder.path());
            assert_eq!(String::from_utf8_lossy(script), String::from_utf8_lossy(&expected));
        }
        scripts += deb.scripts.len();
    }
    assert!(set_user_id > 2, "`passwd` has set-user-ID programs");
    assert!(scripts > 2, "`libc6` has several scripts");
}

#[test]
fn the_library_cache_of_real_packages_is_what_ldconfig_makes() {
    let (folder, files) = (tempfile::tempdir().unwrap(), packages());
    let arch = host_arch(folder.path());
    let root = folder.path().join("root");
    for file in files {
        run("dpkg-deb", &["--extract", file.to_str().unwrap(), root.to_str().unwrap()], folder.path());
    }
    run("/sbin/ldconfig", &["-X", "-r", root.to_str().unwrap()], folder.path());
    let listed = |cache: &Path| -> Vec<String> {
        let text = run("/sbin/ldconfig", &["-p", "-C", cache.to_str().unwrap()], folder.path());
        let text = String::from_utf8(text).unwrap();
        text.lines().filter(|line| line.starts_with('\t')).map(str::to_owned).collect()
    };
    let mut tree = unpack(files).tree;
    ldcache::install(&mut tree, arch).unwrap();
    let cache = folder.path().join("cache");
    std::fs::write(&cache, tree.file(ldcache::PATH).unwrap()).unwrap();
    let theirs = listed(&root.join(ldcache::PATH));
    assert_eq!(listed(&cache), theirs);
    assert!(theirs.iter().any(|line| line.contains("libc.so.6")), "{theirs:?}");
}

#[test]
fn the_gate_names_exactly_the_libraries_that_no_package_brought() {
    let (folder, files) = (tempfile::tempdir().unwrap(), packages());
    let arch = host_arch(folder.path());
    let lacks = elf::check(&unpack(files).tree, arch).unwrap_err().to_string();
    // `passwd` needs PAM and SELinux, which are not among the packages; `bash` needs what is.
    assert!(lacks.contains("`usr/bin/passwd` needs `libpam.so.0`"), "{lacks}");
    assert!(!lacks.contains("`bin/bash`") && !lacks.contains("`usr/bin/bash`"), "{lacks}");
    assert!(!lacks.contains("`libc.so.6`") && !lacks.contains("`libtinfo.so.6`"), "{lacks}");
}
