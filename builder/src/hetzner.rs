//! The API of Hetzner Cloud: typed requests and replies of the subset that imgbuild needs, and the manners of a client.
//!
//! - [`Client`] sends, within the [`Budget`] that all its requests share, below the project's rate limit.
//! - [`Operation`] is what someone waits for: every call belongs to one, which has a deadline and a [`Stop`] for Ctrl-C.
//! - What fails is a [`HetznerError`]; [`retry`] knows which of them are worth another try.
//! - [`Run`] labels what it makes from the moment of creation, so that a clean-up finds it without a state file, and so
//!   that a creation of unknown outcome is looked up before it is repeated.
//! - [`ClusterLock`] keeps two runs away from one cluster.
//!
//! Names are the API's own. What a cluster needs of it, in which order, and what it costs, is for its callers to say:
//! nothing here knows cluster files, images or printers.
//!
//! Specification: <https://docs.hetzner.cloud/reference/cloud>. Unknown fields are passed over and unknown values kept
//! as they are, since the API grows without a new version.

pub use self::action::{Action, ActionStatus, Ended};
pub use self::budget::{Budget, RateLimit};
pub use self::client::{Client, Query};
pub use self::cluster_lock::{ClusterLock, Holder};
pub use self::create::{Create, Created};
pub use self::endpoint::{Endpoint, EndpointError};
pub use self::error::{ApiError, ErrorCode, FieldFault, HetznerError, RequestLine};
pub use self::id::{
    ActionId, FirewallId, ImageId, LocationId, NetworkId, PlacementGroupId, PrimaryIpId, ServerId,
    ServerTypeId, SshKeyId, ZoneId,
};
pub use self::label::{LabelError, Labels, Run, Selector};
pub use self::operation::{Operation, Stop, Stopper};
pub use self::request_lines::request_line;
pub use self::resource::{Labelled, Resource};
pub use self::retry::Pace;
pub use self::token::{Token, TokenError};

mod action;
mod budget;
pub mod carry_out;
mod client;
pub mod cluster_lock;
mod create;
mod endpoint;
mod error;
pub mod firewall;
mod id;
pub mod image;
pub mod label;
pub mod leftovers;
pub mod location;
pub mod network;
mod observe;
mod open_enum;
mod operation;
pub mod placement_group;
pub mod price;
pub mod primary_ip;
mod process;
mod request_lines;
mod resource;
pub mod retry;
mod rights;
pub mod server;
pub mod server_type;
pub mod ssh_key;
#[cfg(test)]
pub(crate) mod tests;
mod token;
mod transport;
pub mod zone;
