//! Names of the cluster in its zone.

use super::super::zone::{CreateRrset, Record};
use super::Site;
use crate::cloud::plan::Step;
use crate::cloud::wanted::{self, AddressFamily, NamedAddress};
use crate::hetzner::{Action, HetznerError, Operation, ZoneId};

impl Site<'_> {
    pub(super) async fn create_records(
        &self,
        operation: &Operation,
        step: &Step,
        (zone, name, record): (ZoneId, &str, &str),
    ) -> Result<Vec<Action>, HetznerError> {
        let wanted = CreateRrset {
            zone,
            name: name.to_owned(),
            kind: record.into(),
            ttl: Some(self.wanted.dns.ttl),
            records: self.records(&step.name, record),
            labels: self.labels()?,
        };
        Ok(self.client.create(operation, self.run, wanted).await?.actions)
    }

    /// The addresses that a name of the zone has.
    pub(super) fn records(&self, name: &str, record: &str) -> Vec<Record> {
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
