//! Uploads to the Hetzner simulator's machines that are ended in the middle: nothing is left of them. Runs in the
//! simulator's network, and ends well if every case does.
//!
//! Arguments: `imgbuild`, its cluster file, its cache, the simulator's folder, how many uploads, the seed.
#![expect(clippy::print_stdout, reason = "uploads take minutes: tests say how far they are")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use imgbuild::process::Running;
use machine::{Ending, HetznerApi, Met, Operator, Random};
use serde_json::Value;

/// For an upload by emulation to come to its next stage, on a busy host.
const STAGE: Duration = Duration::from_mins(12);
/// For a run that was ended to clean up, and for `orphans`.
const CLEANING: Duration = Duration::from_mins(5);
/// How long a machine's files may stay after the API shows no server.
const GOING: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// What an upload says at the beginning of each part of its work.
const STAGES: [&str; 5] = [
    "making a temporary server",
    "starting its rescue system",
    "\"event\":\"progress\"",
    "making the snapshot",
    "removing the temporary server",
];
/// After that beginning, in milliseconds: at most so much, as parts last.
const LATER: [u64; 5] = [1_000, 60_000, 10_000, 1_000, 500];

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let operator = Operator::of_arguments(&mut arguments)?;
    let mut next = || arguments.next().context("an argument is missing");
    let uploads = Uploads { operator, folder: next()?.into(), api: HetznerApi::of_environment()? };
    let mut number = || -> anyhow::Result<u64> { Ok(next()?.to_string_lossy().parse()?) };
    let (count, seed) = (number()?, number()?);
    let mut random = Random::new(seed);
    let endings = Ending::ALL.into_iter().cycle();
    for (case, ending) in (1..=count).zip(endings) {
        // With three endings and five stages, each pair comes once in fifteen cases.
        let stage = usize::try_from(case.wrapping_add(seed) % 5)?;
        let (stage, later) = (STAGES[stage], Duration::from_millis(random.below(LATER[stage])));
        let (name, started) = (format!("case {case}: {ending} {later:.1?} after `{stage}`"), Instant::now());
        let how = uploads.end(ending, stage, later).with_context(|| name.clone())?;
        println!("{name}: {how}, {} s", started.elapsed().as_secs());
    }
    Ok(())
}

struct Uploads {
    operator: Operator,
    /// The simulator's.
    folder: PathBuf,
    api: HetznerApi,
}

impl Uploads {
    /// Ends an upload so long after the beginning of a part of its work.
    fn end(&self, ending: Ending, stage: &str, later: Duration) -> anyhow::Result<&'static str> {
        let mut running = self.operator.imgbuild(&["cloud", "--yes", "--progress", "json"]).start()?;
        let started = Instant::now();
        while !running.said()?.contains(stage) {
            let is_going = running.try_wait()?.is_none() && started.elapsed() < STAGE;
            ensure!(is_going, "it does not come so far:\n{}", running.said()?);
            std::thread::sleep(PAUSE);
        }
        std::thread::sleep(later);
        let met = ending.end(&mut running, CLEANING)?;
        let mut how = self.outcome(ending, met).with_context(|| said(&mut running))?;
        if self.is_whole()? {
            // The signal came when all was done.
            self.operator.imgbuild(&["down", "--yes", "--addresses", "--snapshots"]).output(CLEANING)?;
            how = "the snapshot was there already";
        }
        self.nothing_is_left().with_context(|| said(&mut running))?;
        Ok(how)
    }

    fn outcome(&self, ending: Ending, met: Met) -> anyhow::Result<&'static str> {
        if met != Met::Work || ending != Ending::Kill {
            return Ok("undone");
        }
        let orphans = || self.operator.imgbuild(&["orphans", "--remove", "--yes"]).output(CLEANING);
        let said = orphans()?;
        if !said.contains("goes on") {
            return Ok("removed as orphans");
        }
        // Where `/proc` is the host's, it cannot be told who is gone, and a person ends the lock by its hint.
        let status = fs::read_to_string("/proc/self/status").context("asking for this process' numbers")?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        ensure!(
            numbers.split_whitespace().count() > 1,
            "it takes a run that was killed for one that goes on:\n{said}"
        );
        let locks = self.api.control("GET", "/resources")?["firewalls"].clone();
        for lock in locks.as_array().into_iter().flatten() {
            self.api.ask("DELETE", &format!("/firewalls/{}", lock["id"]), &Value::Null)?;
        }
        orphans()?;
        Ok("removed as orphans, without the lock")
    }

    /// Whether a snapshot belongs to the cluster and to no run.
    fn is_whole(&self) -> anyhow::Result<bool> {
        let all = self.api.control("GET", "/resources")?;
        let is_whole = |image: &Value| image["labels"]["imgbuild.org/run"].is_null();
        Ok(all["images"].as_array().into_iter().flatten().any(is_whole))
    }

    /// Neither at the API nor of the machines.
    fn nothing_is_left(&self) -> anyhow::Result<()> {
        let left = self.api.control("GET", "/resources")?;
        let is_nothing = |kind: &Value| kind.as_array().is_some_and(Vec::is_empty);
        ensure!(left.as_object().is_some_and(|kinds| kinds.values().all(is_nothing)), "left is {left}");
        let started = Instant::now();
        loop {
            let left = self.of_machines()?;
            if left.is_empty() {
                return Ok(());
            }
            ensure!(started.elapsed() < GOING, "left are {}", left.join(", "));
            std::thread::sleep(PAUSE);
        }
    }

    /// Files of servers and snapshots, and QEMU's processes.
    fn of_machines(&self) -> anyhow::Result<Vec<String>> {
        let mut left = Vec::new();
        for name in ["servers", "images"] {
            for entry in fs::read_dir(self.folder.join(name)).context("looking for what is left")? {
                left.push(entry?.path().display().to_string());
            }
        }
        let folder = self.folder.to_string_lossy();
        for entry in fs::read_dir("/proc").context("looking for processes")? {
            // One that has ended meanwhile has no command line.
            let line = fs::read(entry?.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            if line.contains("qemu-system") && line.contains(&*folder) && !line.contains("hetzner-kills") {
                left.push(line.replace('\0', " "));
            }
        }
        Ok(left)
    }
}

fn said(running: &mut Running) -> String {
    format!("it said:\n{}", running.said().unwrap_or_default())
}
