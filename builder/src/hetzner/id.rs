//! Numbers of things at Hetzner, one type for each kind, so that no server is deleted by an image's number.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    )+};
}

ids! {
    /// Number of an action.
    ActionId,
    /// Number of a firewall.
    FirewallId,
    /// Number of an image.
    ImageId,
    /// Number of a location.
    LocationId,
    /// Number of a network.
    NetworkId,
    /// Number of a placement group.
    PlacementGroupId,
    /// Number of a Primary IP.
    PrimaryIpId,
    /// Number of a server.
    ServerId,
    /// Number of a server type.
    ServerTypeId,
    /// Number of an SSH key.
    SshKeyId,
    /// Number of a DNS zone.
    ZoneId,
}
