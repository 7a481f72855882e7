//! Tickets: a signed, single-use, expiring permission to join as a named node. Minted offline, by who holds the
//! identity.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cluster::{ClusterId, ClusterRecord};
use crate::document::{self, Document, DocumentError};
use crate::record::Role;

/// How long a ticket is good, unless told otherwise.
pub const VALID: Duration = Duration::from_hours(7 * 24);
/// Clocks of two machines may differ by so much before a ticket counts as expired.
const SKEW: Duration = Duration::from_mins(5);

/// The last second that RFC 3339 can write, since 1970.
pub const LAST_MOMENT: u64 = 253_402_300_799;

/// A permission to join.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ticket {
    /// The cluster that may be joined.
    pub cluster: ClusterId,
    /// Its epoch when the ticket was minted.
    pub epoch: u32,
    /// Node name, a DNS label.
    pub node: String,
    /// What the node becomes.
    pub role: Role,
    /// Its address inside the VPN.
    pub address: Ipv4Addr,
    /// Kubernetes labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Last moment at which it is good, seconds since 1970.
    pub not_after: u64,
    /// What is burnt.
    pub nonce: Nonce,
    /// Counts the tickets of a node's name: the membership that comes of it replaces older ones.
    pub generation: u64,
    /// Only the machine with this serial number may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Only a machine with this Ethernet address may use it, `aa:bb:cc:dd:ee:ff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Whether a person must approve the claim.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approve: bool,
}

impl Document for Ticket {
    const KIND: &'static str = "ticket";
    const VERSION: u32 = 1;
}

/// 128 random bits, in 32 hexadecimal digits: the same form as a cluster's id, and never compared with one.
pub type Nonce = ClusterId;

/// What is known of a machine, by which a ticket may be bound to it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hardware {
    /// Serial number that the firmware tells (SMBIOS, or the device tree).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Ethernet addresses, lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<String>,
}

/// Why a ticket is not taken.
#[derive(Debug, Error)]
pub enum TicketError {
    /// Not a ticket of the cluster's ticket key.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Of another cluster.
    #[error("the ticket is for cluster {found}, this is cluster {own}")]
    Foreign {
        /// The ticket's.
        found: ClusterId,
        /// Ours.
        own: ClusterId,
    },
    /// Minted before the control plane was re-created or restored.
    #[error(
        "the ticket is of epoch {found}, the cluster is in epoch {own}: mint another with `imgbuild ticket {node}`"
    )]
    Epoch {
        /// The ticket's.
        found: u32,
        /// The cluster's.
        own: u32,
        /// The node it names.
        node: String,
    },
    /// Too old.
    #[error("the ticket expired at {at}: mint another with `imgbuild ticket {node}`")]
    Expired {
        /// RFC 3339.
        at: String,
        /// The node it names.
        node: String,
    },
    /// Presented by another machine than the one it is bound to.
    #[error("the ticket is bound to {0}")]
    Hardware(#[from] OtherMachine),
}

/// Not the machine that is asked for.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{what} {wanted}, the machine has {found}")]
pub struct OtherMachine {
    /// `serial number` or `Ethernet address`.
    pub what: &'static str,
    /// Which it must have.
    pub wanted: String,
    /// Which it has.
    pub found: String,
}

/// Why a ticket was not minted.
#[derive(Debug, Error)]
pub enum MintError {
    /// It would be good for nobody.
    #[error("the ticket would have expired at {at}")]
    Past {
        /// RFC 3339.
        at: String,
    },
    /// Its end cannot be written as a date (RFC 3339).
    #[error("the ticket would be good beyond the year 9999")]
    Endless,
    /// It cannot be written.
    #[error("rendering the ticket")]
    Render(#[from] serde_json::Error),
}

/// Signs a ticket, which must be good at `now`.
pub fn mint(ticket: &Ticket, now: SystemTime, key: &SigningKey) -> Result<String, MintError> {
    if ticket.not_after > LAST_MOMENT {
        return Err(MintError::Endless);
    }
    if expires(ticket) <= now {
        return Err(MintError::Past { at: shown(expires(ticket)) });
    }
    Ok(document::sign(ticket, key)?)
}

/// Opens a ticket of this cluster that is good at `now`. Whether it was used, and by which machine, is judged elsewhere.
pub fn open(text: &[u8], cluster: &ClusterRecord, now: SystemTime) -> Result<Ticket, TicketError> {
    let ticket: Ticket = document::open(text, &cluster.ticket_key)?;
    if ticket.cluster != cluster.id {
        return Err(TicketError::Foreign { found: ticket.cluster, own: cluster.id });
    }
    if ticket.epoch != cluster.epoch {
        return Err(TicketError::Epoch { found: ticket.epoch, own: cluster.epoch, node: ticket.node });
    }
    if expires(&ticket).checked_add(SKEW).is_none_or(|last| last < now) {
        return Err(TicketError::Expired { at: shown(expires(&ticket)), node: ticket.node });
    }
    Ok(ticket)
}

impl Ticket {
    /// Fails on a machine that it is not bound to.
    pub fn check_hardware(&self, hardware: &Hardware) -> Result<(), TicketError> {
        Ok(hardware.check(self.serial.as_deref(), self.mac.as_deref())?)
    }
}

impl Hardware {
    /// Fails unless this is the machine of this serial number and Ethernet address, as far as they are given.
    pub fn check(&self, serial: Option<&str>, mac: Option<&str>) -> Result<(), OtherMachine> {
        let mismatch =
            |what, wanted: &str, found: String| OtherMachine { what, wanted: wanted.to_owned(), found };
        if let Some(serial) = serial.filter(|serial| Some(*serial) != self.serial.as_deref()) {
            let found = self.serial.clone().unwrap_or_else(|| "none".to_owned());
            return Err(mismatch("serial number", serial, found));
        }
        let is_other = |mac: &&str| !self.macs.iter().any(|found| found.eq_ignore_ascii_case(mac));
        if let Some(mac) = mac.filter(is_other) {
            let found = if self.macs.is_empty() { "none".to_owned() } else { self.macs.join(", ") };
            return Err(mismatch("Ethernet address", mac, found));
        }
        Ok(())
    }
}

fn expires(ticket: &Ticket) -> SystemTime {
    // A time that no clock can show is for ever.
    let longest = SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into());
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(ticket.not_after))
        .map_or(longest, |at| at.min(longest))
}

