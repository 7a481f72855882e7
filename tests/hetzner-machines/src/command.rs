//! The command line.
//!
//! The program runs itself twice: first with the network of the user, to make the rescue system; then in the namespace,
//! which only a process with one thread can enter.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use hetzner_simulator::{Options, Simulator};
use imgbuild::environment::{HCLOUD_ENDPOINT, HCLOUD_TOKEN};
use imgbuild::machine::{Accelerator, Firmware};
use imgbuild::printer::{Color, Printer, Verbosity};
use imgbuild::process::find;
use imgbuild::units::Arch;

use crate::child::Given;
use crate::facts::Facts;
use crate::lease::Leases;
use crate::machine::Shop;
use crate::machines::{Firmwares, QemuMachines};
use crate::namespace::NamespaceError;
use crate::network::Network;
use crate::rescue::{self, Sources};
use crate::server::Places;
use crate::{dhcp, dns, metadata, namespace, say};

const QEMU: &str = "qemu-system-x86_64";
/// Folders that a run begins with empty.
const OWN: [&str; 3] = ["servers", "images", "consoles"];

/// Hetzner simulator with QEMU machines: runs a command where its servers can be reached
///
/// The command finds the API by `HCLOUD_ENDPOINT` and `HCLOUD_TOKEN`. Servers start from what is written to their disks, or
/// into a rescue system. All ends with the command, whose exit status is passed on.
#[derive(Debug, Parser)]
#[command(name = "hetzner-machines", max_term_width = 80)]
struct Arguments {
    /// Folder of disks, snapshots and consoles, which are removed from it at
    /// the next start
    #[arg(long, value_name = "DIR", default_value = "hetzner-simulator")]
    folder: PathBuf,
    /// What servers boot by
    #[arg(long, value_enum, default_value_t)]
    firmware: Firmwares,
    /// GB that disks have at most, whatever the API says
    #[arg(long, value_name = "GB", default_value_t = 10)]
    disk: u64,
    /// MiB of memory that servers have at most
    #[arg(long, value_name = "MIB", default_value_t = 1536)]
    memory: u64,
    /// Processors that servers have at most
    #[arg(long, value_name = "N", default_value_t = 2)]
    processors: u64,
    /// Debian mirror of the rescue system
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Download nothing: the cache has the rescue system's packages
    #[arg(long)]
    offline: bool,
    /// imgbuild's cache; without it, imgbuild in the user's cache folder
    #[arg(long, value_name = "DIR", env = imgbuild::environment::CACHE)]
    cache: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t, hide = true)]
    stage: Stage,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What this process is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Stage {
    /// Begins the others
    #[default]
    All,
    /// Makes the rescue system
    Rescue,
    /// Has the servers and the command
    Servers,
}

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.stage {
        Stage::All => begin(&arguments),
        Stage::Rescue => make_rescue(&arguments).map(|()| ExitCode::SUCCESS),
        Stage::Servers => serve(&arguments),
    };
    done.unwrap_or_else(|error| {
        say(&format!("error: {error:#}"));
        if let Some(hint) = error.downcast_ref::<NamespaceError>().and_then(NamespaceError::hint) {
            say(&format!("hint: {hint}"));
        }
        ExitCode::FAILURE
    })
}

fn begin(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // What is missing is said before anything takes time.
    let program = arguments.command.first().context("no command is given")?;
    if !Path::new(program).exists() && find(&program.to_string_lossy()).is_none() {
        bail!("`{}` is no program", program.display());
    }
    if find(QEMU).is_none() {
        bail!("`{QEMU}` is not installed; on Debian, package `qemu-system-x86` brings it");
    }
    Firmware::find(Arch::Amd64)?;
    namespace::check()?;
    let _lock = prepare(&arguments.folder)?;
    if again(Stage::Rescue)? != ExitCode::SUCCESS {
        bail!("there is no rescue system");
    }
    namespace::enter()?;
    again(Stage::Servers)
}

/// Runs this program once more, as another stage.
fn again(stage: Stage) -> anyhow::Result<ExitCode> {
    let name = stage.to_possible_value().context("every stage has a name")?;
    let given: Vec<OsString> = std::env::args_os().skip(1).collect();
    let arguments = [OsStr::new("--stage"), OsStr::new(name.get_name())].into_iter();
    let arguments = arguments.chain(given.iter().map(OsString::as_os_str)).collect();
    let program = OsStr::new("/proc/self/exe");
    Given { program, arguments, environment: Vec::new() }.run().context("starting this program once more")
}

