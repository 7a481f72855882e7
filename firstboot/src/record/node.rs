//! The node itself: what it is called, does, carries and runs on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Facts about the node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Node {
    /// Node and host name, a DNS label.
    pub name: String,
    /// What the node does.
    pub role: Role,
    /// Kubernetes labels, sorted by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Where it stands; a label of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Kubernetes taints besides those of the role, `key=value:NoSchedule`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<String>,
    /// The machine that the node may run on, and its disk; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// Swap on the state partition; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<Swap>,
    /// The volumes it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longhorn: Option<Longhorn>,
}

/// What a node does in the cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the Kubernetes control plane, in the cloud.
    ControlPlane,
    /// Runs workloads in the cloud.
    Worker,
    /// Runs workloads at a site and joins over the VPN.
    Edge,
}

/// What the machine must be. Every part that is given must fit.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hardware {
    /// Serial number of the machine, as its firmware says (SMBIOS type 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Ethernet address of one of its interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Serial number of the disk that may be installed to, and wiped for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_serial: Option<String>,
}

/// Swap.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Swap {
    /// Bytes, whole pages.
    pub size: u64,
    /// Who may use it.
    pub behavior: SwapBehavior,
}

/// Who may use swap, in the words of the kubelet's `memorySwap.swapBehavior`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum SwapBehavior {
    /// The system alone.
    NoSwap,
    /// Pods of class Burstable too, in proportion to the memory they ask for.
    LimitedSwap,
}

/// The volumes that Longhorn may lay on a node.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Longhorn {
    /// Tags of the node: copies of a volume lie within one scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Where volumes lie.
    pub disks: Vec<LonghornDisk>,
}

/// A folder for volumes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LonghornDisk {
    /// Absolute path below `/var`.
    pub path: String,
    /// Tags of the disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Node {
    /// A node of which no more is said.
    pub fn new(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            labels: BTreeMap::new(),
            site: None,
            taints: Vec::new(),
            hardware: None,
            swap: None,
            longhorn: None,
        }
    }
}

impl Role {
    /// The name people write: `control-plane`, `worker`, `edge`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Worker => "worker",
            Self::Edge => "edge",
        }
    }
}

impl SwapBehavior {
    /// The kubelet's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSwap => "NoSwap",
            Self::LimitedSwap => "LimitedSwap",
        }
    }
}
