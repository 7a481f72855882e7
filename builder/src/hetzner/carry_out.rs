//! A plan, carried out: each of its actions is the call that was shown for it, and what the call has begun is waited for.
//!
//! Steps of one kind and intent are carried out side by side, all others one after the other. Where one fails, those
//! beside it come to their end: nothing is dropped on its way.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::firewall::{ApplyTo, CreateFirewall, Direction, Firewall, Protocol, Rule};
use super::image::Image;
use super::network::{CreateNetwork, Network, Subnet, SubnetType};
use super::placement_group::{CreatePlacementGroup, PlacementGroup, PlacementGroupType};
use super::primary_ip::{AssigneeType, CreatePrimaryIp, IpType, PrimaryIp};
use super::server::{CreatePublicNet, CreateServer, ImageName, Server};
use super::zone::{CreateRrset, Record, RecordType};
use super::{
    Client, FirewallId, HetznerError, ImageId, Labels, NetworkId, Operation, PlacementGroupId, PrimaryIpId,
    Run, Selector, ServerId, ZoneId,
};
use crate::cloud::observed::{DIGEST_LABEL, Observed};
use crate::cloud::plan::{Action, Plan, Step};
use crate::cloud::wanted::{self, AddressFamily, CLUSTER_LABEL, DiskImage, NODE_LABEL, NamedAddress, Wanted};
use crate::cluster::{Range, Role};

/// Label of a server; its value is the number of the run that has given it its image and user data.
pub const MADE_BY: &str = "imgbuild.org/made-by";

/// What servers are made of beside what the plan says.
#[derive(Clone, Default)]
pub struct Given {
    /// The snapshot of each image, and its digest.
    pub images: Vec<(DiskImage, Snapshot)>,
    /// What each server finds at the metadata service, by the server's name.
    pub user_data: BTreeMap<String, String>,
}

/// What user data holds is secret until it was used.
impl fmt::Debug for Given {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.user_data.keys().collect();
        formatter.debug_struct("Given").field("images", &self.images).field("servers", &servers).finish()
    }
}

/// A snapshot to make servers of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// Its number.
    pub id: ImageId,
    /// Value of its label.
    pub digest: String,
}

/// What a plan is carried out for.
#[derive(Debug)]
pub struct Site<'a> {
    client: &'a Client,
    run: &'a Run,
    wanted: &'a Wanted,
    given: &'a Given,
    known: Mutex<Known>,
}

/// Numbers of what is there, by name.
#[derive(Debug, Default)]
struct Known {
    network: Option<NetworkId>,
    group: Option<PlacementGroupId>,
    addresses: BTreeMap<String, (PrimaryIpId, IpAddr)>,
    servers: BTreeMap<String, ServerId>,
}

