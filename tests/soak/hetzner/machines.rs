//! Uploads by machines, which are ended in the middle.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use machine::number;

use super::Site;

/// For a case, by emulation on a busy host.
const CASE: Duration = Duration::from_mins(15);

/// N uploads (default 6, up to six minutes each by emulation) that are ended in the middle, chosen by SEED.
#[test]
fn hetzner_machine_kills() -> anyhow::Result<()> {
    let site = Site::open()?;
    let (count, seed) = (number("N", 6)?, number("SEED", 1)?);
    println!("SEED={seed} N={count}");
    let folder = site.scene.folder().join("hetzner");
    let mut running = site
        .scene
        .hetzner_machines(&folder)?
        .environment("XDG_CONFIG_HOME", site.joining.settings())
        .argument("--")
        .argument(Path::new(env!("CARGO_BIN_EXE_hetzner-kills")))
        .argument(site.scene.program())
        .argument(site.joining.cluster_file())
        .argument(site.scene.cache())
        .argument(&folder)
        .arguments([count.to_string(), seed.to_string()])
        .start()?;
    let cases = u32::try_from(count).context("that is too many")?;
    let status = running.wait(CASE.saturating_mul(cases.saturating_add(1)));
    let said = running.said().context("reading what the simulator said")?;
    print!("{said}");
    ensure!(status?.success(), "once more: make soak SUITE=hetzner_machine_kills SEED={seed} N={count}");
    Ok(())
}
