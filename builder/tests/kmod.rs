//! The module indexes of Debian's cloud kernel, compared with trixie's own depmod.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may panic and tell times")]

mod debian;
mod oracle;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use imgbuild::format::kmod::{Module, closure, indexes, read_modules};

use debian::Trixie;
use oracle::run;

/// A release's modules and the files that come with them.
struct Kernel {
    modules: Vec<Module>,
    order: String,
    builtin: String,
    builtin_modinfo: Vec<u8>,
}

impl Kernel {
    fn read(directory: &Path) -> Self {
        let mut paths = Vec::new();
        find(&directory.join("kernel"), &mut paths);
        let files: Vec<(String, Vec<u8>)> = paths
            .iter()
            .map(|path| {
                (path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
            })
            .collect();
        let files = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        let start = std::time::Instant::now();
        let modules = read_modules(files).unwrap();
        println!("{} modules read in {:?}", modules.len(), start.elapsed());
        let text = |name| fs::read_to_string(directory.join(name)).unwrap();
        Self {
            modules,
            order: text("modules.order"),
            builtin: text("modules.builtin"),
            builtin_modinfo: fs::read(directory.join("modules.builtin.modinfo")).unwrap(),
        }
    }
}

fn find(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

/// Runs trixie's depmod, with trixie's loader and libraries, on a copy of `modules`.
fn depmod(trixie: &Trixie, release: &str, modules: &Path) -> tempfile::TempDir {
    let base = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let into = base.path().join("lib/modules");
    fs::create_dir_all(&into).unwrap();
    run("cp", &["-a".as_ref(), modules.as_ref(), into.as_ref()], &[]);
    let multiarch = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let libraries: Vec<PathBuf> = ["libc6", "libkmod2", "liblzma5", "libzstd1", "libssl3t64"]
        .map(|package| trixie.unpacked(package).join(&multiarch))
        .into();
    let path = std::env::join_paths(&libraries).unwrap();
    let loaders = fs::read_dir(&libraries[0]).unwrap().map(|entry| entry.unwrap().path());
    let loader = loaders
        .into_iter()
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("ld-linux-"))
        .unwrap();
    let program = trixie.unpacked("kmod").join("usr/bin/kmod");
    let arguments: [&OsStr; 8] = [
        "--library-path".as_ref(),
        &path,
        "--argv0".as_ref(),
        "depmod".as_ref(),
        program.as_ref(),
        "-b".as_ref(),
        base.path().as_ref(),
        release.as_ref(),
    ];
    run(loader.to_str().unwrap(), &arguments, &[]);
    base
}

#[test]
fn writes_what_depmod_writes_and_orders_an_initrd_for_the_cloud_kernel() {
    let trixie = Trixie::new("kmod");
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let package = trixie.dependency(&format!("linux-image-cloud-{arch}"), "linux-image-");
    let release = package.strip_prefix("linux-image-").unwrap();
    let directory = trixie.unpacked(&package).join("usr/lib/modules").join(release);
    let kernel = Kernel::read(&directory);

    let start = std::time::Instant::now();
    let ours = indexes(&kernel.modules, &kernel.order, &kernel.builtin, &kernel.builtin_modinfo).unwrap();
    println!("indexes made in {:?}", start.elapsed());

    let base = depmod(&trixie, release, &directory);
    let theirs = base.path().join("lib/modules").join(release);
    let mut written: Vec<String> = fs::read_dir(&theirs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !directory.join(name).exists())
        .collect();
    written.sort();
    assert_eq!(ours.keys().collect::<Vec<_>>(), written.iter().collect::<Vec<_>>());
    for (name, content) in &ours {
        let expected = fs::read(theirs.join(name)).unwrap();
        let differs = content.iter().zip(&expected).position(|(ours, theirs)| ours != theirs);
        assert!(
            *content == expected,
            "{name}: {} bytes, depmod {}, first difference at {differs:?}",
            content.len(),
            expected.len()
        );
    }

    orders_an_initrd(&kernel);
}

/// libcrc32c names `crc32c`, an alias, in a softdep; without a driver for it, it does not load.
fn orders_an_initrd(kernel: &Kernel) {
    let wanted = ["erofs", "dm-verity", "virtio_blk"].map(str::to_owned);
    let found = closure(&kernel.modules, &kernel.builtin, &kernel.builtin_modinfo, &wanted).unwrap();
    let names: Vec<&str> = found.iter().map(|module| module.info.name.as_str()).collect();
    let place = |prefix: &str| {
        let place = names.iter().position(|name| name.starts_with(prefix));
        place.unwrap_or_else(|| panic!("{prefix}… in {names:?}"))
    };
    for (earlier, later) in
        [("crc32c_", "libcrc32c"), ("libcrc32c", "erofs"), ("dm_bufio", "dm_verity"), ("dm_mod", "dm_bufio")]
    {
        assert!(place(earlier) < place(later), "{earlier} before {later} in {names:?}");
    }
    assert!(names.contains(&"virtio_blk"));
}
