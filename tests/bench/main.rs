//! `make bench`: speed and size of a build, as ratios against peers measured in the same run.
//!
//! Packages lie on this machine before any clock starts, and the page cache is warm for everybody: one
//! build and the peers' downloads come first. Exit code 1 says that a bound is missed.

mod ours;
mod peer;
mod program;
mod report;
mod transport;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use imgbuild::units::Arch;

use self::ours::Ours;
use self::peer::Peer;
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
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Folder for downloads, kept, and work; without it, imgbuild-bench in the temporary folder
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
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
    let ours = Ours::prepare(&program, &work.path().join("cluster"))?;
    let peer = Peer::prepare(&folder, work.path(), &ours.selection()?)?;
    let mut report = time(arguments, &ours, &peer)?;
    report.extend(sizes(&ours)?);
    let text = if arguments.json { report.json()? } else { report.table() };
    io::stdout().write_all(text.as_bytes()).context("printing the report")?;
    Ok(report.bounds.iter().all(|bound| bound.is_kept))
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(io::stderr(), "{text}").context("telling what is measured")
}

/// How long builds and the peers take.
fn time(arguments: &Arguments, ours: &Ours, peer: &Peer) -> anyhow::Result<Report> {
    say("building from cached packages")?;
    let builds = (0..arguments.runs).map(|_| ours.build()).collect::<anyhow::Result<Vec<_>>>()?;
    say("building again without changes")?;
    let repeated = (0..arguments.runs).map(|_| ours.build_again()).collect::<anyhow::Result<Vec<_>>>()?;
    say("mmdebstrap, mkfs.erofs and veritysetup with the same packages")?;
    let peers = (0..arguments.peer_runs).map(|_| peer.run()).collect::<anyhow::Result<Vec<_>>>()?;

    let seconds = |name: &str, values: Vec<f64>| Samples::seconds(name, values);
    let built =
        seconds("build, cached packages to disk.raw", builds.iter().map(|build| build.seconds).collect());
    let again = seconds("build again, nothing changed", repeated);
    let peer =
        seconds("mmdebstrap + mkfs.erofs + veritysetup", peers.iter().map(peer::PeerRun::total).collect());
    let memory = Samples::bytes("peak memory", builds.iter().map(|build| build.peak_memory).collect());
    let initrd = Samples::bytes("initrd, cloud amd64", builds.iter().map(|build| build.initrd).collect());
    let uki = Samples::bytes("UKI", builds.iter().map(|build| build.uki).collect());
    let bounds = vec![
        Bound::ratio("build : mmdebstrap + mkfs.erofs + veritysetup", built.median / peer.median, 1.0 / 8.0),
        Bound::of(&again, 1.0),
        Bound::of(&memory, 1024.0 * 1024.0 * 1024.0),
        Bound::of(&initrd, 1_600_000.0),
        Bound::of(&uki, 15_000_000.0),
    ];
    let parts = [
        seconds("  mmdebstrap", peers.iter().map(|run| run.mmdebstrap).collect()),
        seconds("  mkfs.erofs", peers.iter().map(|run| run.erofs).collect()),
        seconds("  veritysetup format", peers.iter().map(|run| run.verity).collect()),
    ];
    let samples = [built, again, peer].into_iter().chain(parts).chain([memory, initrd, uki]).collect();
    Ok(Report { samples, bounds })
}

/// How large what is sent is, and the initrds of other images.
fn sizes(ours: &Ours) -> anyhow::Result<Report> {
    let mut report = Report::default();
    say("initrds of other images")?;
    for (name, profile, arch, most) in [
        ("initrd, cloud arm64", "cloud", Arch::Arm64, 2_500_000.0),
        ("initrd, edge amd64", "edge", Arch::Amd64, 8_000_000.0),
    ] {
        let initrd = Samples::bytes(name, vec![ours.initrd(profile, arch)?]);
        report.bounds.push(Bound::of(&initrd, most));
        report.samples.push(initrd);
    }
    say("compressing disks as releases are")?;
    for (name, profile, most) in [
        ("disk by zstd -19 --long=27, root lz4hc", ours::PROFILE, 75_000_000.0),
        ("disk by zstd -19 --long=27, root plain", ours::PLAIN, 66_000_000.0),
    ] {
        let transport = ours.transport(profile)?;
        let whole = Samples::bytes(name, vec![transport.total]);
        report.bounds.push(Bound::of(&whole, most));
        report.samples.push(whole);
        let parts = transport.parts.into_iter();
        report.samples.extend(parts.map(|(name, size)| Samples::bytes(&format!("  {name}"), vec![size])));
    }
    Ok(report)
}
