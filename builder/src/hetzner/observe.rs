//! What is there in a project, in the words that a plan is made of.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::firewall::{AppliedTo, Direction, Firewall, Protocol, Rule};
use super::image::{Image, ImageStatus};
use super::label::RUN;
use super::location::Location;
use super::network::{Network, SubnetType};
use super::placement_group::PlacementGroup;
use super::price::PriceAt;
use super::primary_ip::{IpType, PrimaryIp};
use super::server::{Server, ServerStatus};
use super::server_type::{Architecture, Gigabytes, ServerType};
use super::zone::{Rrset, Zone, ZoneMode};
use super::{Client, HetznerError, ImageId, Labels, Operation, Query, Selector};
use crate::cloud::observed::{self, DIGEST_LABEL, Found, Observed, Power};
use crate::cloud::price::PriceByTime;
use crate::cloud::wanted::{self, AddressFamily, CLUSTER_LABEL, Wanted};
use crate::cluster::Range;
use crate::units::{Arch, Bytes};

impl Client {
    /// Looks at everything that a plan for `wanted` depends on.
    pub async fn observe(&self, operation: &Operation, wanted: &Wanted) -> Result<Observed, HetznerError> {
        let all = Query::default();
        let images = Selector::exists(DIGEST_LABEL);
        // Alone and first: a token or an uplink that is no good is told of once, and always here.
        let locations = self.list::<Location>(operation, &all).await?;
        let (types, pricing, networks, firewalls) = tokio::try_join!(
            self.list::<ServerType>(operation, &all),
            self.pricing(operation),
            self.list::<Network>(operation, &all),
            self.list::<Firewall>(operation, &all),
        )?;
        let (groups, addresses, servers, snapshots, zone) = tokio::try_join!(
            self.list::<PlacementGroup>(operation, &all),
            self.list::<PrimaryIp>(operation, &all),
            self.list::<Server>(operation, &all),
            self.snapshots(operation, &images),
            self.observe_zone(operation, wanted.dns.zone.as_deref()),
        )?;
        let made_of = |id: ImageId| {
            let made =
                servers.iter().filter(|server| server.image.as_ref().is_some_and(|image| image.id == id));
            made.map(|server| server.id.0).collect()
        };
        let snapshots = snapshots.into_iter().map(|found| {
            let servers = made_of(found.id);
            snapshot(found, servers)
        });
        let snapshots = snapshots.collect();
        let address_prices = pricing.primary_ips.iter().flat_map(|prices| {
            let family = family(&prices.kind);
            let prices = prices.prices.iter();
            prices.filter_map(move |at| Some(((family?, at.location.clone()), price(at))))
        });
        Ok(Observed {
            snapshot_price: pricing.image.price_per_gb_month,
            currency: pricing.currency,
            locations: locations.into_iter().map(|location| (location.name, location.network_zone)).collect(),
            types: types.iter().map(server_type).collect(),
            address_prices: address_prices.collect(),
            networks: networks.into_iter().map(network).collect(),
            firewalls: firewalls.into_iter().map(|found| firewall(found, wanted)).collect(),
            placement_groups: groups.into_iter().map(placement_group).collect(),
            addresses: addresses.into_iter().map(address).collect(),
            servers: servers.into_iter().map(server).collect(),
            snapshots,
            zone,
            storage: None,
        })
    }

    async fn observe_zone(
        &self,
        operation: &Operation,
        name: Option<&str>,
    ) -> Result<Option<observed::Zone>, HetznerError> {
        let Some(name) = name else { return Ok(None) };
        let Some(zone) = self.by_name::<Zone>(operation, name).await? else { return Ok(None) };
        let rrsets = self.rrsets(operation, zone.id, &Query::default()).await?;
        Ok(Some(observed::Zone {
            id: zone.id.0,
            name: zone.name,
            is_writable: zone.mode == ZoneMode::Primary,
            records: rrsets.into_iter().map(records).collect(),
        }))
    }
}

