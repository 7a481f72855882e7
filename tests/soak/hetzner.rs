//! Runs that are ended in the middle: `up`, `cloud` and `down` at the Hetzner simulator, with colleagues' runs beside.

mod case;
mod control_plane;
mod machines;
mod outcome;
mod project;
mod site;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use imgbuild::process::Running;
use machine::{Ending, Met, number};
use serde_json::json;

use self::case::{Case, Run};
use self::outcome::Outcome;
use self::project::{Addresses, Project};
use self::site::{CLUSTER, Site};

/// For what a run does by itself.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a run that would wait for a machine is watched while it does.
const WAITING: Duration = Duration::from_secs(3);
/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(20);
/// Runs beside each other: they mostly wait.
const BESIDE: usize = 10;
/// What `up` says when nothing is undone any more.
const HAS_BUNDLE: &str = "the control plane has its bundle";
/// And when all that is missing are machines.
const ARE_MADE: &str = "servers made and switched on";

/// N interruptions (default 208, two seconds each), chosen by SEED; CASE is one of them alone.
#[test]
fn hetzner_interruptions() -> anyhow::Result<()> {
    let site = Site::open()?;
    control_plane::answer(site.port, &site.membership_key)?;
    let (count, seed, only) = (number("N", 208)?, number("SEED", 1)?, number("CASE", 0)?);
    println!("SEED={seed} N={count}");
    let mut cases = Case::draw(count, seed);
    cases.retain(|case| only == 0 || case.number == only);
    let mut windows = BTreeMap::new();
    for run in Run::ALL {
        let window = site.window(run).with_context(|| format!("running `{run}` to its end"))?;
        println!("{run}: interrupted within {:.1} s", window.as_secs_f64());
        windows.insert(run.to_string(), window);
    }
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let whole = windows.get(&case.run.to_string()).copied().unwrap_or_default();
                    let outcome = site.interrupt(*case, whole);
                    match &outcome {
                        Ok((_, told)) => println!("{case}: {told}"),
                        Err(fault) => println!(
                            "{case}: {fault:#}\nonce more: make soak SUITE=hetzner_interruptions SEED={seed} N={count} \
                             CASE={}",
                            case.number
                        ),
                    }
                    let met = outcome.ok().map(|(met, _)| met);
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((*case, met));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed = outcomes.iter().filter(|(_, met)| met.is_none());
    let failed: Vec<_> = failed.map(|(case, _)| case.number).collect();
    ensure!(failed.is_empty(), "{} of {} cases fail: {failed:?}", failed.len(), outcomes.len());
    for run in Run::ALL {
        let of = outcomes.iter().filter(|(case, _)| case.run == run);
        let at_work = of.clone().filter(|(_, met)| *met == Some(Met::Work)).count();
        println!("{run}: {at_work} of {} at work", of.clone().count());
        ensure!(at_work * 2 >= of.count(), "`{run}` was interrupted at work {at_work} times only");
    }
    Ok(())
}

/// A run whose lock has another, as after a sleep, leaves what that may go on with.
#[test]
fn hetzner_lock_is_lost() -> anyhow::Result<()> {
    let site = Site::open()?;
    let project = site.project(Run::Up)?;
    site.prepare(&project, Run::Up)?;
    let mut running = site.start(&project, Run::Up.words())?;
    wait(&mut running, |running| Ok(running.said()?.contains(ARE_MADE)))?;
    project.unlock()?;
    let found = project.all();
    Ending::Interrupt.end(&mut running, PATIENCE)?;
    let said = running.said()?;
    ensure!(said.contains("something may be left that costs money") && said.contains("lock"), "{said}");
    project.all().must_have(&found)?;
    Ok(())
}

impl Site {
    /// In how much time a run can be interrupted: until its end, or until it waits for a machine and a little more.
    fn window(&self, run: Run) -> anyhow::Result<Duration> {
        let project = self.project(run)?;
        self.prepare(&project, run)?;
        let (mut started, mut running) = (Instant::now(), self.start(&project, run.words())?);
        match run {
            Run::Down => {
                let status = running.wait(PATIENCE)?;
                ensure!(status.success(), "{}", running.said()?);
                return Ok(started.elapsed());
            }
            Run::Up => wait(&mut running, |running| Ok(running.said()?.contains(ARE_MADE)))?,
            Run::Cloud => wait(&mut running, |_| Ok(project.has_upload_server_on()))?,
            Run::Settle => {
                wait(&mut running, |running| Ok(running.said()?.contains(ARE_MADE)))?;
                started = Instant::now();
                wait(&mut running, |running| Ok(running.said()?.contains(HAS_BUNDLE)))?;
                wait(&mut running, |_| Ok(project.is_settled()))?;
                return Ok(started.elapsed() + LOOK);
            }
        }
        Ok(started.elapsed() + WAITING)
    }

    /// A project with what others have.
    fn project(&self, run: Run) -> anyhow::Result<Project> {
        let addresses = if run == Run::Settle { Addresses::Here } else { Addresses::Nowhere };
        Project::new(&self.public_key()?, addresses)
    }

    /// What a run is begun with.
    fn prepare(&self, project: &Project, run: Run) -> anyhow::Result<()> {
        if run != Run::Cloud {
            project.upload(&self.digest)?;
        }
        if run == Run::Down {
            project.furnish(CLUSTER, &json!({ "imgbuild.org/cluster": CLUSTER }))?;
        }
        project.slow_down();
        Ok(())
    }

    fn start(&self, project: &Project, words: &[&str]) -> anyhow::Result<Running> {
        Ok(self.imgbuild(&project.simulator.url(), project.simulator.token(), words).start()?)
    }

    fn interrupt(&self, case: Case, whole: Duration) -> anyhow::Result<(Met, String)> {
        let project = self.project(case.run)?;
        let others = project.all();
        self.prepare(&project, case.run)?;
        let before = project.all();
        let mut running = self.start(&project, case.run.words())?;
        if case.run == Run::Settle {
            wait(&mut running, |running| Ok(running.said()?.contains(ARE_MADE)))?;
        }
        thread::sleep(case.instant(whole));
        let changes = project.changes();
        let last = changes.last().map_or("nothing", String::as_str);
        let met = case.ending.end(&mut running, PATIENCE)?;
        let said = running.said()?;
        let outcome = Outcome { site: self, project: &project, others: &others, before: &before, case, met };
        let how = match case.run {
            Run::Down => outcome.is_taken_down(),
            Run::Up | Run::Cloud => outcome.is_undone(),
            Run::Settle => outcome.is_undone_or_finished(said.contains(HAS_BUNDLE)),
        };
        let how = how.with_context(|| format!("after `{last}`; it said:\n{said}"))?;
        Ok((met, format!("change {} `{last}`: {how}", changes.len())))
    }
}

/// Waits until a run is somewhere.
fn wait(
    running: &mut Running,
    mut is_there: impl FnMut(&mut Running) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while !is_there(running)? {
        let is_going = running.try_wait()?.is_none() && started.elapsed() < PATIENCE;
        ensure!(is_going, "it does not come so far:\n{}", running.said()?);
        thread::sleep(LOOK);
    }
    Ok(())
}
