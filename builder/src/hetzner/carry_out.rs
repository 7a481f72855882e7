//! A plan, carried out: each of its actions is the call that was shown for it, and what the call has begun is waited for.
//!
//! Steps of one kind and intent are carried out side by side but for re-imaging, all others one after the other. Where
//! one fails, those beside it come to their end: nothing is dropped on its way.

mod buckets;
mod records;
mod servers;

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
use super::primary_ip::PrimaryIp;
use super::server::Server;
use super::{
    Client, FirewallId, HetznerError, ImageId, Labels, NetworkId, Operation, PlacementGroupId, PrimaryIpId,
    Run, Selector, ServerId, ZoneId,
};
use crate::cloud::observed::Observed;
use crate::cloud::plan::{Action, Plan, Step};
use crate::cloud::wanted::{self, AddressFamily, CLUSTER_LABEL, DiskImage, Wanted};
use crate::cluster::Range;
use crate::s3::Storage;

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
    storage: Option<&'a Storage>,
}

/// Numbers of what is there, by name.
#[derive(Debug, Default)]
struct Known {
    network: Option<NetworkId>,
    group: Option<PlacementGroupId>,
    addresses: BTreeMap<String, (PrimaryIpId, IpAddr)>,
    servers: BTreeMap<String, ServerId>,
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
        Self { client, run, wanted, given, known: Mutex::new(known), storage: None }
    }

    /// With the S3 service whose buckets belong to it.
    #[must_use]
    pub fn with_storage(self, storage: Option<&'a Storage>) -> Self {
        Self { storage, ..self }
    }

    /// Carries out all steps. `before` is waited for before each group of steps: a lock is renewed there. `done` is told of
    /// each that is.
    pub async fn carry_out(
        &self,
        operation: &Operation,
        plan: &Plan,
        mut before: impl AsyncFnMut() -> Result<(), HetznerError>,
        done: &(impl Fn(&Step) + Sync),
    ) -> Result<(), HetznerError> {
        let due: Vec<&Step> = plan.steps.iter().filter(|step| !step.actions.is_empty()).collect();
        for group in due.chunk_by(|one, next| go_together(one, next)) {
            before().await?;
            let steps = join_all(group.iter().map(|step| async {
                self.step(operation, step).await?;
                done(step);
                Ok(())
            }));
            steps.await.into_iter().collect::<Result<(), HetznerError>>()?;
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
                    ip_range: (*range).into(),
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
            Action::CreateRecords { zone, name, record } => {
                self.create_records(operation, step, (ZoneId(*zone), name, record)).await?
            }
            Action::SetRecords { zone, name, record } => {
                let records = self.records(&step.name, record);
                client.set_records(operation, ZoneId(*zone), (name, &(*record).into()), &records).await?
            }
            Action::ChangeTtl { zone, name, record } => {
                let ttl = Some(self.wanted.dns.ttl);
                client.change_ttl(operation, ZoneId(*zone), (name, &(*record).into()), ttl).await?
            }
            Action::Bucket { call, .. } => return self.bucket(operation, &step.name, call).await,
            Action::DeleteRecords { zone, name, record } => {
                client.delete_rrset(operation, ZoneId(*zone), name, &record.as_str().into()).await?
            }
        };
        client.wait(operation, actions).await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server of an action, or the one that its step has made.
    fn server(&self, id: Option<u64>, step: &Step) -> Result<ServerId, HetznerError> {
        let made = || self.known().servers.get(&step.name).copied();
        id.map(ServerId).or_else(made).ok_or_else(|| missing("server", &step.name))
    }

    fn labels(&self) -> Result<Labels, HetznerError> {
        Ok(Labels::default().with(CLUSTER_LABEL, &self.wanted.name)?)
    }

    fn all_servers(&self) -> ApplyTo {
        ApplyTo::selector(&Selector::equals(CLUSTER_LABEL, &self.wanted.name))
    }
}

/// Servers are re-imaged one after the other: where one fails, the next stays what it is.
fn go_together(one: &Step, next: &Step) -> bool {
    let is_rebuild = |step: &Step| step.actions.iter().any(|action| matches!(action, Action::Rebuild { .. }));
    (one.kind, one.intent) == (next.kind, next.intent) && !is_rebuild(one) && !is_rebuild(next)
}

/// Somebody has removed it since the plan was made.
fn missing(kind: &'static str, name: &str) -> HetznerError {
    HetznerError::Gone { kind, name: name.to_owned() }
}

fn subnet(range: Range, zone: &str) -> Subnet {
    Subnet { kind: SubnetType::Cloud, ip_range: range.into(), network_zone: zone.to_owned(), gateway: None }
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
