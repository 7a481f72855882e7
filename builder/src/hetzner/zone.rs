//! DNS zones and their record sets.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::client::path;
use super::create::Create;
use super::open_enum::open_enum;
use super::resource::{Labelled, Listed, resource};
use super::transport::{Body, Request};
use super::{Action, Client, HetznerError, Labels, Operation, Query, ZoneId};

open_enum! {
    /// Where a zone's records are written.
    ZoneMode {
        /// Here.
        Primary = "primary",
        /// On another DNS server: they can only be read here.
        Secondary = "secondary",
    }
}

open_enum! {
    /// Type of records, as far as imgbuild writes them.
    RecordType {
        /// An IPv4 address.
        A = "A",
        /// An IPv6 address.
        Aaaa = "AAAA",
        /// Another name.
        Cname = "CNAME",
        /// A text.
        Txt = "TXT",
    }
}

/// A zone.
#[derive(Clone, Debug, Deserialize)]
pub struct Zone {
    /// Its number.
    pub id: ZoneId,
    /// `example.org`.
    pub name: String,
    /// Where its records are written.
    pub mode: ZoneMode,
    /// Seconds that records are kept by others, unless they say so themselves.
    #[serde(default)]
    pub ttl: Option<u32>,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
}

resource!(Zone, ZoneId, "zone", "zones", labelled);

/// All records of one name and type.
#[derive(Clone, Debug, Deserialize)]
pub struct Rrset {
    /// Relative to the zone; `@` is the zone itself.
    pub name: String,
    /// Their type.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// Seconds that they are kept by others; the zone's without.
    pub ttl: Option<u32>,
    /// The records.
    #[serde(default)]
    pub records: Vec<Record>,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Whether it can be changed.
    #[serde(default)]
    pub protection: RrsetProtection,
}

/// What is kept from happening to a record set.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct RrsetProtection {
    /// Changes, of which removal is one.
    #[serde(default)]
    pub change: bool,
}

/// A record.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    /// As zone files have it: `192.0.2.1`, `"a text"`.
    pub value: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Listed for Rrset {
    const ONE: &'static str = "rrset";
    const MANY: &'static str = "rrsets";
}

impl Labelled for Rrset {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// A record set to be made.
#[derive(Clone, Debug, Serialize)]
pub struct CreateRrset {
    /// In which zone.
    #[serde(skip)]
    pub zone: ZoneId,
    /// Relative to the zone; `@` is the zone itself.
    pub name: String,
    /// Type of its records.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// Seconds that they are kept by others, 60 at least; the zone's without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// The records, one at least.
    pub records: Vec<Record>,
    /// Its labels.
    pub labels: Labels,
}

impl Create for CreateRrset {
    type Made = Rrset;

    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn query(&self) -> Query {
        Query::default().name(&self.name).with("type", self.kind.as_str())
    }

    fn has_made(&self, found: &Rrset) -> bool {
        found.name == self.name && found.kind == self.kind
    }

    fn path(&self) -> Vec<String> {
        rrsets(self.zone)
    }

    fn list(&self) -> Vec<String> {
        rrsets(self.zone)
    }
}

fn rrsets(zone: ZoneId) -> Vec<String> {
    path(["zones", &zone.to_string(), "rrsets"])
}

fn rrset(zone: ZoneId, name: &str, kind: &RecordType) -> Vec<String> {
    path(["zones", &zone.to_string(), "rrsets", name, kind.as_str()])
}

impl Client {
    /// All record sets of a zone that `query` asks for.
    pub async fn rrsets(
        &self,
        operation: &Operation,
        zone: ZoneId,
        query: &Query,
    ) -> Result<Vec<Rrset>, HetznerError> {
        self.list_at(operation, rrsets(zone), query).await
    }

    /// The record set of a name and type, if there is one.
    pub async fn rrset(
        &self,
        operation: &Operation,
        zone: ZoneId,
        name: &str,
        kind: &RecordType,
    ) -> Result<Option<Rrset>, HetznerError> {
        match self.call(operation, &Request::new(Method::GET, rrset(zone, name, kind))).await {
            Ok(mut reply) => reply.take(Rrset::ONE).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a record set these records and no others.
    pub async fn set_records(
        &self,
        operation: &Operation,
        zone: ZoneId,
        (name, kind): (&str, &RecordType),
        records: &[Record],
    ) -> Result<Vec<Action>, HetznerError> {
        #[derive(Serialize)]
        struct SetRecords<'a> {
            records: &'a [Record],
        }
        let path = rrset(zone, name, kind);
        self.act(operation, path, "set_records", Body::of(&SetRecords { records }), &[]).await?.actions()
    }

    /// Changes how long others keep its records; the zone's without.
    pub async fn change_ttl(
        &self,
        operation: &Operation,
        zone: ZoneId,
        (name, kind): (&str, &RecordType),
        ttl: Option<u32>,
    ) -> Result<Vec<Action>, HetznerError> {
        #[derive(Serialize)]
        struct ChangeTtl {
            ttl: Option<u32>,
        }
        self.act(operation, rrset(zone, name, kind), "change_ttl", Body::of(&ChangeTtl { ttl }), &[])
            .await?
            .actions()
    }

    /// Gives a record set these labels and no others.
    pub async fn set_rrset_labels(
        &self,
        operation: &Operation,
        zone: ZoneId,
        (name, kind): (&str, &RecordType),
        labels: &Labels,
    ) -> Result<(), HetznerError> {
        #[derive(Serialize)]
        struct Update<'a> {
            labels: &'a Labels,
        }
        let request = Request::new(Method::PUT, rrset(zone, name, kind));
        self.call(operation, &request.with_body(Body::of(&Update { labels }))).await.map(drop)
    }

    /// Removes a record set.
    pub async fn delete_rrset(
        &self,
        operation: &Operation,
        zone: ZoneId,
        name: &str,
        kind: &RecordType,
    ) -> Result<Vec<Action>, HetznerError> {
        self.delete_at(operation, rrset(zone, name, kind)).await
    }
}
