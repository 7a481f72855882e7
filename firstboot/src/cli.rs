//! The command line of `firstboot`.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::consoles;
use crate::converge::{Mode, System};
use crate::gate;
use crate::hetzner::{self, Service};
use crate::k3s::{self, RunMode};
use crate::last_failure;
use crate::plan::VPN_INTERFACE;
use crate::run::{is_input_fault, run};
use crate::screen;
use crate::serve;
use crate::source::Found;
use crate::status::{self, Status};
use crate::wireguard::Kernel;
use crate::wireguard::report::Report;

/// Exit code where the record is at fault; the unit does not try again.
pub(crate) const RECORD_FAULT: u8 = 2;
/// Between two looks at the status.
const WATCH_INTERVAL: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Makes this machine the node that its record names
#[derive(Debug, Parser)]
#[command(name = "firstboot", version)]
pub struct Arguments {
    /// Print the plan and touch nothing
    #[arg(long)]
    dry_run: bool,
    /// Act on the system below DIR instead of the running one
    #[arg(long, value_name = "DIR", default_value = "/", global = true)]
    root: PathBuf,
    /// Use this record instead of looking for one
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Show the report on the machine's consoles as well
    #[arg(long, global = true)]
    console: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show in which phase this node is, since when, why, and what to do
    Status {
        /// Show it again whenever it changes
        #[arg(long)]
        watch: bool,
    },
    /// Wait until every unit has come up and commit the running slot; restart a trial that fails
    Commit,
    /// Look at the VPN
    Vpn {
        #[command(subcommand)]
        command: VpnCommand,
    },
    /// Ask the metadata service what this server is, for as long as it takes, as its unit does
    Metadata,
    /// Make this node a member of its cluster and keep it one, as its unit does
    Serve,
    /// Prepare what k3s needs of this image and become k3s, as its unit does
    K3s {
        /// What to run
        mode: RunMode,
    },
}

#[derive(Debug, Subcommand)]
enum VpnCommand {
    /// Show the nodes that this one has a tunnel with, and when each last answered
    Status,
}

/// Carries out the command line; 0 done, 1 the machine is at fault, 2 the input is.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Some(Command::Status { watch }) => show_status(&arguments, *watch),
        Some(Command::Commit) => gate::commit(&System::new(&arguments.root, Mode::Apply)),
        Some(Command::Vpn { command: VpnCommand::Status }) => show_vpn(&arguments),
        Some(Command::Metadata) => ask_metadata(&arguments),
        Some(Command::Serve) => serve_cluster(&arguments),
        Some(Command::K3s { mode }) => start_k3s(&arguments, *mode),
        None => first_boot(&arguments),
    };
    done.unwrap_or_else(|error| {
        let mut message = format!("error: {error}\n");
        for cause in error.chain().skip(1) {
            let _ = writeln!(message, "caused by: {cause}");
        }
        let _ = io::stderr().write_all(message.as_bytes());
        ExitCode::from(1)
    })
}

fn first_boot(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Apply };
    let system = System::new(&arguments.root, mode);
    let given = arguments.record.as_ref().map(|path| -> anyhow::Result<Found> {
        let text = fs::read(path).with_context(|| format!("reading node record `{}`", path.display()))?;
        Ok(Found { place: path.display().to_string(), text })
    });
    let (status, code) = match run(&system, given.transpose()?) {
        Ok(status) => (status, ExitCode::SUCCESS),
        Err(stopped) => {
            let code = if stopped.is_record_fault { RECORD_FAULT } else { 1 };
            (stopped.status, ExitCode::from(code))
        }
    };
    if mode == Mode::Apply {
        let text = serde_json::to_vec_pretty(&status).context("rendering status")?;
        system.ensure_file(status::PATH, &text, 0o644)?;
        keep_for_others(&status, &system);
    }
    let _ = print(arguments, &status)?;
    if arguments.console {
        consoles::show(&status);
    }
    Ok(code)
}

fn ask_metadata(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let system = System::new(&arguments.root, Mode::Apply);
    let pause = |time| {
        thread::sleep(time);
        Ok(())
    };
    let code = match hetzner::learn(&system, &Service::of(&system), pause) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) if is_input_fault(&fault) => ExitCode::from(RECORD_FAULT),
        Err(fault) => return Err(fault),
    };
    if let Some(status) = status::read(&system)? {
        keep_for_others(&status, &system);
        let _ = print(arguments, &status)?;
        if arguments.console {
            consoles::show(&status);
        }
    }
    Ok(code)
}

/// What is said on the consoles is said all the same.
fn keep_for_others(status: &Status, system: &System) {
    if let Err(fault) = last_failure::after_run(status, system) {
        let _ = writeln!(io::stderr(), "the medium tells nobody of this: {fault:#}");
    }
}

fn serve_cluster(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match serve::serve(&System::new(&arguments.root, Mode::Apply))? {}
}

fn start_k3s(arguments: &Arguments, mode: RunMode) -> anyhow::Result<ExitCode> {
    match k3s::start(&System::new(&arguments.root, Mode::Apply), mode)? {}
}

fn show_status(arguments: &Arguments, watch: bool) -> anyhow::Result<ExitCode> {
    let system = System::new(&arguments.root, Mode::DryRun);
    let mut shown = None;
    loop {
        let text = system.read(status::PATH)?;
        if let Some(text) = text.filter(|text| shown.as_ref() != Some(text)) {
            let status: Status = serde_json::from_slice(&text).context("reading the status of this boot")?;
            if arguments.console {
                consoles::show(&status);
            }
            if print(arguments, &status)? == Reader::Gone {
                return Ok(ExitCode::SUCCESS);
            }
            shown = Some(text);
        }
        if !watch {
            anyhow::ensure!(shown.is_some(), "firstboot has not reported in this boot");
            return Ok(ExitCode::SUCCESS);
        }
        if wait_for_reader_to_go(WATCH_INTERVAL)? == Reader::Gone {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn show_vpn(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let device = Kernel::open()?.device(VPN_INTERFACE)?;
    let report = Report::new(VPN_INTERFACE, &device, SystemTime::now());
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).context("rendering the VPN's status")? + "\n"
    } else {
        report.render()
    };
    write(&text).map(|_| ExitCode::SUCCESS)
}

/// Whether somebody still reads the standard output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reader {
    There,
    Gone,
}

/// Waits for `interval`, or until nobody reads the standard output any more.
fn wait_for_reader_to_go(interval: Timespec) -> anyhow::Result<Reader> {
    let stdout = io::stdout();
    // Asked for nothing, it answers with errors: the other end is closed.
    let mut output = [PollFd::new(&stdout, PollFlags::empty())];
    match poll(&mut output, Some(&interval)) {
        Ok(0) | Err(Errno::INTR) => Ok(Reader::There),
        Ok(_) => Ok(Reader::Gone),
        Err(error) => Err(error).context("waiting on standard output"),
    }
}

fn print(arguments: &Arguments, status: &Status) -> anyhow::Result<Reader> {
    let text = if arguments.json {
        serde_json::to_string_pretty(status).context("rendering status")? + "\n"
    } else {
        screen::render(status, true)
    };
    write(&text)
}

fn write(text: &str) -> anyhow::Result<Reader> {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error).context("writing to standard output"),
    }
}
