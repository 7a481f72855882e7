//! One run of firstboot: record, node key, plan, report.

use std::time::SystemTime;

use anyhow::Context as _;

use crate::apply::{StepState, apply};
use crate::artifacts::{self, Artifacts};
use crate::clock;
use crate::cluster::{self, ClusterRecord};
use crate::converge::{Mode, System};
use crate::gate;
use crate::hetzner;
use crate::key;
use crate::plan::{self, Change, Effect, PlannedFile, Step};
use crate::record::{self, NodeRecord};
use crate::source::{self, Found, Given, Item, SourceError};
use crate::status::{self, FileStatus, NodeStatus, Phase, Status, StepStatus};

/// Why a machine is no node yet.
const NO_RECORD: &str = "no node record was found";
/// There on UEFI machines only.
const EFI: &str = "/sys/firmware/efi";

/// A run that stopped, and whose turn it is.
#[derive(Debug)]
pub struct Stopped {
    /// What was reported.
    pub status: Status,
    /// Whether the record is at fault (exit code 2) and not the machine (exit code 1).
    pub is_record_fault: bool,
}

/// Looks for the record (or takes `given`) and carries out its plan.
pub fn run(system: &System, given: Option<Found>) -> Result<Status, Box<Stopped>> {
    let mut status = Status {
        version: 1,
        phase: Phase::Unclaimed,
        since: now(),
        reason: NO_RECORD.to_owned(),
        hint: None,
        overdue: false,
        code: None,
        fingerprint: None,
        root_hash: None,
        slot: None,
        unpinned: Vec::new(),
        absent: Vec::new(),
        notes: Vec::new(),
        node: None,
        steps: Vec::new(),
    };
    match converge(system, given, &mut status) {
        Ok(()) => Ok(status),
        Err(error) => {
            status.phase = Phase::Stopped;
            status.reason = format!("{error:#}");
            let is_record_fault = is_input_fault(&error);
            status.hint = is_record_fault
                .then(|| "`imgbuild record NODE` writes a record that this image reads".to_owned());
            Err(Box::new(Stopped { status, is_record_fault }))
        }
    }
}

/// Whether waiting changes nothing: what the machine was given is wrong.
pub(crate) fn is_input_fault(error: &anyhow::Error) -> bool {
    error.is::<record::RecordError>()
        || error.is::<cluster::ClusterRecordError>()
        || matches!(error.downcast_ref(), Some(SourceError::UserData(_)))
}

fn converge(system: &System, given: Option<Found>, status: &mut Status) -> anyhow::Result<()> {
    if system.mode() == Mode::Apply {
        hetzner::mark(system)?;
    }
    let report = source::boot_report(system)?;
    if let Some(report) = &report {
        status.root_hash = Some(report.root_hash.clone());
        status.notes.clone_from(&report.notes);
        if system.is_live() && system.mode() == Mode::Apply {
            match gate::arrive(report, !system.path(EFI).exists()) {
                Ok(arrived) => {
                    status.slot = Some(gate::slot_status(&report.slot, &arrived));
                    status.notes.extend(arrived.notes);
                }
                // Never worth stopping for: all that may come of it is a slower next start.
                Err(error) => status.notes.push(format!("boot entries stay as they are: {error:#}")),
            }
        }
    }
    if let Some(text) = system.read(artifacts::PATH)? {
        let image: Artifacts =
            serde_json::from_slice(&text).with_context(|| format!("reading `{}`", artifacts::PATH))?;
        (status.unpinned, status.absent) = (image.unpinned, image.absent);
    }
    status.fingerprint = key::ensure(system)?.map(|fingerprint| fingerprint.to_string());
    let given = match given {
        Some(found) => Given { record: Some(found), ..Given::default() },
        None => source::find(system, report.as_ref())?,
    };
    configure(system, &given, status)?;
    let is_asked_next = hetzner::is_here(system) && !hetzner::is_heard(system);
    if is_asked_next && given.record.is_none() && system.mode() == Mode::Apply {
        status.phase = Phase::WaitingForMetadata;
        "the metadata service is asked as soon as there is a network".clone_into(&mut status.reason);
        status.hint = None;
    }
    Ok(())
}

/// Looks for the record again, in a boot that knows more than it did at its beginning, and puts it in force. Says whether
/// the network has other settings now.
pub(crate) fn again(system: &System, notes: &[String]) -> anyhow::Result<bool> {
    let report = source::boot_report(system)?;
    let given = source::ask(system, report.as_ref())?;
    let mut outcome = Ok(());
    let status = status::update(system, |status| {
        let before = status.phase;
        outcome = configure(system, &given, status);
        if status.phase != before {
            status.since = now();
        }
        add_notes(status, notes.iter().cloned());
    })?;
    outcome?;
    // Last: who finds the record there takes it for being in force.
    source::keep_all(system, &given)?;
    let steps = status.context("firstboot has not reported in this boot")?.steps;
    Ok(steps.iter().any(|step| step.name == "network" && step.state == StepState::Changed))
}

