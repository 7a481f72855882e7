//! Power cuts on a node's way into the cluster: at the boundaries of its phases, and at any instant. What its disk had
//! not flushed is lost by chance. The next boot ends Ready, always.
//!
//! `N` cuts (default 3) from the one that `SEED` (default 1) begins with. 36 are each boundary and 30 instants, which
//! `SEED` also chooses.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use machine::{Disk, Power, READY, Random, Vm, WriteLog, number};

use super::cluster::Site;
use super::slots::window;

/// Words that begin a phase.
const BOUNDARIES: [&str; 6] = [
    "phase       claiming",
    "phase       starting k3s",
    READY,
    "phase       connecting",
    "phase       configured",
    "stage0: starting /",
];
/// All cases: the boundaries, then instants.
const CASES: usize = 36;
/// Longer than any boot that is cut.
const LONGEST: Duration = Duration::from_mins(6);

#[test]
fn cluster_cuts_of_an_edge_end_in_ready() -> anyhow::Result<()> {
    let cases = window(CASES, 3)?;
    let site = Site::open("cuts", u64::try_from(CASES)?)?;
    let disk = site.disk()?;
    let _control_plane = site.control_plane(&disk)?;
    let mut random = Random::new(number("SEED", 1)?);
    // As the first boots show; instants lie within.
    let mut usual = Duration::from_mins(2);
    for case in cases {
        // Each has a place of its own in the cluster: nobody has claimed it before.
        let node = format!("edge{}", case + 1);
        let disk = site.disk()?;
        let power = site.power(&node)?;
        let log = disk.folder().join("writes");
        let mut edge = site.start(&node, &disk, Power { write_log: Some(log.clone()), ..power.clone() })?;
        let started = Instant::now();
        if let Some(words) = BOUNDARIES.get(case) {
            wait_for_boundary(&mut edge, words)?;
        } else {
            let most = u64::try_from(usual.as_millis())?;
            edge.run_for(Duration::from_millis(random.below(most)), READY)?;
        }
        let time = started.elapsed();
        edge.cut_power()?;
        let left = site.disk()?;
        let log = WriteLog::load(&log)?;
        let cut = log.cut(log.requests(), &left.open()?, &mut random)?;
        println!("case {} of {CASES}: {node} cut after {} s: {cut:?}", case + 1, time.as_secs());
        let begun = Instant::now();
        boots_to_ready(&site, &node, &left, power).with_context(|| format!("case {}: {cut:?}", case + 1))?;
        usual = usual.max(begun.elapsed());
        println!("case {} of {CASES}: Ready, {} s", case + 1, begun.elapsed().as_secs());
    }
    Ok(())
}

fn boots_to_ready(site: &Site, node: &str, disk: &Disk, power: Power) -> anyhow::Result<()> {
    let mut edge = site.start(&format!("{node}-again"), disk, power)?;
    edge.wait_for(READY)?;
    // k3s of the next boot finds another node of this name gone.
    edge.cut_power()
}

fn wait_for_boundary(vm: &mut Vm, words: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    while started.elapsed() < LONGEST && !vm.console().contains(words) && !vm.console().contains(READY) {
        vm.run_for(Duration::from_millis(100), words)?;
    }
    ensure!(vm.console().contains(words), "the boundary `{words}` was never reached:\n{}", vm.console());
    Ok(())
}

/// The same for a control plane, whose bundle is pushed once: at the boundaries alone, each time another cluster.
#[test]
fn cluster_cuts_of_a_control_plane_end_in_ready() -> anyhow::Result<()> {
    const WORDS: [&str; 4] = [
        "phase       bootstrapping",
        "phase       starting k3s",
        "phase       waiting for its operator",
        READY,
    ];
    let cases = window(WORDS.len(), 3)?;
    let site = Site::open("cuts-of-control-planes", 1)?;
    let mut random = Random::new(number("SEED", 1)?);
    for case in cases {
        let words = WORDS.get(case).context("there is such a case")?;
        let disk = site.disk()?;
        let (power, _pushed) = site.power_of_control_plane()?;
        let log = disk.folder().join("writes");
        let mut vm = site.start("cp1", &disk, Power { write_log: Some(log.clone()), ..power.clone() })?;
        wait_for_boundary(&mut vm, words)?;
        vm.cut_power()?;
        let left = site.disk()?;
        let log = WriteLog::load(&log)?;
        let cut = log.cut(log.requests(), &left.open()?, &mut random)?;
        println!("case {} of {}: cp1 cut at `{words}`: {cut:?}", case + 1, WORDS.len());
        boots_to_ready(&site, "cp1", &left, power).with_context(|| format!("at `{words}`: {cut:?}"))?;
    }
    Ok(())
}
