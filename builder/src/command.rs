//! The command line: one file per subcommand, arguments first, then the function.

mod admin;
mod api;
mod boot;
mod build;
mod check;
mod clean;
mod cloud;
mod cluster_file;
mod deployment;
mod diff;
mod down;
pub mod failure;
mod file;
mod flash;
mod identity;
mod init;
mod install;
mod interrupt;
mod kubeconfig;
mod lock;
mod locking;
mod node;
mod orphans;
mod plan;
mod project;
mod record;
mod size;
mod slot;
mod snapshots;
mod status;
mod storage;
mod ticket;
mod up;
mod usb;
mod verify;
mod writing;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::archive::cache::{Cache, CacheError};
use crate::cluster::Cluster;
use crate::derived;
use crate::environment;
use crate::printer::{Color, Printer, Verbosity};
use crate::terminal::Terminal;
use crate::units::{Sha256, Timestamp};

pub use failure::Note;

/// Builds immutable node images that become a Kubernetes edge-cloud cluster by being booted
#[derive(Debug, Parser)]
#[command(name = "imgbuild", version, max_term_width = 80, disable_help_subcommand = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Cluster file; without it, the next cluster.toml here or above
    #[arg(short, long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// Write one JSON document to standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what needs attention
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", global = true)]
    pub color: Color,
    /// Debian mirror to fetch packages from.
    #[arg(
        long,
        value_name = "URL",
        global = true,
        help = "Debian mirror to fetch packages from [env: IMGBUILD_MIRROR]"
    )]
    pub mirror: Option<String>,
    /// Fetch nothing: use what the cache holds
    #[arg(long, global = true)]
    pub offline: bool,
    /// Folder of the cache; without it, imgbuild in the user's cache folder
    #[arg(long, value_name = "DIR", env = environment::CACHE, global = true)]
    pub cache: Option<PathBuf>,
    /// Don't ask before changing things
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a folder with a cluster file that is valid as it stands
    Init(init::Arguments),
    /// Show every fault of the cluster file, or what it describes
    Check(check::Arguments),
    /// Choose packages by exact version and digest
    Lock(lock::Arguments),
    /// Build a bootable disk image from a profile
    Build(build::Arguments),
    /// Boot a built image in QEMU
    Boot(boot::Arguments),
    /// The cluster's secrets: one encrypted file beside the cluster file
    Identity(identity::Arguments),
    /// Check a build against its manifest, root hash and signature
    Verify(verify::Arguments),
    /// The two slots of a disk: put an update on trial
    Slot(slot::Arguments),
    /// Show how two builds differ
    Diff(diff::Arguments),
    /// Show what takes the room in a build
    Size(size::Arguments),
    /// Remove builds, and the cache if asked to
    Clean(clean::Arguments),
    /// The GitOps tree: what ArgoCD syncs
    Deployment(deployment::Arguments),
    /// Print the record that a node is configured by
    Record(record::Arguments),
    /// Mint a ticket: a permission to join as a node, good once
    Ticket(ticket::Arguments),
    /// Show every node, why it is not Ready, and who waits to be let in
    Status(status::Arguments),
    /// Say what becomes of a machine that waits, or of a node
    Node(node::Arguments),
    /// Show what would be done at Hetzner, each call and its price
    Plan(plan::Arguments),
    /// Upload images to Hetzner, as snapshots that servers are made of
    Cloud(cloud::Arguments),
    /// Make the servers of a cluster at Hetzner, and wait until they are its nodes
    Up(up::Arguments),
    /// Remove all that a cluster has at Hetzner
    Down(down::Arguments),
    /// The snapshots at Hetzner that servers are made of
    Snapshots(snapshots::Arguments),
    /// Show what interrupted runs have left at Hetzner
    Orphans(orphans::Arguments),
    /// Write a stick or a card for each node
    Usb(usb::Arguments),
    /// Write a disk image to a stick or a card
    Flash(flash::Arguments),
    /// Mint a way to the Kubernetes API for kubectl and its like
    Kubeconfig(kubeconfig::Arguments),
    /// The people who may do everything
    Admin(admin::Arguments),
    /// Install programs, man pages and completions below a prefix
    Install(install::Arguments),
}

/// What every command works with.
#[derive(Clone, Debug)]
pub struct Context {
    /// Options of every command.
    pub global: Global,
    /// The way to people.
    pub printer: Printer,
}

impl Context {
    /// Finds, loads and checks the cluster file.
    pub fn cluster(&self) -> anyhow::Result<Cluster> {
        Cluster::load(&self.cluster_file()?).map_err(failure::of_cluster)
    }

