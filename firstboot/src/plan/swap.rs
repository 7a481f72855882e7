//! Swap: a file on state, made anew by a unit at every boot.

use super::PlannedFile;
use crate::record::Swap;

/// On state, where there is room.
const FILE: &str = "/var/lib/imgbuild/swap";

/// The unit, which k3s' units want. What is in swap means nothing to the next boot, so nothing of it needs to outlive a power cut.
pub(super) fn unit(swap: Swap) -> PlannedFile {
    let text = format!(
        "[Unit]
Description=Swap on the state partition
RequiresMountsFor=/var/lib/imgbuild
Before=k3s.service k3s-agent.service

[Service]
Type=oneshot
RemainAfterExit=yes
UMask=0077
ExecStart=/usr/bin/rm -f {FILE}
ExecStart=/usr/bin/fallocate --length {size} {FILE}
ExecStart=/usr/sbin/mkswap {FILE}
ExecStart=/usr/sbin/swapon {FILE}
ExecStart=/usr/sbin/sysctl vm.swappiness=10
ExecStop=/usr/sbin/swapoff {FILE}
",
        size = swap.size
    );
    PlannedFile::new("/run/systemd/system/imgbuild-swap.service", 0o644, text)
}
