//! Everything there is in the one project.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use crate::action::Actions;
use crate::address::Pool;
use crate::clock::{Clock, Time};
use crate::error::ApiError;
use crate::label::Labels;
use crate::page::Shape;
use crate::rate::Budget;
use crate::resource::firewall::Firewall;
use crate::resource::image::{self, Image};
use crate::resource::network::Network;
use crate::resource::placement_group::PlacementGroup;
use crate::resource::primary_ip::PrimaryIp;
use crate::resource::server::Server;
use crate::resource::ssh_key::SshKey;
use crate::resource::zone::Zone;
use crate::simulator::Options;

/// Kinds of resources.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Server,
    Image,
    SshKey,
    Network,
    Firewall,
    PlacementGroup,
    PrimaryIp,
    Zone,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Server,
        Self::Image,
        Self::SshKey,
        Self::Network,
        Self::Firewall,
        Self::PlacementGroup,
        Self::PrimaryIp,
        Self::Zone,
    ];

    /// As in the resources of an action.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Image => "image",
            Self::SshKey => "ssh_key",
            Self::Network => "network",
            Self::Firewall => "firewall",
            Self::PlacementGroup => "placement_group",
            Self::PrimaryIp => "primary_ip",
            Self::Zone => "zone",
        }
    }

    /// As in paths.
    pub(crate) fn plural(self) -> String {
        format!("{}s", self.name())
    }

    pub(crate) fn by_plural(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == text)
    }
}

/// What all resources have.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) created: Time,
    pub(crate) labels: Labels,
    /// Against deletion.
    pub(crate) is_protected: bool,
}

/// A kind of resource: where it is kept, how it is shown, and what lists of it can be asked for.
pub(crate) trait Resource: Sized {
    const KIND: Kind;
    const SHAPE: Shape;
    fn head(&self) -> &Head;
    fn head_mut(&mut self) -> &mut Head;
    fn table(state: &State) -> &Table<Self>;
    fn table_mut(state: &mut State) -> &mut Table<Self>;
    fn json(&self, state: &State) -> Value;

    /// Whether it may go, protection apart.
    fn check_delete(&self, _state: &State) -> Result<(), ApiError> {
        Ok(())
    }

    /// It has gone: what goes with it.
    fn deleted(self, _state: &mut State) {}
}

