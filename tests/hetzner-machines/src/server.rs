//! One server: carries out its orders one by one, on a thread of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use hetzner_simulator::{Failure, Order, Rescue, Simulator, Ticket};
use imgbuild::machine::Accelerator;
use thiserror::Error;

use crate::disk::{self, DiskError};
use crate::facts::Facts;
use crate::machine::{Machine, MachineError, Shop, Start};
use crate::monitor::{End, MonitorError};
use crate::say;

/// For a system to end after its power button was pressed, by emulation on a busy host.
const SHUTDOWN: Duration = Duration::from_mins(5);
/// How long the power button may go unnoticed: a system that starts does not look at it yet.
const PRESS_AGAIN: Duration = Duration::from_secs(10);

/// Why an order was not carried out.
#[derive(Debug, Error)]
pub(crate) enum ServerError {
    /// Nobody knows the server.
    #[error("the simulator has no server {server}")]
    Unknown {
        /// Its number.
        server: u64,
    },
    /// There are no such machines here.
    #[error("servers of architecture `{architecture}` are not simulated")]
    Architecture {
        /// As the API names it.
        architecture: String,
    },
    /// Its folder cannot be made or removed.
    #[error("folder `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its disk is not as it should be.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its machine is not on.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// Its machine does not do what it is told.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// Its system does not look at the power button.
    #[error("the system has not ended {} s after its power button was pressed", SHUTDOWN.as_secs())]
    Shutdown,
}

/// What a server's thread is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// To carry out an order.
    Order(Order, Ticket),
    /// That a start of its machine has ended.
    Ended(u64, End),
}

/// Where servers and snapshots lie.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) folder: PathBuf,
    /// GB that disks have at most.
    pub(crate) largest: u64,
}

impl Places {
    /// Where a snapshot lies; images of the provider lie nowhere.
    pub(crate) fn image(&self, image: u64) -> PathBuf {
        self.folder.join("images").join(format!("{image}.raw"))
    }
}

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) id: u64,
    pub(crate) simulator: Weak<Simulator>,
    pub(crate) shop: Arc<Shop>,
    pub(crate) places: Places,
    pub(crate) is_uefi: bool,
    machine: Option<Machine>,
    /// Starts so far: a machine that was ended by us tells of its end later.
    starts: u64,
    inbox: Sender<Message>,
}

impl Server {
    /// Begins a server, which ends when it was deleted.
    pub(crate) fn begin(
        id: u64,
        simulator: Weak<Simulator>,
        shop: Arc<Shop>,
        places: Places,
        is_uefi: bool,
    ) -> io::Result<Sender<Message>> {
        let (inbox, messages) = channel();
        let own = inbox.clone();
        let mut server = Self { id, simulator, shop, places, is_uefi, machine: None, starts: 0, inbox: own };
        thread::Builder::new().name(format!("server {id}")).spawn(move || server.live(&messages))?;
        Ok(inbox)
    }

