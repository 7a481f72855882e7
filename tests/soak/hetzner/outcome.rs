//! What a run that a signal has ended leaves, and what becomes of it.

use std::thread;

use anyhow::ensure;
use machine::{Ending, Met};
use serde_json::Value;

use super::case::{Case, Run};
use super::project::{ACTION, All, Project, is_lock};
use super::site::Site;
use super::{ARE_MADE, HAS_BUNDLE, PATIENCE, wait};

/// What removes all that interrupted runs have left.
const ORPHANS: [&str; 3] = ["orphans", "--remove", "--yes"];
/// What takes a cluster down without its image.
const DOWN: [&str; 3] = ["down", "--yes", "--addresses"];

/// A run that a signal has ended.
pub(super) struct Outcome<'a> {
    pub(super) site: &'a Site,
    pub(super) project: &'a Project,
    /// What others have.
    pub(super) others: &'a All,
    /// What there was before the run.
    pub(super) before: &'a All,
    pub(super) case: Case,
    pub(super) met: Met,
}

impl Outcome<'_> {
    /// What a run has made is gone, by itself or by `orphans`; sometimes another `up` goes on with it in between.
    pub(super) fn is_undone(&self) -> anyhow::Result<&'static str> {
        let Self { project, before, case, met, .. } = self;
        ensure!(*met != Met::End, "it has ended without a machine");
        ensure!(*met == Met::Work || project.changes().is_empty(), "it does not watch for signals");
        let mut how = "undone";
        if case.ending == Ending::Kill {
            project.all().must_have(before)?;
            how = "removed as orphans";
            if case.run == Run::Up && case.is_resumed {
                self.go_on()?;
                how = "gone on with, undone, the rest removed as orphans";
            }
            let said = self.run(&ORPHANS)?;
            ensure!(said.matches("goes on").count() == 2, "two runs go on:\n{said}");
        }
        project.all().must_be(before)?;
        self.has_no_orphans()?;
        Ok(how)
    }

    /// Another `up` makes what is missing, and undoes that and nothing else.
    fn go_on(&self) -> anyhow::Result<()> {
        wait_for_actions();
        let found = self.project.all();
        let mut running = self.site.start(self.project, Run::Up.words())?;
        wait(&mut running, |running| Ok(running.said()?.contains(ARE_MADE)))?;
        Ending::Interrupt.end(&mut running, PATIENCE)?;
        let left = self.project.all();
        let more = left.more_than(&found);
        ensure!(more.is_empty(), "left by the other: {}", more.join(", "));
        let mut lost = found.more_than(&left);
        lost.retain(|name| !is_lock(name));
        ensure!(lost.is_empty(), "the other has removed {}", lost.join(", "));
        Ok(())
    }

    /// Once the control plane has its bundle, nothing is undone: `up` finishes it.
    pub(super) fn is_undone_or_finished(&self, has_bundle: bool) -> anyhow::Result<&'static str> {
        let Self { project, before, case, met, .. } = self;
        ensure!(*met == Met::Work, "it has ended without a node");
        let now = project.all();
        now.must_have(before)?;
        if case.ending != Ending::Kill && !has_bundle && now == **before {
            self.has_no_orphans()?;
            return Ok("undone");
        }
        wait_for_actions();
        let found = self.project.all();
        if has_bundle {
            // A cluster runs there.
            self.run(&ORPHANS)?;
            project.all().must_have(&found.without_locks())?;
        }
        let mut running = self.site.start(project, Run::Up.words())?;
        wait(&mut running, |running| Ok(running.said()?.contains(HAS_BUNDLE) && project.is_settled()))?;
        Ending::Interrupt.end(&mut running, PATIENCE)?;
        let mut new = project.all().more_than(&found);
        new.retain(|name| !is_lock(name));
        ensure!(new.is_empty(), "made anew: {}", new.join(", "));
        self.has_no_orphans()?;
        let plan: Value = serde_json::from_str(&self.output(&["plan", "--json"])?)?;
        let to_do = |step: &&Value| step["intent"] != "keep";
        let steps = plan["steps"].as_array().into_iter().flatten();
        ensure!(steps.clone().count() > 8 && !steps.clone().any(|step| to_do(&step)), "left to do: {plan}");
        self.run(&DOWN)?;
        project.all().must_be(before)?;
        Ok("finished by another `up`")
    }

    /// Nothing comes back, and another `down` ends the work.
    pub(super) fn is_taken_down(&self) -> anyhow::Result<&'static str> {
        let Self { project, others, before, case, .. } = self;
        let now = project.all();
        now.must_have(others)?;
        let mut more = now.more_than(before);
        if case.ending == Ending::Kill {
            more.retain(|name| !is_lock(name));
        }
        ensure!(more.is_empty(), "there is more than before: {}", more.join(", "));
        wait_for_actions();
        let later = project.all().more_than(&now);
        ensure!(later.is_empty(), "came back: {}", later.join(", "));
        self.run(Run::Down.words())?;
        let left = project.all().more_than(others);
        if case.ending == Ending::Kill && left.iter().all(|name| is_lock(name)) {
            // It was killed after all else was gone, and for the lock alone there is nothing to do.
            self.run(&ORPHANS)?;
        }
        project.all().must_be(others)?;
        self.has_no_orphans()?;
        Ok("ended by another `down`")
    }

    fn has_no_orphans(&self) -> anyhow::Result<()> {
        let said = self.run(&["orphans"])?;
        ensure!(said.starts_with("no orphans\n"), "there are orphans:\n{said}");
        Ok(())
    }

    /// Runs something to its end, which must be a good one; what it has said.
    fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut running = self.site.start(self.project, words)?;
        let status = running.wait(PATIENCE)?;
        let said = running.said()?;
        ensure!(status.success(), "`{}` ends with {status}:\n{said}", words.join(" "));
        Ok(said)
    }

    /// The same; its standard output alone.
    fn output(&self, words: &[&str]) -> anyhow::Result<String> {
        let simulator = &self.project.simulator;
        Ok(self.site.imgbuild(&simulator.url(), simulator.token(), words).output(PATIENCE)?)
    }
}

/// What has begun goes on at the provider. Whoever looks in between is told that the project changes.
fn wait_for_actions() {
    thread::sleep(ACTION * 3);
}
