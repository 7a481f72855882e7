//! `make bench`: speed and size of a build, as ratios against peers measured in the same run.
//!
//! Packages lie on this machine before any clock starts, and the page cache is warm for everybody: one
//! build and the peers' downloads come first. Exit code 1 says that a bound is missed.

mod boot;
mod mkosi;
mod ours;
mod peer;
mod program;
mod report;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use self::boot::{Boot, Bootable};
use self::mkosi::Mkosi;
use self::ours::{Build, Ours};
use self::peer::{Peer, PeerRun};
use self::report::{Bound, Report, Samples};

/// Times builds of the cloud profile and its peers
#[derive(Debug, Parser)]
struct Arguments {
    /// Times that each of our own steps is run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Times that the peers are run
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    peer_runs: u32,
    /// Leave out the boots, which are emulated and take some minutes
    #[arg(long)]
    without_boots: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Folder for downloads, kept, and work; without it, imgbuild-bench in the temporary folder
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Folder of a mkosi.conf to compare with, by the mkosi on PATH
    #[arg(long, value_name = "DIR", env = mkosi::VARIABLE)]
    mkosi: Option<PathBuf>,
    /// The program to measure; without it, the imgbuild that cargo left beside this one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints, and says whether every bound is kept.
fn bench(arguments: &Arguments) -> anyhow::Result<bool> {
    let folder = arguments.folder.clone().unwrap_or_else(|| std::env::temp_dir().join("imgbuild-bench"));
    std::fs::create_dir_all(&folder).with_context(|| format!("making folder `{}`", folder.display()))?;
    let work = tempfile::tempdir_in(&folder).context("making the work folder")?;
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().context("finding this program")?.with_file_name("imgbuild"),
    };
    let ours = Ours::prepare(&program, &work.path().join("cluster"), &folder.join("cache"))?;
    let peer = Peer::prepare(&folder, work.path(), &ours.selection()?)?;
    let mkosi = match &arguments.mkosi {
        Some(configuration) => {
            say("mkosi: downloading packages, making its tools")?;
            Some(Mkosi::prepare(configuration, folder.join("mkosi"))?)
        }
        None => None,
    };

    let mut report = Report::default();
    let measured = measure_ours(&ours, arguments.runs, &mut report)?;
    measure_peer(&peer, arguments.peer_runs, &measured, &mut report)?;
    match mkosi {
        Some(mkosi) => measure_mkosi(&mkosi, arguments.peer_runs, &measured, &mut report)?,
        None => say(&format!("not compared with mkosi: {} names no folder", mkosi::VARIABLE))?,
    }
    if !arguments.without_boots {
        measure_boots(&ours, &peer, work.path(), &mut report)?;
    }
    let text = if arguments.json { report.json()? } else { report.table() };
    io::stdout().write_all(text.as_bytes()).context("printing the report")?;
    Ok(report.bounds.iter().all(|bound| bound.is_kept))
}

/// Medians that peers are compared with; seconds.
struct Measured {
    cold: f64,
    cold_cpu: f64,
    warm: f64,
    changed: f64,
}

fn measure_ours(ours: &Ours, runs: u32, report: &mut Report) -> anyhow::Result<Measured> {
    say("building from packages")?;
    let cold = repeat(runs, |_| ours.build_cold())?;
    say("building with extents of the build before")?;
    let warm = repeat(runs, |_| ours.build_warm())?;
    say("building again without changes")?;
    let again = repeat(runs, |_| ours.build_again())?;
    say("building with another file")?;
    ours.build_changed("before")?;
    let changed = repeat(runs, |run| ours.build_changed(&format!("change {run}")))?;
    let record = repeat(runs, |_| ours.record())?;

    let of = |name: &str, builds: &[Build]| Samples::costs(name, builds.iter().map(|build| build.cost));
    let [cold_time, cold_cpu] = of("build from packages", &cold);
    let [warm_time, warm_cpu] = of("build with extents", &warm);
    let [again, _] = Samples::costs("build again, nothing changed", again);
    let [changed, _] = Samples::costs("build, one file of the profile changed", changed);
    let [record, _] = Samples::costs("one value of a node changed: its record", record);
    let memory = Samples::bytes("peak memory", cold.iter().map(|build| build.peak_memory).collect());
    let initrd = Samples::bytes("initrd", cold.iter().map(|build| build.initrd).collect());
    let uki = Samples::bytes("UKI", cold.iter().map(|build| build.uki).collect());
    report.bounds.extend([
        Bound::of(&again, 1.0),
        Bound::of(&memory, 1024.0 * 1024.0 * 1024.0),
        Bound::of(&initrd, 1_600_000.0),
        Bound::of(&uki, 15_000_000.0),
    ]);
    let measured = Measured {
        cold: cold_time.median,
        cold_cpu: cold_cpu.median,
        warm: warm_time.median,
        changed: changed.median,
    };
    report.samples.extend([cold_time, cold_cpu, warm_time, warm_cpu, again, changed, record]);
    report.samples.extend([memory, initrd, uki]);
    Ok(measured)
}