fn shown(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cluster::tests::{example as cluster, membership_key, ticket_key};

    /// 2027-01-15.
    pub(crate) fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    pub(crate) fn example() -> Ticket {
        Ticket {
            cluster: cluster().id,
            epoch: 3,
            node: "edge1".to_owned(),
            role: Role::Edge,
            address: Ipv4Addr::new(10, 44, 1, 1),
            labels: BTreeMap::from([("site".to_owned(), "harbour".to_owned())]),
            not_after: 1_800_000_000 + VALID.as_secs(),
            nonce: ClusterId([9; 16]),
            generation: 3_000_001,
            serial: None,
            mac: None,
            approve: false,
        }
    }

    fn opened(ticket: &Ticket) -> Result<Ticket, String> {
        let text = document::sign(ticket, &ticket_key()).unwrap();
        open(text.as_bytes(), &cluster(), now()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_ticket_is_good_for_its_cluster_and_its_time() {
        let text = mint(&example(), now(), &ticket_key()).unwrap();
        assert_eq!(open(text.as_bytes(), &cluster(), now()).unwrap(), example());
        let at_its_end = now() + VALID + Duration::from_mins(4);
        assert_eq!(open(text.as_bytes(), &cluster(), at_its_end).unwrap(), example());
        let forged = mint(&example(), now(), &membership_key()).unwrap();
        let fault = open(forged.as_bytes(), &cluster(), now()).unwrap_err();
        assert!(matches!(fault, TicketError::Document(DocumentError::Forged { .. })), "{fault}");
        assert_eq!(
            opened(&Ticket { cluster: ClusterId([2; 16]), ..example() }).unwrap_err(),
            "the ticket is for cluster 02020202020202020202020202020202, this is cluster \
             c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"
        );
        assert_eq!(
            opened(&Ticket { epoch: 2, ..example() }).unwrap_err(),
            "the ticket is of epoch 2, the cluster is in epoch 3: mint another with `imgbuild ticket edge1`"
        );
        assert_eq!(
            opened(&Ticket { not_after: 1_799_999_000, ..example() }).unwrap_err(),
            "the ticket expired at 2027-01-15T07:43:20Z: mint another with `imgbuild ticket edge1`"
        );
        assert!(opened(&Ticket { not_after: u64::MAX, ..example() }).is_ok());
        let past = mint(&Ticket { not_after: 1_800_000_000, ..example() }, now(), &ticket_key());
        assert_eq!(past.unwrap_err().to_string(), "the ticket would have expired at 2027-01-15T08:00:00Z");
    }

    #[test]
    fn a_bound_ticket_is_good_on_its_machine_only() {
        let machine = Hardware {
            serial: Some("SN1".to_owned()),
            macs: vec!["52:54:00:00:00:01".to_owned(), "52:54:00:00:00:02".to_owned()],
        };
        let bound = |serial: Option<&str>, mac: Option<&str>| {
            let ticket =
                Ticket { serial: serial.map(str::to_owned), mac: mac.map(str::to_owned), ..example() };
            ticket.check_hardware(&machine).err().map(|fault| fault.to_string())
        };
        assert_eq!(bound(None, None), None);
        assert_eq!(bound(Some("SN1"), Some("52:54:00:00:00:02")), None);
        let serial = "the ticket is bound to serial number SN2, the machine has SN1";
        assert_eq!(bound(Some("SN2"), None).as_deref(), Some(serial));
        let mac = "the ticket is bound to Ethernet address 52:54:00:00:00:03, the machine has 52:54:00:00:00:01, \
                   52:54:00:00:00:02";
        assert_eq!(bound(None, Some("52:54:00:00:00:03")).as_deref(), Some(mac));
        let nothing = Ticket { serial: Some("SN1".to_owned()), ..example() };
        let fault = nothing.check_hardware(&Hardware::default()).unwrap_err();
        assert_eq!(fault.to_string(), "the ticket is bound to serial number SN1, the machine has none");
    }
}
