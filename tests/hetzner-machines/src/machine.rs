//! A server's machine while it is on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use imgbuild::machine::{Accelerator, Firmware};
use imgbuild::process::{ProcessError, Running};
use tempfile::TempDir;
use thiserror::Error;

use crate::dhcp::Lease;
use crate::facts::Facts;
use crate::lease::{Leases, address_without_public};
use crate::monitor::{End, Monitor, MonitorError};
use crate::network::{self, DNS, Interface, METADATA, Network, NetworkError, PUBLIC_GATEWAY, Side};
use crate::qemu::{self, Settings};

/// How long QEMU may take to end after its monitor has.
const ENDING: Duration = Duration::from_secs(30);

/// Why a machine is not on.
#[derive(Debug, Error)]
pub(crate) enum MachineError {
    /// Its files cannot be written.
    #[error("preparing server {server}")]
    Prepare {
        /// Which server.
        server: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be attached.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// QEMU has not started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// QEMU has not started, or hangs.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
}

/// What all machines share.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) qemu: PathBuf,
    pub(crate) accelerator: Accelerator,
    pub(crate) firmware: Firmware,
    pub(crate) network: Network,
    pub(crate) leases: Arc<Leases>,
    /// Kernel and initrd of the rescue system.
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    /// What servers have at most: MiB, and number.
    pub(crate) memory: u64,
    pub(crate) processors: u64,
}

/// What a server is started with.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) folder: &'a Path,
    pub(crate) disk: &'a Path,
    pub(crate) console: &'a Path,
    pub(crate) is_uefi: bool,
    pub(crate) rescue: Option<&'a hetzner_simulator::Rescue>,
}

/// A machine that is on; dropping it cuts its power.
#[derive(Debug)]
pub(crate) struct Machine {
    shop: Arc<Shop>,
    server: u64,
    pub(crate) monitor: Monitor,
    qemu: Running,
    interfaces: Vec<Interface>,
    pub(crate) is_rescue: bool,
    // Its socket's path is short, which a path of the user's need not be.
    _folder: TempDir,
}

impl Machine {
    /// Switches a server on; `ended` is called once it has ended.
    pub(crate) fn start(
        shop: &Arc<Shop>,
        start: &Start<'_>,
        ended: impl FnOnce(End) + Send + 'static,
    ) -> Result<Self, MachineError> {
        let server = start.facts.id;
        let interfaces = interfaces(start.facts);
        let attached: Result<Vec<_>, _> =
            interfaces.iter().map(|interface| shop.network.plug(interface)).collect();
        let started = attached.map_err(MachineError::from).and_then(|_| {
            for interface in &interfaces {
                shop.leases.add(&interface.mac, server, lease(interface, start.facts));
            }
            run(shop, start, &interfaces)
        });
        let (qemu, folder) = match started {
            Ok(started) => started,
            Err(error) => {
                detach(shop, server, &interfaces);
                return Err(error);
            }
        };
        let connected = Monitor::connect(&folder.path().join(MONITOR), ended);
        let monitor = connected.inspect_err(|_| detach(shop, server, &interfaces))?;
        let (shop, is_rescue) = (Arc::clone(shop), start.rescue.is_some());
        Ok(Self { shop, server, monitor, qemu, interfaces, is_rescue, _folder: folder })
    }

