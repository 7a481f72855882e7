//! Power cuts at many instants of a first boot.

use machine::{Random, Recording, Scene, number};

/// N power cuts (default 10, some 70 s each by emulation), chosen by SEED.
#[test]
fn power_cuts() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("cloud")?;
    let mut recording = Recording::start("recorded", &bundle, &scene)?;
    recording.vm.wait_until_up()?;
    let first_boot = recording.finish()?;
    let (count, seed) = (number("N", 10)?, number("SEED", 1)?);
    let mut random = Random::new(seed);
    println!("SEED={seed} N={count}, {} instants", first_boot.window());
    for _ in 0..count {
        first_boot.cut_and_boot(&bundle, &mut random, &scene)?;
    }
    Ok(())
}