fn measure_peer(peer: &Peer, runs: u32, ours: &Measured, report: &mut Report) -> anyhow::Result<()> {
    say("mmdebstrap, mkfs.erofs and veritysetup with the same packages")?;
    let peers = repeat(runs, |_| peer.run())?;
    let total = Samples::costs("mmdebstrap + mkfs.erofs + veritysetup", peers.iter().map(PeerRun::total));
    let [mmdebstrap, _] = Samples::costs("  mmdebstrap", peers.iter().map(|run| run.mmdebstrap));
    let [erofs, _] = Samples::costs("  mkfs.erofs", peers.iter().map(|run| run.erofs));
    let [verity, _] = Samples::costs("  veritysetup format", peers.iter().map(|run| run.verity));
    let ratio = ours.cold / total[0].median;
    report.bounds.push(Bound::ratio("build : mmdebstrap + mkfs.erofs + veritysetup", ratio, 1.0 / 8.0));
    report.samples.extend(total.into_iter().chain([mmdebstrap, erofs, verity]));
    Ok(())
}

fn measure_mkosi(mkosi: &Mkosi, runs: u32, ours: &Measured, report: &mut Report) -> anyhow::Result<()> {
    say("mkosi, full build")?;
    let [full, cpu] = Samples::costs("mkosi", repeat(runs, |_| mkosi.full())?);
    say("mkosi, full build without Minimize=best")?;
    let unminimized = repeat(runs, |_| mkosi.full_unminimized())?;
    let [unminimized, unminimized_cpu] = Samples::costs("mkosi without Minimize=best", unminimized);
    say("mkosi, incremental build")?;
    mkosi.prepare_incremental()?;
    let incremental = repeat(runs, |run| mkosi.incremental(&format!("change {run}\n")))?;
    let [incremental, _] = Samples::costs("mkosi --incremental, one file changed", incremental);
    report.bounds.extend([
        Bound::ratio("build : mkosi", ours.cold / full.median, 1.0 / 20.0),
        Bound::ratio("build : mkosi, CPU time", ours.cold_cpu / cpu.median, 1.0 / 10.0),
        Bound::ratio("build with extents : mkosi", ours.warm / full.median, 1.0 / 40.0),
        Bound::seconds("one file changed", ours.changed, f64::max(1.5, incremental.median / 25.0)),
    ]);
    report.samples.extend([full, cpu, unminimized, unminimized_cpu, incremental]);
    Ok(())
}

/// First and later boots: the first one makes the state partition, or what a package leaves to it.
fn measure_boots(ours: &Ours, peer: &Peer, work: &Path, report: &mut Report) -> anyhow::Result<()> {
    say("emulated boots")?;
    let twice = |bootable: &Bootable| repeat(2, |_| bootable.boot());
    let ours = twice(&ours.bootable(work)?)?;
    let root = work.join("root");
    peer.bootstrap(&root)?;
    let debian = twice(&Bootable::debian(&root, work)?)?;
    for (name, boots) in [("ours", &ours), ("Debian's initramfs", &debian)] {
        for (which, boot) in ["first", "later"].into_iter().zip(boots) {
            let of = |what: &str| format!("{which} boot by {name}: {what}");
            report.samples.extend([
                Samples::guest(&of("kernel to PID 1"), boot.manager),
                Samples::guest(&of("kernel to firstboot"), boot.firstboot),
                Samples::bytes(&of("memory in use"), vec![boot.memory]),
            ]);
        }
    }
    let ours = ours.last().context("no boot of ours")?;
    // The faster one: at times Debian's generators hang in emulation until their deadline.
    let least = |of: fn(&Boot) -> f64| debian.iter().map(of).fold(f64::INFINITY, f64::min);
    let (manager, firstboot) = (least(|boot| boot.manager), least(|boot| boot.firstboot));
    report.bounds.extend([
        Bound::ratio("kernel to PID 1 : Debian's initramfs", ours.manager / manager, 0.25),
        Bound::ratio("kernel to firstboot : Debian's initramfs", ours.firstboot / firstboot, 0.7),
        Bound::bytes("memory in use", ours.memory, 150e6),
    ]);
    Ok(())
}

/// The results of run 0, 1, 2, …
fn repeat<T>(runs: u32, once: impl FnMut(u32) -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
    (0..runs).map(once).collect()
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(io::stderr(), "{text}").context("telling what is measured")
}
