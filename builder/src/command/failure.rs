//! The one place where errors become lines and exit codes.
//!
//! `error:`, then the causes, then an empty line and hints. Code 1: work failed; code 2: the user's
//! input is at fault (command line, settings).

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use super::interrupt::Ended;
use crate::archive::select::SelectError;
use crate::bundle::artifacts::GivenError;
use crate::bundle::manifest::ManifestError;
use crate::bundle::programs::ProgramsError;
use crate::bundle::root::UnreviewedScripts;
use crate::bundle::signature::SignatureError;
use crate::cluster::{LoadError, UnknownNode};
use crate::diagnostic::{Faults, listed};
use crate::medium::disk::DiskError;
use crate::printer::{OutputError, Printer};
use crate::rootfs::setup::SetupError;
use crate::settings::{self, ReadError};

/// Exit code of failed work.
const FAILED: u8 = 1;
/// Exit code of wrong input.
const INPUT: u8 = 2;

/// What `diff` was asked for was shown, and the answer is yes: exit code 1 without a word.
#[derive(Debug, thiserror::Error)]
#[error("there are differences")]
pub(super) struct Differs;

/// An error with what the renderer needs to know beyond its message.
#[derive(Debug)]
struct Noted {
    error: anyhow::Error,
    is_input: bool,
    hint: Option<String>,
}

/// Shows as the error itself: a note adds no cause of its own.
impl fmt::Display for Noted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl Error for Noted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // A second note on the same error is part of this one's chain already.
        self.error.source()
    }
}

/// Notes on errors, for commands.
pub trait Note {
    /// The user's input is at fault: exit code 2.
    #[must_use]
    fn input(self) -> Self;
    /// A concrete next action: a command, a key, a file.
    #[must_use]
    fn hint(self, hint: impl Into<String>) -> Self;
    /// The same where there is something to do.
    #[must_use]
    fn maybe_hint(self, hint: Option<impl Into<String>>) -> Self
    where
        Self: Sized,
    {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

impl Note for anyhow::Error {
    fn input(self) -> Self {
        let hint = None;
        Self::new(Noted { error: self, is_input: true, hint })
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self::new(Noted { error: self, is_input: false, hint })
    }
}

/// The first cause of a kind, beneath notes too.
pub(super) fn cause<T: Error + 'static>(error: &anyhow::Error) -> Option<&T> {
    for cause in error.chain() {
        if let Some(noted) = cause.downcast_ref::<Noted>() {
            return self::cause(&noted.error);
        }
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
    }
    None
}

/// What an error says besides its messages, gathered along its causes.
#[derive(Debug, Default)]
struct Facts<'error> {
    is_input: bool,
    is_closed: bool,
    hints: Vec<&'error str>,
    faults: Option<&'error Faults>,
}

impl<'error> Facts<'error> {
    fn of(error: &'error anyhow::Error) -> Self {
        let mut facts = Self::default();
        facts.gather(error);
        facts
    }

    fn gather(&mut self, error: &'error anyhow::Error) {
        for cause in error.chain() {
            if let Some(noted) = cause.downcast_ref::<Noted>() {
                self.is_input |= noted.is_input;
                self.hints.extend(noted.hint.as_deref());
                // The note stands for its error, whose causes are the rest of this chain.
                return self.gather(&noted.error);
            }
            if let Some(faults) = faults_in(cause) {
                self.is_input = true;
                self.faults = Some(faults);
            }
            self.is_input |= is_declared(cause);
            self.is_closed |= matches!(cause.downcast_ref(), Some(OutputError::Closed));
        }
    }
}

/// Whether a step of the work has found that the settings ask for what can't be.
fn is_declared(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<UnreviewedScripts>()
        || cause.is::<GivenError>()
        || matches!(cause.downcast_ref(), Some(DiskError::SlotFull { .. }))
        || cause.downcast_ref().is_some_and(SetupError::is_declared)
}