/// What happens to a step, for who watches.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// It begins.
    Begun(&'a Step),
    /// It is done.
    Done(&'a Step),
}

impl<'a> Site<'a> {
    /// A site as it was `observed` when the plan was made.
    pub fn new(
        client: &'a Client,
        run: &'a Run,
        wanted: &'a Wanted,
        given: &'a Given,
        observed: &Observed,
    ) -> Self {
        let own = |name: &str| name == wanted.name;
        let network = observed.networks.iter().find(|found| own(&found.name));
        let group = observed.placement_groups.iter().find(|found| own(&found.name));
        let addresses = observed.addresses.iter();
        let servers = observed.servers.iter();
        let known = Known {
            network: network.map(|found| NetworkId(found.id)),
            group: group.map(|found| PlacementGroupId(found.id)),
            addresses: addresses
                .map(|found| (found.name.clone(), (PrimaryIpId(found.id), found.is.ip)))
                .collect(),
            servers: servers.map(|found| (found.name.clone(), ServerId(found.id))).collect(),
        };
        Self { client, run, wanted, given, known: Mutex::new(known) }
    }

    /// Carries out all steps. `before` is waited for before each group of steps: a lock is renewed there.
    pub async fn carry_out(
        &self,
        operation: &Operation,
        plan: &Plan,
        mut before: impl AsyncFnMut() -> Result<(), HetznerError>,
        watch: &(impl Fn(Event<'_>) + Sync),
    ) -> Result<(), HetznerError> {
        let due: Vec<&Step> = plan.steps.iter().filter(|step| !step.actions.is_empty()).collect();
        for group in due.chunk_by(|one, next| (one.kind, one.intent) == (next.kind, next.intent)) {
            before().await?;
            let done = join_all(group.iter().map(|step| async {
                watch(Event::Begun(step));
                self.step(operation, step).await?;
                watch(Event::Done(step));
                Ok(())
            }));
            done.await.into_iter().collect::<Result<(), HetznerError>>()?;
        }
        Ok(())
    }

    /// The public addresses of a server, as far as they are known.
    pub fn addresses(&self, server: &wanted::Server) -> Vec<IpAddr> {
        let known = self.known();
        let address = |family| known.addresses.get(&server.address_name(family)).map(|(_, address)| *address);
        AddressFamily::ALL.into_iter().filter_map(address).collect()
    }

    async fn step(&self, operation: &Operation, step: &Step) -> Result<(), HetznerError> {
        for action in &step.actions {
            operation.check()?;
            self.act(operation, step, action).await?;
        }
        Ok(())
    }

    async fn act(&self, operation: &Operation, step: &Step, action: &Action) -> Result<(), HetznerError> {
        let client = self.client;
        let actions = match action {
            Action::CreateNetwork { range, zone } => {
                let wanted = CreateNetwork {
                    name: step.name.clone(),
                    ip_range: net(*range),
                    subnets: vec![subnet(*range, zone)],
                    labels: self.labels()?,
                };
                let made = client.create(operation, self.run, wanted).await?;
                self.known().network = Some(made.made.id);
                made.actions
            }
            Action::AddSubnet { network, range, zone } => {
                client.add_subnet(operation, NetworkId(*network), &subnet(*range, zone)).await?
            }
            Action::CreateFirewall { rules } => {
                let wanted = CreateFirewall {
                    name: step.name.clone(),
                    rules: rules.iter().map(rule).collect(),
                    apply_to: vec![self.all_servers()],
                    labels: self.labels()?,
                };
                client.create(operation, self.run, wanted).await?.actions
            }
            Action::SetRules { firewall, rules } => {
                let rules: Vec<Rule> = rules.iter().map(rule).collect();
                client.set_rules(operation, FirewallId(*firewall), &rules).await?
            }
            Action::ApplyFirewall { firewall } => {
                client.apply_to_resources(operation, FirewallId(*firewall), &[self.all_servers()]).await?
            }
            Action::CreatePlacementGroup => {
                let wanted = CreatePlacementGroup {
                    name: step.name.clone(),
                    kind: PlacementGroupType::Spread,
                    labels: self.labels()?,
                };
                let made = client.create(operation, self.run, wanted).await?;
                self.known().group = Some(made.made.id);
                made.actions
            }
            Action::CreateAddress { family, location } => {
                return self.create_address(operation, &step.name, *family, location).await;
            }
            Action::CreateServer { server_type, location } => {
                return self.create_server(operation, &step.name, server_type, location).await;
            }
            Action::AttachToNetwork { server, address } => {
                let network = self.known().network.ok_or_else(|| missing("network", &self.wanted.name))?;
                client.attach_to_network(operation, self.server(*server, step)?, network, *address).await?
            }
            Action::DetachFromNetwork { server, network } => {
                client.detach_from_network(operation, ServerId(*server), NetworkId(*network)).await?
            }
            Action::AssignAddress { address, server } => {
                return self.assign(operation, PrimaryIpId(*address), ServerId(*server)).await;
            }
            Action::Shutdown { server } => return self.shut_down(operation, ServerId(*server)).await,
            Action::Rebuild { server } => return self.rebuild(operation, step, ServerId(*server)).await,
            Action::PowerOn { server } => client.poweron(operation, self.server(*server, step)?).await?,
            Action::DeleteServer { server } => client.delete::<Server>(operation, ServerId(*server)).await?,
            Action::DeleteAddress { address } => {
                client.delete::<PrimaryIp>(operation, PrimaryIpId(*address)).await?
            }
            Action::DeletePlacementGroup { group } => {
                client.delete::<PlacementGroup>(operation, PlacementGroupId(*group)).await?
            }
            Action::RemoveFirewall { firewall } => {
                client.remove_from_resources(operation, FirewallId(*firewall)).await?
            }
            Action::DeleteFirewall { firewall } => {
                client.delete::<Firewall>(operation, FirewallId(*firewall)).await?
            }
            Action::DeleteNetwork { network } => {
                client.delete::<Network>(operation, NetworkId(*network)).await?
            }
            Action::DeleteSnapshot { snapshot } => {
                client.delete::<Image>(operation, ImageId(*snapshot)).await?
            }
            Action::CreateRecords { .. }
            | Action::SetRecords { .. }
            | Action::ChangeTtl { .. }
            | Action::DeleteRecords { .. } => self.act_on_records(operation, step, action).await?,
        };
        client.wait(operation, actions).await
    }

    async fn act_on_records(
        &self,
        operation: &Operation,
        step: &Step,
        action: &Action,
    ) -> Result<Vec<super::Action>, HetznerError> {
        let client = self.client;
        match action {
            Action::CreateRecords { zone, name, record } => {
                let wanted = CreateRrset {
                    zone: ZoneId(*zone),
                    name: name.clone(),
                    kind: (*record).into(),
                    ttl: Some(self.wanted.dns.ttl),
                    records: self.records(&step.name, record),
                    labels: self.labels()?,
                };
                Ok(client.create(operation, self.run, wanted).await?.actions)
            }
            Action::SetRecords { zone, name, record } => {
                let kind = RecordType::from(*record);
                let records = self.records(&step.name, record);
                client.set_records(operation, ZoneId(*zone), (name, &kind), &records).await
            }
            Action::ChangeTtl { zone, name, record } => {
                let kind = RecordType::from(*record);
                let ttl = Some(self.wanted.dns.ttl);
                client.change_ttl(operation, ZoneId(*zone), (name, &kind), ttl).await
            }
            Action::DeleteRecords { zone, name, record } => {
                client.delete_rrset(operation, ZoneId(*zone), name, &record.as_str().into()).await
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn create_address(
        &self,
        operation: &Operation,
        name: &str,
        family: AddressFamily,
        location: &str,
    ) -> Result<(), HetznerError> {
        let wanted = CreatePrimaryIp {
            name: name.to_owned(),
            kind: match family {
                AddressFamily::Ipv4 => IpType::Ipv4,
                AddressFamily::Ipv6 => IpType::Ipv6,
            },
            location: location.to_owned(),
            assignee_type: AssigneeType::Server,
            // It is what names and endpoints say: it outlives its server.
            auto_delete: false,
            labels: self.labels()?,
        };
        let created = self.client.create(operation, self.run, wanted).await?;
        let made = created.made;
        self.known().addresses.insert(made.name.clone(), (made.id, made.ip.of_server()));
        self.client.wait(operation, created.actions).await
    }

    async fn create_server(
        &self,
        operation: &Operation,
        name: &str,
        server_type: &str,
        location: &str,
    ) -> Result<(), HetznerError> {
        let server = self.wanted_server(name)?;
        let snapshot = self.snapshot(server)?;
        let wanted = {
            let known = self.known();
            let address =
                |family| known.addresses.get(&server.address_name(family)).map(|(number, _)| *number);
            let [ipv4, ipv6] = AddressFamily::ALL.map(address);
            CreateServer {
                name: name.to_owned(),
                server_type: server_type.to_owned(),
                image: ImageName::Id(snapshot.id),
                location: location.to_owned(),
                start_after_create: false,
                ssh_keys: Vec::new(),
                user_data: self.given.user_data.get(name).cloned(),
                public_net: CreatePublicNet {
                    enable_ipv4: ipv4.is_some(),
                    enable_ipv6: ipv6.is_some(),
                    ipv4,
                    ipv6,
                },
                // That of the cluster selects it by its label.
                firewalls: Vec::new(),
                placement_group: known.group.filter(|_| server.role == Role::ControlPlane),
                labels: self.server_labels(server, snapshot)?,
            }
        };
        let created = self.client.create(operation, self.run, wanted).await?;
        self.known().servers.insert(name.to_owned(), created.made.id);
        self.client.wait(operation, created.actions).await
    }

    /// Gives a server that is off another address than the one it may have.
    async fn assign(
        &self,
        operation: &Operation,
        address: PrimaryIpId,
        server: ServerId,
    ) -> Result<(), HetznerError> {
        let found: Option<PrimaryIp> = self.client.get(operation, address).await?;
        let there: Option<Server> = self.client.get(operation, server).await?;
        let kind = found.map(|found| found.kind);
        let net = there.map(|there| there.public_net);
        let has = match kind {
            Some(IpType::Ipv4) => net.and_then(|net| net.ipv4).and_then(|address| address.id),
            Some(IpType::Ipv6) => net.and_then(|net| net.ipv6).and_then(|address| address.id),
            _ => None,
        };
        if has == Some(address) {
            return Ok(());
        }
        if let Some(other) = has {
            let actions = self.client.unassign_primary_ip(operation, other).await?;
            self.client.wait(operation, actions).await?;
        }
        let actions = self.client.assign_primary_ip(operation, address, server).await?;
        self.client.wait(operation, actions).await
    }

    /// Asks the system to end, and switches it off where it does not.
    async fn shut_down(&self, operation: &Operation, id: ServerId) -> Result<(), HetznerError> {
        let actions = self.client.shutdown(operation, id).await?;
        self.client.wait(operation, actions).await?;
        self.client.wait_until_off(operation, id).await
    }

    /// The label follows the image: one that is cut short before that is re-imaged once more.
    async fn rebuild(&self, operation: &Operation, step: &Step, id: ServerId) -> Result<(), HetznerError> {
        let server = self.wanted_server(&step.name)?;
        let snapshot = self.snapshot(server)?;
        let user_data = self.given.user_data.get(&step.name).map(String::as_str);
        let actions = self.client.rebuild(operation, id, snapshot.id, user_data).await?;
        self.client.wait(operation, actions).await?;
        let labels = self.server_labels(server, snapshot)?;
        self.client.set_labels::<Server>(operation, id, &labels).await.map(drop)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server of an action, or the one that its step has made.
    fn server(&self, id: Option<u64>, step: &Step) -> Result<ServerId, HetznerError> {
        let made = || self.known().servers.get(&step.name).copied();
        id.map(ServerId).or_else(made).ok_or_else(|| missing("server", &step.name))
    }

    fn wanted_server(&self, name: &str) -> Result<&wanted::Server, HetznerError> {
        let mut servers = self.wanted.servers.iter();
        servers.find(|server| server.name == name).ok_or_else(|| missing("server", name))
    }

    fn snapshot(&self, server: &wanted::Server) -> Result<&Snapshot, HetznerError> {
        let found = self.given.images.iter().find(|(image, _)| *image == server.disk);
        found.map(|(_, snapshot)| snapshot).ok_or_else(|| missing("snapshot for", &server.name))
    }

    fn labels(&self) -> Result<Labels, HetznerError> {
        Ok(Labels::default().with(CLUSTER_LABEL, &self.wanted.name)?)
    }

    fn server_labels(&self, server: &wanted::Server, snapshot: &Snapshot) -> Result<Labels, HetznerError> {
        let labels = self.labels()?.with(NODE_LABEL, &server.node)?.with(DIGEST_LABEL, &snapshot.digest)?;
        Ok(labels.with(MADE_BY, &self.run.to_string())?)
    }

    fn all_servers(&self) -> ApplyTo {
        ApplyTo::selector(&Selector::equals(CLUSTER_LABEL, &self.wanted.name))
    }

    /// The addresses that a name of the zone has.
    fn records(&self, name: &str, record: &str) -> Vec<Record> {
        let is_it = |named: &&NamedAddress| named.name == name;
        let servers = self.wanted.dns.written.iter().find(is_it).map(|named| named.servers.as_slice());
        let servers = servers.unwrap_or_default();
        let family = AddressFamily::ALL.into_iter().find(|family| family.record() == record);
        let known = self.known();
        let value = |server: &wanted::Server| {
            let (_, address) = known.addresses.get(&server.address_name(family?))?;
            Some(Record { value: address.to_string(), comment: None })
        };
        self.wanted.servers.iter().filter(|server| servers.contains(&server.name)).filter_map(value).collect()
    }
}

/// Somebody has removed it since the plan was made.
fn missing(kind: &'static str, name: &str) -> HetznerError {
    HetznerError::Gone { kind, name: name.to_owned() }
}

fn net(range: Range) -> Ipv4Net {
    Ipv4Net::from(range)
}

fn subnet(range: Range, zone: &str) -> Subnet {
    Subnet { kind: SubnetType::Cloud, ip_range: net(range), network_zone: zone.to_owned(), gateway: None }
}

/// From everywhere.
fn rule(rule: &wanted::Rule) -> Rule {
    let everywhere: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
    Rule {
        direction: Direction::In,
        protocol: match rule.protocol {
            wanted::Protocol::Tcp => Protocol::Tcp,
            wanted::Protocol::Udp => Protocol::Udp,
            wanted::Protocol::Icmp => Protocol::Icmp,
        },
        port: rule.port.map(|port| port.to_string()),
        source_ips: everywhere.into(),
        destination_ips: Vec::new(),
        description: Some(rule.purpose.to_owned()),
    }
}
