//! Where the node stands, told to its status, its consoles, the journal, and on failure to its medium.
//!
//! The status outlives this program, which systemd starts again ten seconds after it has failed: what was told before is
//! no news.

use std::io::{self, Write as _};
use std::time::{Instant, SystemTime};

use super::pace::Pace;
use crate::apply::StepState;
use crate::claim::code::Code;
use crate::consoles;
use crate::converge::System;
use crate::last_failure;
use crate::screen::APPROVE;
use crate::status::{self, Phase, Status};

/// Tells what has changed, once.
#[derive(Debug)]
pub(crate) struct Reporter<'a> {
    system: &'a System,
    last: Option<Told>,
    /// Whether that was told by an earlier start.
    is_inherited: bool,
    medium: Medium,
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

/// Whether the medium says what it should.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Medium {
    /// An earlier start may have left it behind.
    Unknown,
    /// It does.
    Told,
    /// The last try did not succeed: it is in use, or broken.
    Behind,
}

impl From<Status> for Told {
    fn from(status: Status) -> Self {
        let Status { phase, reason, code, overdue: is_overdue, .. } = status;
        let now = Instant::now();
        // Not by the status' own time: clocks are set. What was overdue stays so, and all else is given its time anew.
        let overdue_since = phase.deadline().filter(|_| is_overdue);
        let began = overdue_since.and_then(|time| now.checked_sub(time)).unwrap_or(now);
        Self { phase, reason, code, is_overdue, began }
    }
}

impl<'a> Reporter<'a> {
    /// Goes on from what was told in this boot. A status that cannot be read has told nobody anything.
    pub(crate) fn new(system: &'a System) -> Self {
        let last = status::read(system).ok().flatten().map(Told::from);
        Self { system, last, is_inherited: true, medium: Medium::Unknown, pace: Pace::new() }
    }

    /// The node is in this phase, for this reason; `hint` is what a person can do about it.
    pub(crate) fn phase(&mut self, phase: Phase, reason: &str, hint: Option<&str>) -> anyhow::Result<()> {
        self.tell(phase, reason, hint, None).map(drop)
    }

    /// The node begins with this phase. After a restart of this program it may be in it, wait for a person or have
    /// stopped already, which is no news then.
    pub(super) fn begins(&mut self, phase: Phase, reason: &str) -> anyhow::Result<()> {
        let goes_on = |last: &Told| {
            last.phase == phase || matches!(last.phase, Phase::WaitingForApproval | Phase::Stopped)
        };
        if self.last.as_ref().is_some_and(goes_on) { Ok(()) } else { self.phase(phase, reason, None) }
    }

    /// The node is where it should be.
    pub(super) fn ready(&mut self) -> anyhow::Result<()> {
        self.phase(Phase::Ready, "the cluster sees this node as Ready", None)
    }

    /// The node waits for a person who sees its code; `naming` is what they add to the command.
    pub(super) fn waiting(&mut self, code: &Code, naming: &str) -> anyhow::Result<()> {
        let hint = format!("the same code there? `{APPROVE} {code}{naming}`");
        self.tell(Phase::WaitingForApproval, &format!("code {code}"), Some(&hint), Some(code)).map(drop)
    }