    /// What QEMU has to say after its monitor has ended; nothing where all is well.
    pub(crate) fn last_words(&mut self) -> Option<String> {
        match self.qemu.wait(ENDING) {
            Ok(status) if status.success() => None,
            Ok(status) => Some(self.qemu.ended_badly(status).to_string()),
            Err(error) => Some(error.to_string()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.qemu.kill();
        detach(&self.shop, self.server, &self.interfaces);
    }
}

fn detach(shop: &Shop, server: u64, interfaces: &[Interface]) {
    shop.leases.remove(server);
    for interface in interfaces {
        // One that was never attached is not there.
        let _ = shop.network.unplug(interface);
    }
}

const MONITOR: &str = "qmp";

fn run(shop: &Shop, start: &Start<'_>, interfaces: &[Interface]) -> Result<(Running, TempDir), MachineError> {
    let Start { facts, folder, .. } = start;
    let failed = |source| MachineError::Prepare { server: facts.id, source };
    let sockets = TempDir::with_prefix("hetzner-simulator-").map_err(failed)?;
    let variables = qemu::variables(folder);
    if start.is_uefi && !variables.exists() {
        fs::copy(&shop.firmware.variables, &variables).map_err(failed)?;
    }
    let (password, keys) = (folder.join("rescue-password"), folder.join("rescue-keys"));
    if let Some(rescue) = start.rescue {
        fs::write(&password, &rescue.password).map_err(failed)?;
        fs::write(&keys, rescue.keys.join("\n") + "\n").map_err(failed)?;
    }
    let monitor = sockets.path().join(MONITOR);
    let settings = Settings {
        server: facts.id,
        name: &facts.name,
        accelerator: shop.accelerator,
        memory: facts.memory.saturating_mul(1024).min(shop.memory),
        processors: facts.processors.clamp(1, shop.processors),
        disk: start.disk,
        firmware: start.is_uefi.then_some((&shop.firmware, variables.as_path())),
        interfaces,
        console: start.console,
        monitor: &monitor,
        rescue: start.rescue.map(|_| qemu::Rescue {
            kernel: &shop.kernel,
            initrd: &shop.initrd,
            password: &password,
            keys: &keys,
        }),
    };
    Ok((settings.program(shop.qemu.as_os_str()).start()?, sockets))
}

/// The public interface, where there is one, and those of private networks. A server without public IPv4 has an
/// address there all the same, by which it reaches the metadata service only.
fn interfaces(facts: &Facts) -> Vec<Interface> {
    let public = facts.is_public().then(|| Interface {
        name: format!("pub{}", facts.id),
        mac: facts.public_mac(),
        address: facts.ipv4.unwrap_or_else(|| address_without_public(facts.id)),
        side: Side::Public { v6: facts.ipv6 },
    });
    let private = facts.private.iter().zip(0..).map(|(network, number): (_, u32)| Interface {
        name: format!("net{}n{number}", facts.id),
        mac: network.mac.clone(),
        address: network.ip,
        side: Side::Private {
            range: network.range,
            gateway: network.gateway(),
            aliases: network.aliases.clone(),
        },
    });
    public.into_iter().chain(private).collect()
}

fn lease(interface: &Interface, facts: &Facts) -> Lease {
    let (gateway, routes, dns) = match &interface.side {
        Side::Public { .. } if facts.ipv4.is_some() => {
            (PUBLIC_GATEWAY, vec![network::EVERYWHERE], DNS.to_vec())
        }
        Side::Public { .. } => (PUBLIC_GATEWAY, vec![METADATA.into()], Vec::new()),
        Side::Private { range, gateway, .. } => (*gateway, vec![*range], Vec::new()),
    };
    Lease { address: interface.address, gateway, routes, dns, mtu: interface.mtu() }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::facts::tests::example;

    #[test]
    fn servers_have_the_interfaces_that_the_api_shows() {
        let facts = example();
        let both = interfaces(&facts);
        let names: Vec<_> = both.iter().map(|interface| interface.name.as_str()).collect();
        assert_eq!(names, ["pub1005", "net1005n0"]);
        let leases: Vec<_> = both.iter().map(|interface| lease(interface, &facts)).collect();
        assert_eq!(leases[0].routes, [network::EVERYWHERE]);
        assert_eq!((leases[1].gateway, leases[1].mtu), (Ipv4Addr::new(10, 0, 0, 1), 1450));
        let hidden = Facts { ipv4: None, ..facts.clone() };
        let public = &interfaces(&hidden)[0];
        assert_eq!(lease(public, &hidden).routes, [METADATA.into()]);
        let private = Facts { ipv6: None, ..hidden };
        assert_eq!(interfaces(&private).len(), 1);
    }
}
