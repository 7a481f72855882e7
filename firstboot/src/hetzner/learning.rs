//! Asking until there is an answer, and acting on it.

use std::time::Duration;

use super::answers::{self, Answers};
use super::service::Service;
use super::{is_here, serial};
use crate::converge::System;
use crate::run;
use crate::serve::back_off::BackOff;
use crate::serve::has_place;
use crate::serve::reporter::{Reporter, say};
use crate::source::{self, Given};
use crate::status::Phase;
use crate::systemd;
use crate::user_data::DecodeError;

/// Between the first two tries, and between two of a service that has been away for long.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Tries where the node can do without: by then any DHCP server has answered, and it is not a minute yet.
const TRIES: u32 = 5;

/// Asks the metadata service for what this server is, for as long as it takes, and puts that in force. A node that knows
/// all it needs asks a few times only. `pause` lets time pass; an error of it ends the run.
pub fn learn(
    system: &System,
    service: &Service,
    pause: impl FnMut(Duration) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !is_here(system) {
        say("this machine is no server of Hetzner Cloud: nobody is asked");
        return Ok(());
    }
    act(system, service, pause).inspect_err(|fault| {
        let hint = run::is_input_fault(fault).then_some(HINT);
        // What cannot be told there is in the journal.
        let _told = Reporter::new(system).phase(Phase::Stopped, &format!("{fault:#}"), hint);
    })
}

/// What a person can do where user data is wrong: a running server keeps what it was created with.
const HINT: &str = "`imgbuild up` creates servers with the user data that their image reads";

fn act(
    system: &System,
    service: &Service,
    pause: impl FnMut(Duration) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let given = source::kept(system)?;
    let tries = suffices(&given, system).then_some(TRIES);
    let mut notes = Vec::new();
    match ask(system, service, tries, pause)? {
        Ok(mut answers) => {
            if let Err(fault) = answers.items()
                && given.record.is_some()
            {
                notes.push(replace_items(&mut answers, &fault, system)?);
            }
            answers.keep(system)?;
        }
        Err(fault) => notes.push(format!("{fault}; this node goes on with what it knows")),
    }
    if run::again(system, &notes)?
        && system.is_live()
        && let Err(fault) = systemd::reload_networks()
    {
        // Whatever it was: the settings are there, and in force after the next start.
        say(&format!("the network stays as it is until the next start: {fault:#}"));
    }
    Ok(())
}

/// Whether the node can become, or be, all that it will be.
fn suffices(given: &Given, system: &System) -> bool {
    let joins = given.cluster.is_some();
    let has_right = given.ticket.is_some() || given.push_key.is_some() || has_place(system);
    given.record.is_some() && (!joins || has_right)
}

/// What cannot be read is no reason to forget what could.
fn replace_items(answers: &mut Answers, fault: &DecodeError, system: &System) -> anyhow::Result<String> {
    let kept = answers::known(system)?.filter(|kept| kept.answers.instance == answers.instance);
    answers.user_data = kept.and_then(|kept| kept.answers.user_data);
    Ok(fault.to_string())
}

/// Asks at most `tries` times, or for ever; what was wrong last where all of them failed.
fn ask(
    system: &System,
    service: &Service,
    tries: Option<u32>,
    mut pause: impl FnMut(Duration) -> anyhow::Result<()>,
) -> anyhow::Result<Result<Answers, String>> {
    let serial = serial(system);
    let mut reporter = Reporter::new(system);
    let mut waits = BackOff::new(PAUSES.0, PAUSES.1);
    let mut left = tries;
    loop {
        let fault = match service.ask(serial.as_deref()) {
            Ok(answers) => return Ok(Ok(answers)),
            Err(fault) => format!("the metadata service does not answer: {:#}", anyhow::Error::from(fault)),
        };
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            return Ok(Err(fault));
        }
        let hint = "it is asked again until it answers; does the server have an address by DHCP?";
        reporter.phase(Phase::WaitingForMetadata, &fault, Some(hint))?;
        pause(waits.next())?;
    }
}
