//! Where the node stands, told to its status, its consoles, the journal, and on failure to its medium.

use std::io::{self, Write as _};
use std::time::{Duration, Instant, SystemTime};

use super::pace::Pace;
use crate::apply::StepState;
use crate::claim::code::Code;
use crate::consoles;
use crate::converge::System;
use crate::last_failure;
use crate::screen::APPROVE;
use crate::status::{self, Phase, Status};

/// Between two writes to the medium, however often the reason changes: sticks wear out.
const WRITE_AGAIN: Duration = Duration::from_mins(10);

/// Tells what has changed, once.
#[derive(Debug)]
pub(super) struct Reporter<'a> {
    system: &'a System,
    last: Option<Told>,
    failure: Failure,
    /// The last try at the medium did not succeed: it is in use, or broken.
    is_unwritten: bool,
    pace: Pace,
}

/// What was told last.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Told {
    phase: Phase,
    reason: String,
    code: Option<Code>,
    is_overdue: bool,
    began: Instant,
}

/// What lies on the medium.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failure {
    /// An earlier start may have left something.
    Unknown,
    /// Nothing.
    Gone,
    /// What the node said in this phase, written then.
    Kept(Phase, Instant),
}

impl<'a> Reporter<'a> {
    pub(super) const fn new(system: &'a System) -> Self {
        Self { system, last: None, failure: Failure::Unknown, is_unwritten: false, pace: Pace::new() }
    }

    /// The node is in this phase, for this reason; `hint` is what a person can do about it.
    pub(super) fn phase(&mut self, phase: Phase, reason: &str, hint: Option<&str>) -> anyhow::Result<()> {
        self.tell(phase, reason, hint, None)
    }

    /// The node is where it should be.
    pub(super) fn ready(&mut self) -> anyhow::Result<()> {
        self.phase(Phase::Ready, "the cluster sees this node as Ready", None)
    }

    /// The node waits for a person who sees its code; `naming` is what they add to the command.
    pub(super) fn waiting(&mut self, code: &Code, naming: &str) -> anyhow::Result<()> {
        let hint = format!("the same code there? `{APPROVE} {code}{naming}`");
        self.tell(Phase::WaitingForApproval, &format!("code {code}"), Some(&hint), Some(code))
    }

    fn tell(
        &mut self,
        phase: Phase,
        reason: &str,
        hint: Option<&str>,
        code: Option<&Code>,
    ) -> anyhow::Result<()> {
        let before = self.last.take().filter(|last| last.phase == phase);
        let began = before.as_ref().map_or_else(Instant::now, |last| last.began);
        let is_overdue = phase.deadline().is_some_and(|deadline| began.elapsed() >= deadline);
        let now = Told { phase, reason: reason.to_owned(), code: code.cloned(), is_overdue, began };
        let is_same = before.as_ref() == Some(&now);
        let is_news =
            before.as_ref().is_none_or(|last| last.is_overdue != is_overdue || last.code != now.code);
        self.last = Some(now);
        if is_same {
            if self.is_unwritten
                && let Some(status) = status::read(self.system)?
            {
                self.keep_failure(&status);
            }
            return Ok(());
        }
        let changed = status::update(self.system, |status| {
            // Since when it is so, not since when it is so for this reason.
            if before.is_none() {
                status.since = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
            }
            status.phase = phase;
            reason.clone_into(&mut status.reason);
            status.hint = hint.or(phase.advice().filter(|_| is_overdue)).map(str::to_owned);
            status.overdue = is_overdue;
            status.code = code.cloned();
        })?;
        say(reason);
        if let Some(status) = changed {
            if is_news && self.system.is_live() {
                consoles::show(&status);
            }
            self.keep_failure(&status);
        }
        Ok(())
    }

    /// A medium that takes nothing keeps no node from its work.
    fn keep_failure(&mut self, status: &Status) {
        let outcome = match (status.phase, self.failure) {
            (Phase::Ready, Failure::Gone) => return,
            (Phase::Ready, _) => last_failure::forget(self.system).map(|()| Failure::Gone),
            (phase, Failure::Kept(kept, at)) if phase == kept && at.elapsed() < WRITE_AGAIN => return,
            (phase, _) if phase == Phase::Stopped || status.overdue => {
                last_failure::keep(status, self.system).map(|()| Failure::Kept(phase, Instant::now()))
            }
            _ => return,
        };
        match outcome {
            Ok(now) => (self.failure, self.is_unwritten) = (now, false),
            Err(fault) => {
                if !self.is_unwritten {
                    say(&format!("the medium tells nobody of this: {fault:#}"));
                }
                self.is_unwritten = true;
            }
        }
    }

    /// Tells the cluster by `tell` where that is due.
    pub(super) fn report(&mut self, tell: impl FnOnce(&Status) -> anyhow::Result<()>) {
        let Some(Told { phase, reason, is_overdue, .. }) = &self.last else { return };
        let news = (*phase, reason.clone(), *is_overdue);
        let now = Instant::now();
        if !self.pace.is_due(&news, now) {
            return;
        }
        let told = status::read(self.system).and_then(|status| status.map_or(Ok(()), |status| tell(&status)));
        match told {
            Ok(()) => self.pace.told(news, now),
            Err(fault) => {
                if self.pace.failed(now) {
                    say(&format!("the cluster is not told: {fault:#}"));
                }
            }
        }
    }

