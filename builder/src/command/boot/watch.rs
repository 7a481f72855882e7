//! Machines while they run: their consoles passed on, or what of them people want to know.

use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use firstboot::screen;

use crate::command::Context;
use crate::command::interrupt::Flag;
use crate::machine::Machine;
use crate::operator::Push;

/// Between two looks at the consoles.
const LOOK: Duration = Duration::from_millis(100);
/// How long an emulated machine may take to come up, and to join with others beside it.
const DEADLINE: Duration = Duration::from_mins(10);
const JOINING_DEADLINE: Duration = Duration::from_mins(25);
/// What people see of a boot: a line of the console, and what it means.
const MILESTONES: [(&str, &str); 5] = [
    ("stage0", "the kernel runs stage0"),
    ("systemd[1]", "systemd runs from the verified root"),
    (screen::BEGIN, "firstboot reports"),
    ("Reached target network", "the network is set up"),
    // What systemd prints when a machine is up.
    ("Reached target multi-user.target", "the machine is up"),
];
/// The same of a node that joins, and what comes between for one that begins the cluster.
const STARTS_K3S: (&str, &str) = ("phase       starting k3s", "k3s starts");
const READY: (&str, &str) = ("phase       ready", "Ready");

/// A machine that runs, and what is done for it.
pub(super) struct Running {
    name: String,
    machine: Machine,
    pushed: Option<Receiver<Result<(), String>>>,
    milestones: Vec<(&'static str, &'static str)>,
    next: usize,
    started: Instant,
}

impl Running {
    /// `first_objects` is what a control plane says once it has made them.
    pub(super) fn new(
        name: &str,
        machine: Machine,
        joins: bool,
        push: Option<Push>,
        first_objects: &'static str,
    ) -> anyhow::Result<Self> {
        let begins = push.is_some().then_some((first_objects, first_objects));
        let joining = [Some(STARTS_K3S), begins, Some(READY)].into_iter().flatten().filter(|_| joins);
        Ok(Self {
            name: name.to_owned(),
            machine,
            pushed: push.map(Push::begin).transpose()?,
            milestones: MILESTONES.into_iter().chain(joining).collect(),
            next: 0,
            started: Instant::now(),
        })
    }

    fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    const fn is_done(&self) -> bool {
        self.next == self.milestones.len()
    }

    /// Tells once what became of the bundle.
    fn check_push(&mut self, context: &Context) -> anyhow::Result<()> {
        let Some(pushed) = &self.pushed else { return Ok(()) };
        match pushed.try_recv() {
            Ok(Ok(())) => {
                context.printer.note(&format!("{}: has its bundle after {} s", self.name, self.seconds()));
            }
            Ok(Err(reason)) => bail!("{}: {reason}", self.name),
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => {}
        }
        self.pushed = None;
        Ok(())
    }

    /// Tells the milestones that were reached since.
    fn check_milestones(&mut self, context: &Context) -> anyhow::Result<()> {
        let is_on = self.machine.watch(|_| {})?;
        let text = self.machine.console().text();
        for (index, (line, meaning)) in self.milestones.iter().enumerate().skip(self.next) {
            if text.contains(line) {
                context.printer.note(&format!("  {:4} s  {}: {meaning}", self.seconds(), self.name));
                self.next = index + 1;
            }
        }
        let deadline = if self.milestones.len() > MILESTONES.len() { JOINING_DEADLINE } else { DEADLINE };
        if !is_on || (!self.is_done() && self.started.elapsed() > deadline) {
            let waited = self.milestones.get(self.next).map_or("its end", |(_, meaning)| *meaning);
            let last = self.machine.console().last_lines();
            bail!("{}: the machine did not get to `{waited}`; its console ends with:\n{last}", self.name);
        }
        Ok(())
    }

    /// The last whole report on the console.
    fn last_report(&self) -> anyhow::Result<&str> {
        let text = self.machine.console().text();
        let (before, _) =
            text.rsplit_once(screen::END).context("firstboot's report is not whole on the console")?;
        let (_, report) = before.rsplit_once(screen::BEGIN).context("firstboot's report has no beginning")?;
        Ok(report)
    }
}

/// Passes the consoles on until the machines switch themselves off; of several, line by line with their names.
pub(super) fn follow(machines: &mut [Running], flag: &Flag, context: &Context) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    let mut lines: Vec<String> = vec![String::new(); machines.len()];
    let is_alone = machines.len() == 1;
    loop {
        let mut is_on = false;
        for (running, line) in machines.iter_mut().zip(&mut lines) {
            let mut written = Ok(());
            let name = &running.name;
            is_on |= running.machine.watch(|text| {
                written = if is_alone {
                    output.write_all(text.as_bytes())
                } else {
                    write_lines(&mut output, name, line, text)
                };
            })?;
            written.and_then(|()| output.flush()).context("writing the console to standard output")?;
            running.check_push(context)?;
        }
        if !is_on {
            return Ok(());
        }
        flag.check()?;
        std::thread::sleep(LOOK);
    }
}

/// Writes the lines that `text` completes; `begun` is what came of the next one.
fn write_lines(output: &mut impl io::Write, name: &str, begun: &mut String, text: &str) -> io::Result<()> {
    begun.push_str(text);
    while let Some(end) = begun.find('\n') {
        let line: String = begun.drain(..=end).collect();
        write!(output, "{name} | {line}")?;
    }
    Ok(())
}

/// Tells what is reached until all machines are done, and shows what firstboot last reported on each.
pub(super) fn report(machines: &mut [Running], flag: &Flag, context: &Context) -> anyhow::Result<()> {
    let task = context.printer.task("booting", None);
    let started = Instant::now();
    while !machines.iter().all(Running::is_done) {
        flag.check()?;
        for running in machines.iter_mut() {
            running.check_milestones(context)?;
            running.check_push(context)?;
        }
        std::thread::sleep(LOOK);
    }
    let accelerator = machines.first().map(|running| running.machine.accelerator().to_string());
    task.finish(&format!(
        "up after {} s by {}",
        started.elapsed().as_secs(),
        accelerator.unwrap_or_default()
    ));
    for running in machines.iter() {
        let report = running.last_report()?;
        context.printer.data(&format!("{}{report}{}\n", screen::BEGIN, screen::END))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_machines_stay_whole() {
        let (mut output, mut begun) = (Vec::new(), String::new());
        for text in ["one\ntw", "o", "\nthree"] {
            write_lines(&mut output, "cp1", &mut begun, text).unwrap();
        }
        assert_eq!(String::from_utf8(output).unwrap(), "cp1 | one\ncp1 | two\n");
        assert_eq!(begun, "three");
    }
}
