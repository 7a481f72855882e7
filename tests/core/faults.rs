//! A damaged root is not run.

use machine::{Disk, Scene, expect_refusal};

/// The EROFS superblock begins here.
const SUPERBLOCK: u64 = 1024;

#[test]
fn one_flipped_bit_in_the_root_stops_the_boot() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let disk = Disk::of(&scene.build("cloud")?, &scene)?;
    disk.flip_bit("root-a", SUPERBLOCK)?;
    expect_refusal("flipped-bit", &disk, &["what:  opening the verified root", "Input/output error"], &scene)
}
