//! `make bench`: speed and size of builds, boots and claims, as ratios against peers measured in the same run.
//!
//! Packages lie on this machine before any clock starts, and the page cache is warm for everybody: one
//! build and the peers' downloads come first. Exit code 1 says that a bound is missed.

mod boot;
mod claims;
mod cloud;
mod joined;
mod measure;
mod mkosi;
mod ours;
mod peer;
mod program;
mod report;
mod transport;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use self::cloud::Cloud;
use self::mkosi::Mkosi;
use self::ours::Ours;
use self::peer::Peer;
use self::report::Report;

/// Times builds of the cloud profile and its peers
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
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
    /// Measure nothing but a control plane that is switched on again
    #[arg(long, conflicts_with = "without_boots")]
    only_control_plane: bool,
    /// Measure nothing but an upload to the cloud
    #[arg(long, conflicts_with_all = ["without_boots", "only_control_plane"])]
    only_cloud: bool,
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
    if arguments.only_control_plane {
        let mut report = Report::default();
        let measured = measure::joined(work.path(), &mut report);
        return show(&report, measured, arguments);
    }
    let cache = folder.join("cache");
    if arguments.only_cloud {
        let cloud = Cloud::prepare(&program, work.path(), &cache)?;
        let mut report = Report::default();
        let measured = measure::cloud(&cloud, &mut report);
        return show(&report, measured, arguments);
    }
    let ours = Ours::prepare(&program, &work.path().join("cluster"), &cache)?;
    let peer = Peer::prepare(&folder, work.path(), &ours.selection()?)?;
    let mkosi = match &arguments.mkosi {
        Some(configuration) => {
            say("mkosi: downloading packages, making its tools")?;
            Some(Mkosi::prepare(configuration, folder.join("mkosi"))?)
        }
        None => None,
    };

    let mut report = Report::default();
    let places = Places { program: &program, cache: &cache, work: work.path() };
    let measured = measure(arguments, &ours, &peer, mkosi, &places, &mut report);
    show(&report, measured, arguments)
}

/// Prints what was measured, whether or not all was.
fn show(report: &Report, measured: anyhow::Result<()>, arguments: &Arguments) -> anyhow::Result<bool> {
    let text = if arguments.json { report.json()? } else { report.table() };
    io::stdout().write_all(text.as_bytes()).context("printing the report")?;
    measured.context("measuring the rest")?;
    Ok(report.bounds.iter().all(|bound| bound.is_kept))
}

/// The program to measure, and where it works.
struct Places<'a> {
    program: &'a Path,
    cache: &'a Path,
    work: &'a Path,
}

/// Puts everything into `report`, in which an error leaves what was measured before.
fn measure(
    arguments: &Arguments,
    ours: &Ours,
    peer: &Peer,
    mkosi: Option<Mkosi>,
    &Places { program, cache, work }: &Places<'_>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let measured = measure::ours(ours, arguments.runs, report)?;
    measure::peer(peer, arguments.peer_runs, &measured, report)?;
    match mkosi {
        Some(mkosi) => measure::mkosi(&mkosi, arguments.peer_runs, &measured, report)?,
        None => say(&format!("not compared with mkosi: {} names no folder", mkosi::VARIABLE))?,
    }
    measure::sizes(ours, report)?;
    measure::claims(arguments.runs, work, report)?;
    if !arguments.without_boots {
        measure::boots(ours, peer, work, report)?;
        measure::joined(work, report)?;
        measure::cloud(&Cloud::prepare(program, work, cache)?, report)?;
    }
    Ok(())
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(io::stderr(), "{text}").context("telling what is measured")
}
