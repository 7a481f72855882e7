//! All servers: who carries out which order.

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use clap::ValueEnum;
use hetzner_simulator::{Failure, Machines, Order, Simulator, Ticket};

use crate::machine::Shop;
use crate::say;
use crate::server::{Message, Places, Server};

/// What servers boot by. No API of the provider tells.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Firmwares {
    /// UEFI, BIOS, UEFI, ... as they are created
    #[default]
    Mixed,
    /// UEFI, by the distribution's OVMF
    Uefi,
    /// BIOS, by QEMU's own SeaBIOS
    Bios,
}

impl Firmwares {
    /// Whether the next server has UEFI, after so many.
    const fn is_uefi(self, servers: u64) -> bool {
        match self {
            Self::Mixed => servers.is_multiple_of(2),
            Self::Uefi => true,
            Self::Bios => false,
        }
    }
}

/// QEMU machines.
#[derive(Debug)]
pub(crate) struct QemuMachines {
    simulator: OnceLock<Weak<Simulator>>,
    shop: Arc<Shop>,
    places: Places,
    firmwares: Firmwares,
    servers: Mutex<Servers>,
}

#[derive(Debug, Default)]
struct Servers {
    /// Ever created.
    count: u64,
    threads: BTreeMap<u64, Sender<Message>>,
}

impl QemuMachines {
    pub(crate) fn new(shop: Shop, places: Places, firmwares: Firmwares) -> Self {
        Self {
            simulator: OnceLock::new(),
            shop: Arc::new(shop),
            places,
            firmwares,
            servers: Mutex::default(),
        }
    }

    /// Says whom to ask about servers; before anybody can order anything.
    pub(crate) fn belong_to(&self, simulator: &Arc<Simulator>) {
        self.simulator.get_or_init(|| Arc::downgrade(simulator));
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, id: u64) -> Option<Sender<Message>> {
        let mut servers = self.servers();
        let is_uefi = self.firmwares.is_uefi(servers.count);
        servers.count = servers.count.saturating_add(1);
        let simulator = self.simulator.get().cloned()?;
        let inbox =
            Server::begin(id, simulator, Arc::clone(&self.shop), self.places.clone(), is_uefi).ok()?;
        servers.threads.insert(id, inbox.clone());
        Some(inbox)
    }
}

/// The server that an order is for.
const fn server(order: &Order) -> Option<u64> {
    match order {
        Order::Create { server, .. }
        | Order::PowerOn { server, .. }
        | Order::PowerOff { server }
        | Order::Shutdown { server }
        | Order::Restart { server, .. }
        | Order::Snapshot { server, .. }
        | Order::Rebuild { server, .. }
        | Order::ChangeType { server, .. }
        | Order::Delete { server } => Some(*server),
        _ => None,
    }
}

impl Machines for QemuMachines {
    fn begin(&self, order: Order, ticket: Ticket) {
        let inbox = server(&order).and_then(|id| match order {
            Order::Create { .. } => self.create(id),
            Order::Delete { .. } => self.servers().threads.remove(&id),
            _ => self.servers().threads.get(&id).cloned(),
        });
        let Some(inbox) = inbox else {
            ticket.fail(Failure::new("action_failed", "the simulator has no such machine"));
            return;
        };
        // A ticket that is lost fails its action.
        let _ = inbox.send(Message::Order(order, ticket));
    }

    fn image_deleted(&self, image: u64) {
        // One that could not be made is not there.
        if fs::remove_file(self.places.image(image)).is_ok() {
            say(&format!("snapshot {image}: deleted"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_is_mixed_unless_told_otherwise() {
        let first = |firmwares: Firmwares| [0, 1, 2].map(|servers| firmwares.is_uefi(servers));
        assert_eq!(first(Firmwares::default()), [true, false, true]);
        assert_eq!(first(Firmwares::Uefi), [true; 3]);
        assert_eq!(first(Firmwares::Bios), [false; 3]);
    }
}