/// Empties the folder of an earlier run. Two runs at a time do not share one.
fn prepare(folder: &Path) -> anyhow::Result<File> {
    let what = || format!("making folder `{}`", folder.display());
    fs::create_dir_all(folder).with_context(what)?;
    let lock = File::create(folder.join("lock")).with_context(what)?;
    lock.try_lock().with_context(|| format!("folder `{}` is in use", folder.display()))?;
    for name in OWN {
        match fs::remove_dir_all(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(what),
            _ => fs::create_dir(folder.join(name)).with_context(what)?,
        }
    }
    Ok(lock)
}

fn make_rescue(arguments: &Arguments) -> anyhow::Result<()> {
    let sources = Sources {
        cache: arguments.cache.as_deref(),
        mirror: arguments.mirror.as_deref(),
        is_offline: arguments.offline,
    };
    rescue::make(&arguments.folder, &sources, &Printer::new(Verbosity::Normal, Color::Auto, false))
}

fn serve(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    namespace::end_with_parent()?;
    namespace::see_processes();
    // Machines are told absolute paths, lest a path look like an option.
    let folder = arguments.folder.canonicalize().context("looking for the folder")?;
    let (leases, network) = (Arc::new(Leases::default()), Network::begin()?);
    let qemu = find(QEMU).with_context(|| format!("`{QEMU}` is not installed"))?;
    let accelerator = Accelerator::probe(qemu.as_os_str());
    let shop = Shop {
        qemu,
        accelerator,
        firmware: Firmware::find(Arch::Amd64)?,
        network,
        leases: Arc::clone(&leases),
        kernel: rescue::kernel(&folder),
        initrd: rescue::initrd(&folder),
        memory: arguments.memory,
        processors: arguments.processors,
    };
    let places = Places { folder: folder.clone(), largest: arguments.disk };
    let machines = Arc::new(QemuMachines::new(shop, places, arguments.firmware));
    let simulator = Simulator::start(Options { machines: machines.clone(), ..Options::default() });
    let simulator = Arc::new(simulator.context("listening on 127.0.0.1")?);
    machines.belong_to(&simulator);
    let (asked, known) = (Arc::clone(&simulator), Arc::clone(&leases));
    let find = move |peer: IpAddr| Facts::of(&asked, known.server_at(peer)?);
    metadata::service::start(Box::new(find)).context("starting the metadata service")?;
    dhcp::service::start(&leases).context("starting DHCP")?;
    let asked = Arc::clone(&simulator);
    let records: Arc<dns::Records> = Arc::new(move || asked.records());
    dns::start(&records).context("starting the name servers")?;
    let resolver = folder.join("resolv.conf");
    fs::write(&resolver, dns::resolver()).context("writing the name servers' addresses")?;
    namespace::resolve_by(&resolver)?;
    say(&format!(
        "API at {}, servers run by {accelerator}, files in `{}`",
        simulator.url(),
        folder.display()
    ));
    let (program, rest) = arguments.command.split_first().context("no command is given")?;
    let environment = vec![(HCLOUD_ENDPOINT, simulator.url()), (HCLOUD_TOKEN, simulator.token().to_owned())];
    let given = Given { program, arguments: rest.iter().map(OsString::as_os_str).collect(), environment };
    given.run().with_context(|| format!("starting `{}`", program.display()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_comes_last_and_keeps_its_options() {
        let parse = |text: &str| Arguments::try_parse_from(text.split_whitespace());
        let arguments = parse("machines --firmware bios --disk 20 -- imgbuild --yes up").unwrap();
        assert_eq!((arguments.firmware, arguments.disk), (Firmwares::Bios, 20));
        assert_eq!(arguments.command, ["imgbuild", "--yes", "up"]);
        for (text, expected) in [
            ("machines", ErrorKind::MissingRequiredArgument),
            ("machines imgbuild", ErrorKind::UnknownArgument),
            ("machines --disk x -- a", ErrorKind::ValueValidation),
        ] {
            assert_eq!(parse(text).unwrap_err().kind(), expected, "{text}");
        }
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_folder_is_emptied_of_what_a_run_has_made_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("simulator");
        drop(prepare(&own).unwrap());
        fs::write(own.join("images/1.raw"), "").unwrap();
        fs::write(own.join("notes"), "").unwrap();
        let lock = prepare(&own).unwrap();
        assert!(own.join("notes").exists() && !own.join("images/1.raw").exists());
        let fault = prepare(&own).unwrap_err().to_string();
        assert_eq!(fault, format!("folder `{}` is in use", own.display()));
        drop(lock);
    }
}