fn texts(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn observed_as<T>(id: u64, name: String, (labels, is_protected): (&Labels, bool), is: T) -> Found<T> {
    Found { id, name, labels: texts(labels), is_protected, is }
}

fn price(at: &PriceAt) -> PriceByTime {
    PriceByTime { hourly: at.price_hourly, monthly: at.price_monthly }
}

fn range(net: Ipv4Net) -> Option<Range> {
    net.to_string().parse().ok()
}

fn arch(architecture: &Architecture) -> Option<Arch> {
    match architecture {
        Architecture::X86 => Some(Arch::Amd64),
        Architecture::Arm => Some(Arch::Arm64),
        Architecture::Other(_) => None,
    }
}

const fn family(kind: &IpType) -> Option<AddressFamily> {
    match kind {
        IpType::Ipv4 => Some(AddressFamily::Ipv4),
        IpType::Ipv6 => Some(AddressFamily::Ipv6),
        IpType::Other(_) => None,
    }
}

/// Whole bytes, of which one more or less does not matter: disks are told in whole GB.
fn bytes(size: Gigabytes) -> Bytes {
    Bytes(format!("{:.0}", size.0 * 1e9).parse().unwrap_or(0))
}

fn server_type(found: &ServerType) -> observed::ServerType {
    let offer = |at: &PriceAt| {
        let there = found.at(&at.location);
        // Prices stay on the list where the type is offered no longer. Older replies have no list of places.
        (there.is_some() || found.locations.is_empty()).then(|| {
            let is_available = there.and_then(|at| at.available);
            (at.location.clone(), observed::Offer { is_available, price: price(at) })
        })
    };
    observed::ServerType {
        name: found.name.clone(),
        arch: arch(&found.architecture),
        disk: bytes(found.disk),
        offers: found.prices.iter().filter_map(offer).collect(),
    }
}

fn network(found: Network) -> Found<observed::Network> {
    let subnets = found.subnets.iter().filter(|subnet| subnet.kind == SubnetType::Cloud);
    let subnets = subnets.filter_map(|subnet| Some((range(subnet.ip_range)?, subnet.network_zone.clone())));
    let is = observed::Network {
        range: range(found.ip_range),
        subnets: subnets.collect(),
        servers: found.servers.iter().map(|id| id.0).collect(),
    };
    observed_as(found.id.0, found.name, (&found.labels, found.protection.delete), is)
}

fn firewall(found: Firewall, wanted: &Wanted) -> Found<observed::Firewall> {
    let all = format!("{CLUSTER_LABEL}={}", wanted.name);
    let is_to_all = |applied: &AppliedTo| matches!(applied, AppliedTo::LabelSelector { label_selector } if label_selector.selector == all);
    let is = observed::Firewall {
        rules: found.rules.iter().map(rule).collect(),
        is_applied: found.applied_to.iter().any(is_to_all),
        has_others: !found.applied_to.iter().all(is_to_all),
    };
    observed_as(found.id.0, found.name, (&found.labels, false), is)
}

/// One that lets in from everywhere.
fn rule(found: &Rule) -> Option<wanted::Rule> {
    let protocol = match found.protocol {
        Protocol::Tcp => wanted::Protocol::Tcp,
        Protocol::Udp => wanted::Protocol::Udp,
        Protocol::Icmp => wanted::Protocol::Icmp,
        _ => return None,
    };
    let everywhere: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
    let is_in = found.direction == Direction::In;
    let is_open = everywhere.iter().all(|net| found.source_ips.contains(net));
    let port = found.port.as_ref().map(|port| port.parse()).transpose().ok()?;
    (is_in && is_open).then_some(wanted::Rule { protocol, port, purpose: "" })
}

fn placement_group(found: PlacementGroup) -> Found<()> {
    observed_as(found.id.0, found.name, (&found.labels, false), ())
}

fn address(found: PrimaryIp) -> Found<observed::Address> {
    let is = observed::Address {
        ip: found.ip.of_server(),
        location: found.location.name,
        server: found.assignee_id.map(|id| id.0),
    };
    observed_as(found.id.0, found.name, (&found.labels, found.protection.delete), is)
}

fn server(found: Server) -> Found<observed::Server> {
    let is = observed::Server {
        server_type: found.server_type.name,
        location: found.location.name,
        power: match found.status {
            ServerStatus::Running | ServerStatus::Starting => Power::On,
            ServerStatus::Off => Power::Off,
            _ => Power::Busy,
        },
        private_addresses: found.private_net.iter().map(|net| (net.network.0, net.ip)).collect(),
    };
    observed_as(found.id.0, found.name, (&found.labels, found.protection.delete), is)
}

fn snapshot(found: Image, servers: Vec<u64>) -> Found<observed::Snapshot> {
    let is = observed::Snapshot {
        arch: arch(&found.architecture),
        disk: bytes(found.disk_size),
        // What still carries the label of a run is not finished, whatever its status says.
        is_available: found.status == ImageStatus::Available && found.labels.get(RUN).is_none(),
        servers,
    };
    observed_as(found.id.0, found.description, (&found.labels, found.protection.delete), is)
}

fn records(found: Rrset) -> ((String, String), observed::Records) {
    let mut values: Vec<String> = found.records.iter().map(|record| record.value.clone()).collect();
    values.sort();
    let records = observed::Records {
        values,
        ttl: found.ttl,
        labels: texts(&found.labels),
        is_protected: found.protection.change,
    };
    ((found.name, found.kind.as_str().to_owned()), records)
}