    fn live(&mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            let (order, ticket) = match message {
                Message::Order(order, ticket) => (order, ticket),
                Message::Ended(start, end) => {
                    self.ended(start, end);
                    continue;
                }
            };
            let is_last = matches!(order, Order::Delete { .. });
            match self.carry_out(&order, messages) {
                Ok(None) => ticket.succeed(),
                Ok(Some(size)) => ticket.succeed_with_size(size),
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::from(error));
                    say(&format!("server {}: {error}", self.id));
                    ticket.fail(Failure::new("action_failed", &error));
                }
            }
            if is_last {
                break;
            }
        }
    }

    /// Returns the size of a snapshot, in GB.
    fn carry_out(&mut self, order: &Order, messages: &Receiver<Message>) -> Result<Option<f64>, ServerError> {
        match order {
            Order::Create { image, disk, .. } => {
                let folder = self.folder();
                fs::create_dir_all(&folder).map_err(|source| ServerError::Folder { path: folder, source })?;
                self.write_disk(*image, *disk)?;
            }
            Order::PowerOn { rescue, .. } if self.machine.is_none() => self.power_on(rescue.as_ref())?,
            Order::PowerOff { .. } => self.power_off(),
            Order::Shutdown { .. } => self.shut_down(messages)?,
            Order::Restart { is_soft, rescue, .. } => {
                if *is_soft {
                    self.shut_down(messages)?;
                }
                self.power_off();
                self.power_on(rescue.as_ref())?;
            }
            Order::Snapshot { image, .. } => return self.snapshot(*image).map(Some),
            Order::Rebuild { image, .. } => {
                self.power_off();
                let size = fs::metadata(self.disk()).map(|metadata| metadata.len()).unwrap_or_default();
                self.write_disk(*image, size / 1_000_000_000)?;
                self.power_on(None)?;
            }
            Order::ChangeType { disk, .. } => {
                self.power_off();
                disk::grow(&self.disk(), disk::size((*disk).min(self.places.largest)))?;
                self.power_on(None)?;
            }
            Order::Delete { .. } => {
                self.power_off();
                let folder = self.folder();
                fs::remove_dir_all(&folder).map_err(|source| ServerError::Folder { path: folder, source })?;
                say(&format!("server {}: deleted", self.id));
            }
            _ => {}
        }
        Ok(None)
    }

    fn folder(&self) -> PathBuf {
        self.places.folder.join("servers").join(self.id.to_string())
    }

    fn disk(&self) -> PathBuf {
        self.folder().join("disk.raw")
    }

    fn facts(&self) -> Result<Facts, ServerError> {
        let unknown = ServerError::Unknown { server: self.id };
        let simulator = self.simulator.upgrade();
        simulator.and_then(|simulator| Facts::of(&simulator, self.id)).ok_or(unknown)
    }

    /// Puts an image onto the disk; nothing, where the image is the provider's.
    fn write_disk(&self, image: u64, gigabytes: u64) -> Result<(), ServerError> {
        let (disk, snapshot) = (self.disk(), self.places.image(image));
        let snapshot = snapshot.exists().then_some(snapshot);
        disk::make(&disk, snapshot.as_deref(), disk::size(gigabytes.min(self.places.largest)))?;
        let is_late = !self.is_uefi && self.shop.accelerator == Accelerator::Emulation;
        if is_late && snapshot.is_some() {
            disk::allow_late_timers(&disk)?;
        }
        Ok(())
    }

    fn power_on(&mut self, rescue: Option<&Rescue>) -> Result<(), ServerError> {
        let facts = self.facts()?;
        if facts.architecture != "x86" {
            return Err(ServerError::Architecture { architecture: facts.architecture });
        }
        let console = self.places.folder.join("consoles").join(format!("{}-{}", self.id, facts.name));
        let (folder, disk) = (self.folder(), self.disk());
        let start = Start {
            facts: &facts,
            folder: &folder,
            disk: &disk,
            console: &console,
            is_uefi: self.is_uefi,
            rescue,
        };
        self.starts = self.starts.saturating_add(1);
        let (inbox, number) = (self.inbox.clone(), self.starts);
        // Of a server that was deleted nobody wants to know.
        let ended = move |end| drop(inbox.send(Message::Ended(number, end)));
        self.machine = Some(Machine::start(&self.shop, &start, ended)?);
        self.report(&facts, rescue.is_some(), &console);
        Ok(())
    }

    fn report(&self, facts: &Facts, is_rescue: bool, console: &Path) {
        let firmware = if self.is_uefi { "UEFI" } else { "BIOS" };
        let system = if is_rescue { ", rescue system" } else { "" };
        say(&format!(
            "server {} `{}`: switched on, {firmware}, {}{system}; console {}",
            self.id,
            facts.name,
            self.shop.accelerator,
            console.display()
        ));
    }

    fn power_off(&mut self) {
        if self.machine.take().is_some() {
            say(&format!("server {}: switched off", self.id));
        }
    }

    /// Presses the power button until the system has ended.
    fn shut_down(&mut self, messages: &Receiver<Message>) -> Result<(), ServerError> {
        let started = Instant::now();
        while let Some(machine) = &self.machine {
            if started.elapsed() > SHUTDOWN {
                return Err(ServerError::Shutdown);
            }
            // Refused where QEMU is just ending, which is what comes next.
            let _ = machine.monitor.tell("system_powerdown");
            match messages.recv_timeout(PRESS_AGAIN) {
                Ok(Message::Ended(start, _)) if start == self.starts => self.power_off(),
                // A server has one order at a time: it is locked meanwhile.
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.power_off(),
            }
        }
        Ok(())
    }

    /// A machine has ended that was not told to.
    fn ended(&mut self, start: u64, end: End) {
        if start != self.starts {
            return;
        }
        let Some(mut machine) = self.machine.take() else { return };
        let words = machine.last_words();
        let was_rescue = machine.is_rescue;
        drop(machine);
        match end {
            End::Restart if was_rescue => {
                say(&format!("server {}: leaves the rescue system", self.id));
                match self.power_on(None) {
                    Ok(()) => return,
                    Err(error) => say(&format!("server {}: {:#}", self.id, anyhow::Error::from(error))),
                }
            }
            End::Off => say(&format!("server {}: its system has switched it off", self.id)),
            End::Restart | End::Lost => {
                say(&format!("server {}: lost: {}", self.id, words.unwrap_or_default()));
            }
        }
        if let Some(simulator) = self.simulator.upgrade() {
            simulator.stopped(self.id);
        }
    }

    /// A running system stands still meanwhile.
    fn snapshot(&self, image: u64) -> Result<f64, ServerError> {
        if let Some(machine) = &self.machine {
            machine.monitor.tell("stop")?;
        }
        let made = disk::snapshot(&self.disk(), &self.places.image(image));
        if let Some(machine) = &self.machine {
            machine.monitor.tell("cont")?;
        }
        let size = made?;
        say(&format!("server {}: snapshot {image}, {size:.3} GB", self.id));
        Ok(size)
    }
}