/// Faults, also inside the errors that pass them on transparently and so are no link of their own.
fn faults_in<'error>(cause: &'error (dyn Error + 'static)) -> Option<&'error Faults> {
    let of_read = |error: &'error ReadError| match error {
        ReadError::Text(faults) => Some(faults),
        ReadError::Io { .. } => None,
    };
    cause
        .downcast_ref::<Faults>()
        .or_else(|| cause.downcast_ref::<ReadError>().and_then(of_read))
        .or_else(|| match cause.downcast_ref::<LoadError>()? {
            LoadError::Faults(faults) => Some(faults),
            LoadError::Read(error) => of_read(error),
            LoadError::Missing { .. } => None,
        })
        .or_else(|| match cause.downcast_ref::<settings::LoadError>()? {
            settings::LoadError::Faults(faults) => Some(faults),
            settings::LoadError::Read(error) => of_read(error),
            settings::LoadError::Unknown { .. } => None,
        })
}

/// The faults of settings files in `error`, if that is what it is.
pub(super) fn faults(error: &anyhow::Error) -> Option<&Faults> {
    Facts::of(error).faults
}

/// Whatever is wrong with the cluster file is the user's input.
pub fn of_cluster(error: LoadError) -> anyhow::Error {
    let is_missing = matches!(error, LoadError::Missing { .. });
    let error = anyhow::Error::new(error).input();
    if is_missing { error.hint("`imgbuild init` makes one; `-f FILE` names one elsewhere") } else { error }
}

/// Packages that do not exist or do not go together are the profile's, so the user's input.
pub fn of_select(error: SelectError) -> anyhow::Error {
    anyhow::Error::new(error).input()
}

/// Node programs are made and installed beside imgbuild.
pub fn of_programs(error: ProgramsError) -> anyhow::Error {
    anyhow::Error::new(error).hint("`make nodes` makes the node programs, `make install` installs them")
}

/// What leads to a signature.
pub(super) const MAKES_A_SIGNATURE: &str =
    "with the identity that `imgbuild identity create` makes, `imgbuild build` signs";

/// Keys are the user's input; a signature that does not count is work that failed.
pub fn of_signature(error: SignatureError) -> anyhow::Error {
    let hint = match &error {
        SignatureError::Key { .. } | SignatureError::Kind { .. } => {
            "`imgbuild identity show` shows the public key; `--key` takes it in a file"
        }
        SignatureError::Absent { .. } => MAKES_A_SIGNATURE,
        SignatureError::Read { .. } => return anyhow::Error::new(error).input(),
        _ => return error.into(),
    };
    let is_input = !matches!(error, SignatureError::Absent { .. });
    let error = anyhow::Error::new(error).hint(hint);
    if is_input { error.input() } else { error }
}

/// Whether a signature was asked for that is not there.
pub(super) const fn is_absent(error: &SignatureError) -> bool {
    matches!(error, SignatureError::Absent { .. })
}

/// A build folder that is none is the user's input.
pub fn of_manifest(error: ManifestError) -> anyhow::Error {
    let hint = match &error {
        ManifestError::Read { .. } => "give a folder that `imgbuild build` has made",
        ManifestError::Format { .. } => "build it anew, or use the program that has made it",
        _ => "it is damaged: `imgbuild build` makes the folder anew",
    };
    anyhow::Error::new(error).input().hint(hint)
}

/// Whatever is wrong with a profile or an image is the user's input.
pub fn of_settings(error: settings::LoadError) -> anyhow::Error {
    anyhow::Error::new(error).input()
}

/// Whatever is wrong with the table of reviews is the user's input.
pub fn of_reviews(error: ReadError) -> anyhow::Error {
    anyhow::Error::new(error).input()
}

/// A node that the cluster does not have, with the one that was meant.
pub fn of_node(error: UnknownNode) -> anyhow::Error {
    let hint = match &error.near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its nodes are {}", listed(error.known.iter().map(String::as_str))),
    };
    anyhow::Error::new(error).input().hint(hint)
}

/// Shows a failed command line, or help and version, which clap treats alike.
pub(super) fn show_usage(error: &clap::Error) -> ExitCode {
    // Where the reader of the help went away, there is nobody to tell.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(INPUT))
}

/// Shows a failure and says the exit code.
pub(super) fn show(error: &anyhow::Error, printer: &Printer) -> ExitCode {
    let facts = Facts::of(error);
    if facts.is_closed {
        return ExitCode::SUCCESS;
    }
    if error.is::<Differs>() {
        return ExitCode::from(FAILED);
    }
    printer.error(render(error, &facts).trim_end());
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return ExitCode::from(ended.code());
    }
    ExitCode::from(if facts.is_input { INPUT } else { FAILED })
}