    /// A step of the plan was carried out.
    pub(super) fn step(&self, name: &str, state: StepState) -> anyhow::Result<()> {
        status::update(self.system, |status| {
            for step in status.steps.iter_mut().filter(|step| step.name == name) {
                step.state = state;
            }
        })?;
        Ok(())
    }
}

/// To the journal; what is worth a person's eyes at the machine is a phase.
pub(super) fn say(line: &str) {
    // Nobody is there to be told that nobody can be told.
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::last_failure::tests::{kept, started};
    use crate::run::run;

    /// A machine that `firstboot` has looked at.
    fn reported() -> (tempfile::TempDir, System) {
        let (folder, system) = started(&[]);
        let status = run(&system, None).unwrap();
        system.ensure_file(status::PATH, &serde_json::to_vec(&status).unwrap(), 0o644).unwrap();
        (folder, system)
    }

    fn shown(system: &System) -> Status {
        serde_json::from_slice(&system.read(status::PATH).unwrap().unwrap()).unwrap()
    }

    fn pass(reporter: &mut Reporter<'_>, time: Duration) {
        let last = reporter.last.as_mut().unwrap();
        last.began = last.began.checked_sub(time).unwrap();
    }

    #[test]
    fn a_phase_that_lasts_too_long_is_overdue_with_its_cause_and_what_to_do() {
        let (_folder, system) = reported();
        let mut reporter = Reporter::new(&system);
        let connect = |reporter: &mut Reporter<'_>, reason: &str| {
            reporter.phase(Phase::Connecting, reason, None).unwrap();
            shown(&system)
        };
        assert!(!connect(&mut reporter, "no packet").overdue);
        pass(&mut reporter, Duration::from_mins(9));
        assert!(!connect(&mut reporter, "still no packet").overdue, "another reason is no other phase");
        assert_eq!(kept(&system), None);
        pass(&mut reporter, Duration::from_mins(1));
        let status = connect(&mut reporter, "still no packet");
        assert!(status.overdue && status.hint.is_some(), "{status:?}");
        let text = kept(&system).unwrap();
        for line in [": still no packet\n", "\noverdue     this should take 10 minutes at most\nhint        "]
        {
            assert!(text.contains(line), "{text}");
        }
        reporter.phase(Phase::StartingK3s, "k3s starts", None).unwrap();
        assert!(!shown(&system).overdue, "the next phase has its own time");
        assert!(kept(&system).is_some(), "it is not Ready yet");
        reporter.ready().unwrap();
        assert_eq!(kept(&system), None);
    }

    #[test]
    fn who_waits_for_a_person_waits_for_ever() {
        let (_folder, system) = reported();
        let mut reporter = Reporter::new(&system);
        let code: Code = "7QK2-M4TD".parse().unwrap();
        for _ in 0..2 {
            reporter.waiting(&code, " --as NAME").unwrap();
            pass(&mut reporter, Duration::from_hours(24));
        }
        let status = shown(&system);
        assert!(!status.overdue);
        assert_eq!(kept(&system), None);
        let text = crate::screen::render(&status, true);
        assert!(text.contains("`imgbuild node approve 7QK2-M4TD --as NAME`\n"), "{text}");
        assert!(text.contains(&crate::qr::draw("imgbuild node approve 7QK2-M4TD").unwrap()), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.lines().count() <= 25, "{text}");
        reporter.phase(Phase::Connecting, "it was approved", None).unwrap();
        assert_eq!(shown(&system).code, None);
    }

    #[test]
    fn a_medium_that_was_in_use_is_tried_again() {
        let (_folder, system) = reported();
        let (medium, aside) = (system.path("/dev/vda2"), system.path("/dev/aside"));
        std::fs::rename(&medium, &aside).unwrap();
        let mut reporter = Reporter::new(&system);
        reporter.phase(Phase::Stopped, "first", None).unwrap();
        std::fs::rename(&aside, &medium).unwrap();
        reporter.phase(Phase::Stopped, "first", None).unwrap();
        assert!(kept(&system).unwrap().contains(": first\n"));
    }

    #[test]
    fn what_stops_again_and_again_is_written_once_in_a_while() {
        let (_folder, system) = reported();
        let mut reporter = Reporter::new(&system);
        reporter.phase(Phase::Stopped, "first", None).unwrap();
        reporter.phase(Phase::Stopped, "second", None).unwrap();
        assert!(kept(&system).unwrap().contains(": first\n"));
        let Failure::Kept(_, at) = &mut reporter.failure else { panic!("{:?}", reporter.failure) };
        *at = at.checked_sub(WRITE_AGAIN).unwrap();
        reporter.phase(Phase::Stopped, "third", None).unwrap();
        assert!(kept(&system).unwrap().contains(": third\n"));
    }
}