    /// Says whether it is worth the consoles' while.
    fn tell(
        &mut self,
        phase: Phase,
        reason: &str,
        hint: Option<&str>,
        code: Option<&Code>,
    ) -> anyhow::Result<bool> {
        let is_inherited = std::mem::replace(&mut self.is_inherited, false);
        let before = self.last.take().filter(|last| last.phase == phase);
        let began = before.as_ref().map_or_else(Instant::now, |last| last.began);
        let is_overdue = phase.deadline().is_some_and(|deadline| began.elapsed() >= deadline);
        let now = Told { phase, reason: reason.to_owned(), code: code.cloned(), is_overdue, began };
        let is_same = before.as_ref() == Some(&now);
        let is_news = before.as_ref().is_none_or(|last| {
            let is_other_cause = is_inherited && last.reason != now.reason;
            last.is_overdue != is_overdue || last.code != now.code || is_other_cause
        });
        self.last = Some(now);
        if is_same {
            if self.medium != Medium::Told
                && let Some(status) = status::read(self.system)?
            {
                self.keep_failure(&status);
            }
            return Ok(false);
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
        Ok(is_news)
    }

    /// A medium that takes nothing keeps no node from its work.
    fn keep_failure(&mut self, status: &Status) {
        let outcome = match status.phase {
            Phase::Ready => last_failure::forget(self.system),
            phase if phase == Phase::Stopped || status.overdue => last_failure::keep(status, self.system),
            _ => Ok(()),
        };
        self.medium = match outcome {
            Ok(()) => Medium::Told,
            Err(fault) => {
                if self.medium != Medium::Behind {
                    say(&format!("the medium tells nobody of this: {fault:#}"));
                }
                Medium::Behind
            }
        };
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
pub(crate) fn say(line: &str) {
    // Nobody is there to be told that nobody can be told.
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::last_failure::tests::{kept, pass as pass_on_medium, started};
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
    fn a_phase_begins_once_and_not_where_a_person_has_to_do_something() {
        let (_folder, system) = reported();
        let begin = || Reporter::new(&system).begins(Phase::Claiming, "asking").unwrap();
        begin();
        assert_eq!((shown(&system).phase, shown(&system).reason.as_str()), (Phase::Claiming, "asking"));
        for (phase, reason) in [
            (Phase::Claiming, "no route"),
            (Phase::WaitingForApproval, "code"),
            (Phase::Stopped, "the ticket was used"),
        ] {
            Reporter::new(&system).phase(phase, reason, None).unwrap();
            begin();
            assert_eq!((shown(&system).phase, shown(&system).reason.as_str()), (phase, reason));
        }
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
        pass_on_medium(&system, last_failure::WRITE_AGAIN);
        reporter.phase(Phase::Stopped, "third", None).unwrap();
        assert!(kept(&system).unwrap().contains(": third\n"));
    }

    #[test]
    fn what_the_service_says_again_after_each_of_its_starts_is_no_news() {
        let (_folder, system) = reported();
        let stop = |reason: &str| Reporter::new(&system).tell(Phase::Stopped, reason, None, None).unwrap();
        assert!(stop("first"), "another phase");
        let long_ago = "2027-01-15T08:00:00Z";
        status::update(&system, |status| status.since = long_ago.to_owned()).unwrap();
        assert!(!stop("first"));
        assert_eq!(shown(&system).since, long_ago);
        // Another cause is shown, and is nothing new to the phase, nor to the medium for a while.
        assert!(stop("second"));
        assert!(!stop("second"));
        assert_eq!(shown(&system).since, long_ago);
        assert!(kept(&system).unwrap().contains(": first\n"));
        pass_on_medium(&system, last_failure::WRITE_AGAIN);
        assert!(!stop("second"));
        assert!(kept(&system).unwrap().contains(": second\n"));
        assert!(Reporter::new(&system).tell(Phase::Claiming, "second", None, None).unwrap());
        assert_ne!(shown(&system).since, long_ago);
    }

    #[test]
    fn a_code_is_shown_again_by_no_start_and_what_is_overdue_stays_so() {
        let (_folder, system) = reported();
        let code: Code = "7QK2-M4TD".parse().unwrap();
        let wait = || {
            let mut reporter = Reporter::new(&system);
            reporter.tell(Phase::WaitingForApproval, "a code", None, Some(&code)).unwrap()
        };
        assert!(wait());
        assert!(!wait());
        let mut reporter = Reporter::new(&system);
        reporter.phase(Phase::Connecting, "no packet", None).unwrap();
        pass(&mut reporter, Duration::from_mins(10));
        reporter.phase(Phase::Connecting, "no packet", None).unwrap();
        let before = shown(&system);
        assert!(before.overdue);
        assert!(!Reporter::new(&system).tell(Phase::Connecting, "no packet", None, None).unwrap());
        assert_eq!(shown(&system), before);
    }

    #[test]
    fn a_medium_that_an_earlier_start_could_not_tell_is_told_by_the_next() {
        let (_folder, system) = reported();
        let (medium, aside) = (system.path("/dev/vda2"), system.path("/dev/aside"));
        let failing = |tell: &dyn Fn()| {
            std::fs::rename(&medium, &aside).unwrap();
            tell();
            std::fs::rename(&aside, &medium).unwrap();
        };
        let stop = || Reporter::new(&system).phase(Phase::Stopped, "first", None).unwrap();
        let ready = || Reporter::new(&system).ready().unwrap();
        failing(&stop);
        assert_eq!(kept(&system), None);
        stop();
        assert!(kept(&system).unwrap().contains(": first\n"));
        failing(&ready);
        assert!(kept(&system).is_some());
        ready();
        assert_eq!(kept(&system), None);
    }
}