/// Each once: a service that is started again says them again.
fn add_notes(status: &mut Status, notes: impl IntoIterator<Item = String>) {
    for note in notes {
        if !status.notes.contains(&note) {
            status.notes.push(note);
        }
    }
}

/// Carries out what a machine's record asks for, or, without one, what a box of a cluster needs to ask for its place.
pub(crate) fn configure(system: &System, given: &Given, status: &mut Status) -> anyhow::Result<()> {
    let (record, cluster) = records(given)?;
    let is_clock_ours = system.is_live() && system.mode() == Mode::Apply && !clock::is_synchronized(system);
    if let Some(cluster) = cluster.as_ref().filter(|_| is_clock_ours) {
        // Whatever the certificates are checked for, it is not before they were made.
        let raised = clock::raise_to(cluster.created, "the cluster's beginning");
        status.notes.extend(raised.unwrap_or_else(Some));
    }
    let place = given.record.as_ref().map(|found| found.place.clone()).unwrap_or_default();
    status.node = record.as_ref().map(|record| node_status(record, place));
    status.steps.clear();
    let (network, faults) = hetzner::network(system)?;
    add_notes(status, faults.iter().map(ToString::to_string));
    let is_server = hetzner::is_here(system);
    let steps = match (&record, &cluster) {
        (Some(record), _) => plan::plan_on(record, &network),
        (None, Some(_)) => plan::newcomer(&network),
        // It has the whole Internet before it.
        (None, None) if is_server => plan::unknown(&network),
        (None, None) => Vec::new(),
    };
    for step in steps {
        status.steps.push(StepStatus {
            state: apply(&step, system)?,
            name: step.name.to_owned(),
            files: files(&step).map(file_status).collect(),
            summary: step.summary,
        });
    }
    if record.is_none() {
        status.phase = Phase::Unclaimed;
        (status.reason, status.hint) = match cluster {
            Some(cluster) => (
                format!("{NO_RECORD}, so this box asks cluster `{}`", cluster.name),
                Some("its code is shown here once the cluster has answered".to_owned()),
            ),
            None if is_server => (
                format!("{NO_RECORD}, and the server's user data is empty"),
                Some("`imgbuild up` creates servers with the user data of their node".to_owned()),
            ),
            None => (
                NO_RECORD.to_owned(),
                Some(format!(
                    "put the node's record on the EFI system partition as `{}`",
                    Item::Record.esp_file()
                )),
            ),
        };
        return Ok(());
    }
    (status.phase, status.reason) = match system.mode() {
        Mode::Apply => (Phase::Configured, "the record's settings are in force".to_owned()),
        Mode::DryRun => (Phase::Planned, "dry run, nothing was touched".to_owned()),
    };
    status.hint = None;
    Ok(())
}

/// Parses the node record, and the cluster record that vouches for it.
pub(crate) fn records(given: &Given) -> anyhow::Result<(Option<NodeRecord>, Option<ClusterRecord>)> {
    let read = |found: &Found| {
        cluster::parse(&found.text).with_context(|| format!("reading cluster record from {}", found.place))
    };
    let cluster = given.cluster.as_ref().map(read).transpose()?;
    let open = |found: &Found| {
        record::open(&found.text, cluster.as_ref())
            .with_context(|| format!("reading node record from {}", found.place))
    };
    let record = given.record.as_ref().map(open).transpose()?;
    Ok((record, cluster))
}

fn node_status(record: &NodeRecord, place: String) -> NodeStatus {
    NodeStatus {
        name: record.node.name.clone(),
        role: record.node.role,
        cluster: record.cluster.name.clone(),
        record: place,
    }
}

fn files(step: &Step) -> impl Iterator<Item = &PlannedFile> {
    let (changes, later) = match &step.effect {
        Effect::Converge(changes) => (changes.as_slice(), [].as_slice()),
        Effect::Joining(files) => ([].as_slice(), files.as_slice()),
    };
    let converged = changes.iter().filter_map(|change| match change {
        Change::File(file) => Some(file),
        _ => None,
    });
    converged.chain(later)
}

fn file_status(file: &PlannedFile) -> FileStatus {
    FileStatus { path: file.path.clone(), mode: format!("{:04o}", file.mode), text: file.content.to_string() }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Content;

    #[test]
    fn a_secret_is_written_to_its_file_and_shown_nowhere() {
        let content = Content::Secret("hunter2".to_owned());
        assert_eq!(content.for_file(), b"hunter2");
        let file = PlannedFile { path: "/etc/token".to_owned(), mode: 0o600, content };
        assert!(!format!("{file:?}").contains("hunter2"), "{file:?}");
        let status = serde_json::to_string(&file_status(&file)).unwrap();
        assert_eq!(status, r#"{"path":"/etc/token","mode":"0600","text":"(secret)"}"#);
    }
}