    /// The folder of the cluster file, whatever is in the file.
    pub fn cluster_folder(&self) -> anyhow::Result<PathBuf> {
        let file = self.cluster_file()?;
        let folder = file.parent().unwrap_or(Path::new(""));
        // Without a leading `.`: the path is for people too.
        Ok(folder.strip_prefix(".").unwrap_or(folder).to_owned())
    }

    /// Fails unless the user lets it happen: by `--yes`, or by an answer at the terminal.
    fn ask(&self, question: &str) -> anyhow::Result<()> {
        if self.global.yes {
            return Ok(());
        }
        match Terminal::agrees(question) {
            Some(true) => Ok(()),
            Some(false) => Err(anyhow::anyhow!("nothing was done").input()),
            None => Err(anyhow::anyhow!("nothing was done: without a terminal nobody can be asked")
                .input()
                .hint("`--yes` says yes beforehand")),
        }
    }

    /// The cache that was named, or the user's.
    pub fn cache(&self) -> Result<Cache, CacheError> {
        match &self.global.cache {
            Some(folder) => Cache::open(folder),
            None => Cache::open_default(),
        }
    }

    /// What the cache keeps that `program` derived before.
    fn derived(&self, program: Sha256) -> Result<derived::Folder, CacheError> {
        Ok(derived::Folder::new(self.cache()?.derived(), program))
    }

    fn cluster_file(&self) -> anyhow::Result<PathBuf> {
        match &self.global.file {
            Some(file) => Ok(file.clone()),
            None => Cluster::find(Path::new(".")).map_err(failure::of_cluster),
        }
    }
}

/// Runs a whole command line, program name first, and shows its failure.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::show_usage(&error),
    };
    let Cli { global, command } = cli;
    let verbosity = match (global.quiet, global.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let printer = Printer::new(verbosity, global.color, global.json);
    let context = Context { global, printer };
    match dispatch(command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::show(&error, &context.printer),
    }
}

/// What the clock says, in whole seconds.
fn now() -> anyhow::Result<Timestamp> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ok(Timestamp(since.context("asking the clock")?.as_secs()))
}

/// Digest of the running program, which decides what is made like any other input.
fn this_program() -> anyhow::Result<Sha256> {
    // Not by its path, where an upgrade may have put another program meanwhile.
    let program = std::fs::read("/proc/self/exe").context("reading the running program")?;
    Ok(Sha256::of(&program))
}

fn dispatch(command: Command, context: &Context) -> anyhow::Result<()> {
    match command {
        Command::Init(arguments) => init::run(&arguments, context),
        Command::Check(arguments) => check::run(&arguments, context),
        Command::Lock(arguments) => lock::run(&arguments, context),
        Command::Build(arguments) => build::run(&arguments, context),
        Command::Boot(arguments) => boot::run(&arguments, context),
        Command::Identity(arguments) => identity::run(&arguments, context),
        Command::Verify(arguments) => verify::run(&arguments, context),
        Command::Slot(arguments) => slot::run(&arguments, context),
        Command::Diff(arguments) => diff::run(&arguments, context),
        Command::Size(arguments) => size::run(&arguments, context),
        Command::Clean(arguments) => clean::run(&arguments, context),
        Command::Deployment(arguments) => deployment::run(&arguments, context),
        Command::Record(arguments) => record::run(&arguments, context),
        Command::Ticket(arguments) => ticket::run(&arguments, context),
        Command::Plan(arguments) => plan::run(&arguments, context),
        Command::Cloud(arguments) => cloud::run(&arguments, context),
        Command::Up(arguments) => up::run(&arguments, context),
        Command::Down(arguments) => down::run(&arguments, context),
        Command::Usb(arguments) => usb::run(&arguments, context),
        Command::Flash(arguments) => flash::run(&arguments, context),
        Command::Snapshots(arguments) => snapshots::run(&arguments, context),
        Command::Orphans(arguments) => orphans::run(&arguments, context),
        Command::Status(arguments) => status::run(&arguments, context),
        Command::Node(arguments) => node::run(&arguments, context),
        Command::Kubeconfig(arguments) => kubeconfig::run(&arguments, context),
        Command::Admin(arguments) => admin::run(&arguments, context),
        Command::Install(arguments) => install::run(&arguments, context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn walk(command: &mut clap::Command, path: &str) {
        let help = command.render_long_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{path}: {line}");
        }
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && !about.ends_with('.'), "{path}: {about:?}");
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty() && !help.ends_with('.'), "{path} {}: {help:?}", argument.get_id());
        }
        for subcommand in command.get_subcommands_mut() {
            let path = format!("{path} {}", subcommand.get_name());
            walk(subcommand, &path);
        }
    }

    #[test]
    fn every_command_and_option_has_help_of_80_columns() {
        let mut command = Cli::command().term_width(80);
        command.build();
        walk(&mut command, "imgbuild");
    }
}