/// Errors of other people's may have said their cause already, which is not said again, or end in an empty line.
fn chain(error: &anyhow::Error) -> String {
    let mut lines = String::new();
    let mut last = String::new();
    for cause in error.chain().map(|cause| cause.to_string().trim_end().to_owned()) {
        if lines.is_empty() {
            lines = format!("error: {cause}\n");
        } else if !last.ends_with(&cause) {
            lines = format!("{lines}caused by: {cause}\n");
        }
        last = cause;
    }
    lines
}

fn render(error: &anyhow::Error, facts: &Facts<'_>) -> String {
    let mut lines = facts.faults.map_or_else(|| chain(error), ToString::to_string);
    if !facts.hints.is_empty() {
        lines.push('\n');
    }
    for hint in &facts.hints {
        lines.push_str("hint: ");
        lines.push_str(hint);
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::{Context as _, anyhow};

    use super::*;
    use crate::cluster::{Available, Cluster};
    use crate::rootfs::setup::units::UnitsError;
    use crate::units::Bytes;

    fn shown(error: &anyhow::Error) -> (String, bool) {
        let facts = Facts::of(error);
        (render(error, &facts), facts.is_input)
    }

    #[test]
    fn shows_causes_in_order_and_hints_last() {
        let error = anyhow!("the slot has 480 MiB").hint("shrink the profile").context("laying out the disk");
        let (text, is_input) = shown(&error);
        assert_eq!(
            text,
            "error: laying out the disk\ncaused by: the slot has 480 MiB\n\nhint: shrink the profile\n"
        );
        assert!(!is_input);
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let error = anyhow!("no such host").context("dns error: no such host").context("connecting");
        let (text, _) = shown(&error);
        assert_eq!(text, "error: connecting\ncaused by: dns error: no such host\n");
    }

    #[test]
    fn leaves_no_empty_line_behind_a_cause() {
        let fault = toml::from_str::<toml::Table>("x = [").unwrap_err();
        let (text, _) = shown(&anyhow::Error::new(fault).context("reading").hint("look"));
        assert!(text.ends_with("unclosed array, expected `]`\n\nhint: look\n"), "{text}");
    }

    #[test]
    fn keeps_all_notes_on_one_error() {
        let error = anyhow!("no such node").input().hint("one").hint("two");
        let (text, is_input) = shown(&error);
        assert_eq!(text, "error: no such node\n\nhint: two\nhint: one\n");
        assert!(is_input);
    }

    #[test]
    fn what_the_settings_ask_for_is_input_and_the_rest_is_work() {
        let unit = |unit: &str| UnitsError::Unknown { unit: unit.to_owned(), by: "the profile".to_owned() };
        let full = DiskError::SlotFull { label: "root", size: Bytes(9), slot: Bytes(10) };
        let dangling = SetupError::Dangling { link: "a".to_owned(), target: "b".to_owned() };
        for (error, is_input) in [
            (anyhow::Error::new(UnreviewedScripts { scripts: Vec::new() }), true),
            (full.into(), true),
            (DiskError::Size.into(), false),
            (SetupError::Units(unit("a.service")).into(), true),
            (dangling.into(), true),
            (SetupError::Text { path: "etc/a".to_owned() }.into(), false),
            (SetupError::Missing { path: "etc/a".to_owned(), step: "declared" }.into(), true),
            (SetupError::Missing { path: "etc/a".to_owned(), step: "users" }.into(), false),
        ] {
            let error = error.context("setting up the root");
            assert_eq!(shown(&error).1, is_input, "{error:?}");
        }
    }

    #[test]
    fn finds_faults_below_context_and_notes() {
        let faults = Cluster::parse("x", Path::new("cluster.toml"), &Available::default()).unwrap_err();
        let error = Err::<(), _>(LoadError::from(faults.clone())).context("reading").unwrap_err().hint("h");
        assert_eq!(super::faults(&error), Some(&faults));
        let (text, is_input) = shown(&error);
        assert!(text.starts_with("error: ") && text.contains("--> cluster.toml:1:"), "{text}");
        assert!(is_input);
    }
}
