//! A k3s release: the search for its asset, and the archive in it, which must not leave its folder.

#![no_main]

use imgbuild::format::k3s;
use imgbuild::profile::Placement;
use imgbuild::rootfs::artifact;
use imgbuild::tree::Tree;
use imgbuild::units::Sha256;

/// Where a release is unpacked.
const FOLDER: &str = "usr/lib/k3s";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = k3s::find(&[b"\x7fELF\x02", data].concat());
    // No fuzzer finds a digest: here the input is the asset, and its name is right.
    let name = format!("{}.tar.zst", Sha256::of(data));
    let release = [b"\x7fELF\x02".as_slice(), name.as_bytes(), data].concat();
    let mut tree = Tree::default();
    let placement = Placement::K3s { folder: FOLDER.to_owned() };
    if artifact::place(&mut tree, &release.into(), &placement).is_ok() {
        for (path, _) in tree.iter() {
            assert!(FOLDER.starts_with(path) || path.starts_with(FOLDER), "{path}");
        }
    }
});
