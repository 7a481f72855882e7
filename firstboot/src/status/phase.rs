//! Where a node stands, and for how long it may.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What goes by itself takes seconds; on a slow uplink and an old disk it takes minutes.
const DEADLINE: Duration = Duration::from_mins(10);

/// Where a node stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// No record was found.
    Unclaimed,
    /// A cloud server waits until the metadata service says what it is.
    WaitingForMetadata,
    /// A dry run: what would be done is listed, nothing was.
    Planned,
    /// The record's settings are in force.
    Configured,
    /// A control-plane node waits for its operator to push what the identity gives to it.
    WaitingForOperator,
    /// The node asks the cluster to be taken in.
    Claiming,
    /// A person has to approve it.
    WaitingForApproval,
    /// The tunnels have not brought a packet yet.
    Connecting,
    /// k3s is on its way up.
    StartingK3s,
    /// A control-plane node makes the objects that the cluster begins with.
    Bootstrapping,
    /// The node is Ready, as the cluster sees it.
    Ready,
    /// A step stopped; `reason` says which and why.
    Stopped,
}

impl Phase {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unclaimed => "unclaimed",
            Self::WaitingForMetadata => "waiting for metadata",
            Self::Planned => "planned",
            Self::Configured => "configured",
            Self::WaitingForOperator => "waiting for its operator",
            Self::Claiming => "claiming",
            Self::WaitingForApproval => "waiting for approval",
            Self::Connecting => "connecting",
            Self::StartingK3s => "starting k3s",
            Self::Bootstrapping => "bootstrapping",
            Self::Ready => "ready",
            Self::Stopped => "stopped",
        }
    }

    /// How long it may last. What waits for a person waits for ever.
    pub const fn deadline(self) -> Option<Duration> {
        match self {
            Self::WaitingForMetadata
            | Self::Claiming
            | Self::Connecting
            | Self::StartingK3s
            | Self::Bootstrapping => Some(DEADLINE),
            Self::Unclaimed
            | Self::Planned
            | Self::Configured
            | Self::WaitingForOperator
            | Self::WaitingForApproval
            | Self::Ready
            | Self::Stopped => None,
        }
    }

    /// Where to look when it lasts longer, and nobody knows better.
    pub const fn advice(self) -> Option<&'static str> {
        match self {
            Self::Claiming => {
                Some("`imgbuild status` on the operator's computer: does the control plane answer?")
            }
            Self::Connecting => Some("is UDP to the control plane let through by every firewall in between?"),
            Self::StartingK3s => {
                Some("`journalctl --unit k3s-agent`, or `--unit k3s` on a control plane, says what k3s does")
            }
            Self::Bootstrapping => Some("`journalctl --unit firstboot-serve` says what was tried"),
            _ => None,
        }
    }
}
