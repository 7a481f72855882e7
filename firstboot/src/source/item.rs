//! What a node may be given, and what it is called at each source.

/// One of the things that a node is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Item {
    /// The node record: plain, or signed by the cluster's operator.
    Record,
    /// The cluster record.
    Cluster,
    /// The ticket of a node that joins.
    Ticket,
    /// The one-time key of a control-plane node, 32 bytes in base64.
    PushKey,
}

impl Item {
    /// All, the record first.
    pub const ALL: [Self; 4] = [Self::Record, Self::Cluster, Self::Ticket, Self::PushKey];

    /// Its name, `record`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Cluster => "cluster",
            Self::Ticket => "ticket",
            Self::PushKey => "push-key",
        }
    }

    /// Its file on the EFI system partition, relative to it.
    pub const fn esp_file(self) -> &'static str {
        match self {
            Self::Record => "firstboot/record.json",
            Self::Cluster => crate::cluster::ESP_FILE,
            Self::Ticket => "firstboot/ticket",
            Self::PushKey => "firstboot/push-key",
        }
    }

    /// What QEMU is told: `-fw_cfg name=opt/org.imgbuild/record,file=record.json`.
    pub fn qemu_name(self) -> String {
        format!("opt/org.imgbuild/{}", self.name())
    }

    /// Where the kernel shows that.
    pub(super) fn fw_cfg(self) -> String {
        format!("/sys/firmware/qemu_fw_cfg/by_name/{}/raw", self.qemu_name())
    }

    /// Where this boot's last applying run keeps it; on a tmpfs, mode 0600.
    pub fn kept(self) -> String {
        format!("/run/imgbuild/{}.json", self.name())
    }
}