/// The resources of a kind, by ID.
#[derive(Clone, Debug)]
pub(crate) struct Table<T>(BTreeMap<u64, T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Resource> Table<T> {
    pub(crate) fn find(&self, id: u64) -> Option<&T> {
        self.0.get(&id)
    }

    pub(crate) fn find_mut(&mut self, id: u64) -> Option<&mut T> {
        self.0.get_mut(&id)
    }

    pub(crate) fn get(&self, id: u64) -> Result<&T, ApiError> {
        self.0.get(&id).ok_or_else(|| ApiError::not_found(T::KIND.name(), id))
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Result<&mut T, ApiError> {
        self.0.get_mut(&id).ok_or_else(|| ApiError::not_found(T::KIND.name(), id))
    }

    pub(crate) fn insert(&mut self, resource: T) {
        self.0.insert(resource.head().id, resource);
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        self.0.remove(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.values_mut()
    }

    /// Names are unique in their kind.
    pub(crate) fn check_name(&self, name: &str, except: Option<u64>) -> Result<(), ApiError> {
        if self.iter().any(|other| other.head().name == name && Some(other.head().id) != except) {
            let message = format!("{} name is already used", T::KIND.name());
            return Err(ApiError::not_unique("name", message));
        }
        Ok(())
    }
}

/// How many servers of a type fit into a location, and what is said when it is full.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Capacity {
    pub(crate) free: u64,
    pub(crate) code: String,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) budget: Budget,
    pub(crate) actions: Actions,
    pub(crate) servers: Table<Server>,
    pub(crate) images: Table<Image>,
    pub(crate) ssh_keys: Table<SshKey>,
    pub(crate) networks: Table<Network>,
    pub(crate) firewalls: Table<Firewall>,
    pub(crate) placement_groups: Table<PlacementGroup>,
    pub(crate) primary_ips: Table<PrimaryIp>,
    pub(crate) zones: Table<Zone>,
    /// How many of a kind there may be.
    pub(crate) limits: BTreeMap<Kind, usize>,
    /// By type and location; where nothing is said there is room.
    pub(crate) capacity: BTreeMap<(String, String), Capacity>,
    /// Snapshots that went, for machines.
    pub(crate) deleted_images: Vec<u64>,
    pool: Pool,
    last_id: u64,
}

impl State {
    pub(crate) fn new(options: &Options) -> Self {
        let mut images = Table::default();
        for image in image::system() {
            images.insert(image);
        }
        Self {
            clock: options.clock,
            budget: Budget::new(options.requests_per_hour),
            actions: Actions::new(options.action_delay),
            servers: Table::default(),
            images,
            ssh_keys: Table::default(),
            networks: Table::default(),
            firewalls: Table::default(),
            placement_groups: Table::default(),
            primary_ips: Table::default(),
            zones: Table::default(),
            limits: BTreeMap::new(),
            capacity: BTreeMap::new(),
            deleted_images: Vec::new(),
            pool: Pool::new(&options.ipv4_ranges),
            // Those of the provider's own things are below.
            last_id: 1000,
        }
    }

    /// IDs are unique over all kinds, so that one that is taken for another's is noticed.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn head(&mut self, name: &str, labels: Labels) -> Head {
        let id = self.next_id();
        let created = self.clock.now();
        Head { id, name: name.to_owned(), created, labels, is_protected: false }
    }

    /// A public IPv4 address that nobody has.
    pub(crate) fn take_v4(&mut self) -> Result<String, ApiError> {
        let used: BTreeSet<Ipv4Addr> = self.primary_ips.iter().filter_map(|ip| ip.ip.parse().ok()).collect();
        let taken = self.pool.take_v4(&used).map(|address| address.to_string());
        taken.ok_or_else(|| ApiError::new(412, "resource_unavailable", "no IPv4 address is free"))
    }

    /// A public IPv6 network that nobody has.
    pub(crate) fn take_v6(&mut self) -> String {
        self.pool.take_v6().to_string()
    }

    /// What the project's owner made, as the API shows it.
    pub(crate) fn show(&self, kind: Kind) -> Vec<Value> {
        fn all<T: Resource>(state: &State) -> Vec<Value> {
            T::table(state).iter().map(|resource| resource.json(state)).collect()
        }
        match kind {
            Kind::Server => all::<Server>(self),
            Kind::Image => {
                let own = self.images.iter().filter(|image| !image.is_system());
                own.map(|image| image.json(self)).collect()
            }
            Kind::SshKey => all::<SshKey>(self),
            Kind::Network => all::<Network>(self),
            Kind::Firewall => all::<Firewall>(self),
            Kind::PlacementGroup => all::<PlacementGroup>(self),
            Kind::PrimaryIp => all::<PrimaryIp>(self),
            Kind::Zone => all::<Zone>(self),
        }
    }

    /// Everything the project's owner made, by kind.
    pub(crate) fn show_all(&self) -> Value {
        let kinds = Kind::ALL.into_iter().map(|kind| (kind.plural(), json!(self.show(kind))));
        kinds.collect::<Map<_, _>>().into()
    }

    /// Whether one more of a kind may be made.
    pub(crate) fn check_limit(&self, kind: Kind) -> Result<(), ApiError> {
        match self.limits.get(&kind) {
            Some(limit) if self.show(kind).len() >= *limit => Err(ApiError::limit(&kind.plural())),
            _ => Ok(()),
        }
    }

    /// Whether nothing runs on a resource: servers, addresses and images are locked, others answer with a conflict.
    pub(crate) fn check_free(&self, kind: Kind, id: u64) -> Result<(), ApiError> {
        if !self.actions.holds(kind, id) {
            return Ok(());
        }
        Err(match kind {
            Kind::Server | Kind::Image | Kind::PrimaryIp => {
                ApiError::new(423, "locked", format!("{} is locked: an action is running", kind.name()))
            }
            _ => ApiError::new(409, "conflict", format!("{} is being changed", kind.name())),
        })
    }
}
