//! What is different on every node and must outlive a boot: made on the state partition by units.
//!
//! Packages make these when they are installed; an image must not contain them. `/etc` is memory, so
//! the programs are pointed at `/var`. Each unit writes under another name and renames, so that a
//! power cut leaves no half-written file.

use super::{SetupError, Work};
use crate::tree::{Metadata, Tree};

const SSH_HOST_KEY: &str = "\
[Unit]
Description=Make the SSH host key on the state partition
ConditionPathExists=!/var/lib/ssh/ssh_host_ed25519_key
RequiresMountsFor=/var/lib/ssh
Before=ssh.service ssh.socket

[Service]
Type=oneshot
RemainAfterExit=yes
StateDirectory=ssh
StateDirectoryMode=0700
UMask=0077
ExecStartPre=/usr/bin/rm -f /var/lib/ssh/new /var/lib/ssh/new.pub
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N \"\" -C \"\" -f /var/lib/ssh/new
ExecStart=/usr/bin/sync /var/lib/ssh/new /var/lib/ssh/new.pub
ExecStart=/usr/bin/mv -f /var/lib/ssh/new.pub /var/lib/ssh/ssh_host_ed25519_key.pub
ExecStart=/usr/bin/mv -f /var/lib/ssh/new /var/lib/ssh/ssh_host_ed25519_key

[Install]
WantedBy=ssh.service ssh.socket
";

const SSHD_CONFIG: &str = "# The key lies on the state partition; imgbuild-ssh-host-key.service makes it.\n\
HostKey /var/lib/ssh/ssh_host_ed25519_key\n";

const ISCSI_INITIATOR: &str = "\
[Unit]
Description=Make the iSCSI initiator's name on the state partition
DefaultDependencies=no
ConditionPathExists=!/var/lib/iscsi/initiatorname.iscsi
RequiresMountsFor=/var/lib/iscsi
Conflicts=shutdown.target
Before=iscsid.service open-iscsi.service shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
StateDirectory=iscsi
UMask=0077
ExecStart=/bin/sh -ec '\\
  name=$$(/usr/sbin/iscsi-iname -p iqn.1993-08.org.debian:01); \\
  echo InitiatorName=$$name >/var/lib/iscsi/initiatorname.new; \\
  sync /var/lib/iscsi/initiatorname.new; \\
  mv /var/lib/iscsi/initiatorname.new /var/lib/iscsi/initiatorname.iscsi'

[Install]
WantedBy=iscsid.service open-iscsi.service
";

/// Stands for openssh-server's keys.
pub(super) fn ssh_host_key(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    if !work.has_package("openssh-server") {
        return Ok(());
    }
    tree.write("etc/ssh/sshd_config.d/imgbuild.conf", Metadata::FILE, SSHD_CONFIG)?;
    unit(tree, work, "imgbuild-ssh-host-key.service", SSH_HOST_KEY)
}

/// Stands for open-iscsi's initiator name.
pub(super) fn iscsi_initiator(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    if !work.has_package("open-iscsi") {
        return Ok(());
    }
    tree.symlink("etc/iscsi/initiatorname.iscsi", "../../var/lib/iscsi/initiatorname.iscsi")?;
    unit(tree, work, "imgbuild-iscsi-initiator.service", ISCSI_INITIATOR)
}

fn unit(tree: &mut Tree, work: &mut Work<'_>, name: &str, text: &'static str) -> Result<(), SetupError> {
    tree.write(&format!("usr/lib/systemd/system/{name}"), Metadata::FILE, text)?;
    work.own_units.push(name.to_owned());
    Ok(())
}
