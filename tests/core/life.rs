//! One node from its first boot on: what it is, and what it keeps.

use anyhow::{Context as _, ensure};
use firstboot::apply::StepState;
use firstboot::boot::BootReport;
use firstboot::status::{Phase, Status};
use imgbuild::units::Bytes;
use machine::{Disk, Power, Scene, Vm, report};

use super::tunnels;

/// A claim, the command that shows it, and lines or parts of lines that the command prints.
type Fact = (&'static str, &'static str, &'static [&'static str]);

/// What every booted debug image with a record is like.
const FACTS: &[Fact] = &[
    ("is fully up", "systemctl is-system-running --wait", &["running"]),
    ("has no failed unit", "systemctl --failed --no-legend --plain | wc -l", &["0"]),
    ("mounts our EROFS", "findmnt -no SOURCE,FSTYPE,OPTIONS /", &["/dev/dm-0 erofs ro,"]),
    ("reads the root through verity", "dmsetup status root", &[" verity V"]),
    ("has a read-only root", "! touch /usr/probe 2>&1", &["Read-only file system"]),
    (
        "keeps /etc in memory",
        "findmnt -no FSTYPE,OPTIONS /etc; findmnt -no FSTYPE -T /run/imgbuild/etc",
        &["overlay", "upperdir=/run/imgbuild/etc", "tmpfs"],
    ),
    (
        "keeps /var on state",
        "findmnt -no SOURCE,FSTYPE,OPTIONS /var; lsblk -no PARTLABEL /dev/vda7",
        &["/dev/vda7 ext4 rw,", "state"],
    ),
    ("has a DHCP lease", "ip -4 -o address show scope global", &["10.0.2.15/24", "dynamic"]),
    (
        "has WireGuard",
        "ip link add probe type wireguard && wg genkey | wg set probe private-key /dev/stdin && \
        wg show probe && ip link delete probe",
        &["interface: probe", "public key: "],
    ),
    ("has nftables and an iptables that uses it", "nft list ruleset && iptables -V", &["(nf_tables)"]),
    (
        "loads what a cluster needs",
        "modprobe -a wireguard br_netfilter overlay vxlan && \
        sysctl -n net.bridge.bridge-nf-call-iptables net.ipv4.ip_forward | xargs",
        &["1 1"],
    ),
    (
        "runs no unit of first boots and updates",
        "cd /usr/lib/systemd/system && systemctl show -p ConditionResult \
        --value $(grep -lsE 'Condition(FirstBoot|NeedsUpdate)' *.service *.target) | sort -u | xargs",
        &["no"],
    ),
    (
        "has k3s unpacked, and its search path",
        ". /usr/lib/k3s/environment; PATH=$PATH; k3s --version; command -v k3s; modprobe --version | head -1; \
        /usr/lib/k3s/data/*/bin/aux/modprobe x",
        &["k3s stand-in --version\n/usr/lib/k3s/data/", "kmod version", "busybox stand-in x"],
    ),
    (
        "says what is not as pinned",
        "firstboot status",
        &[
            "\nartifact    unpinned: k3s\n",
            "\nartifact    absent: argocd\n",
            "\nartifact    absent: tailscale\n",
        ],
    ),
    ("has a shell on tty9", "systemctl is-active debug-shell.service", &["active"]),
    ("marks itself as a debug image", "cat /etc/issue", &["DEBUG IMAGE"]),
    ("has nobody with a password", "cut -d: -f2 /etc/shadow | sort -u | tr -d '\\n'", &["*"]),
];

/// Pods' packets leave under the node's address: QEMU's gateway answers nobody else.
const MASQUERADE: &str = "
    set -e
    ip netns add pod
    ip link add cni0 type veth peer name eth0 netns pod
    ip address add 10.42.0.1/24 dev cni0 && ip link set cni0 up
    ip -n pod address add 10.42.0.2/24 dev eth0 && ip -n pod link set eth0 up
    ip -n pod route add default via 10.42.0.1
    ! ip netns exec pod ping -q -c 1 -W 3 10.0.2.2 >/dev/null
    iptables -t nat -A POSTROUTING -s 10.42.0.0/24 ! -o cni0 -j MASQUERADE
    ip netns exec pod ping -q -c 3 -W 10 10.0.2.2
    nft list ruleset";

/// How much the disk grows between two boots: from less than 2 GiB of state to more.
const GROWTH: Bytes = Bytes(1 << 30);

/// What must not outlive a boot, and what must.
const DRIFT: &str = "
    set -e
    echo drift >/etc/drift
    echo drifted >/etc/hostname && hostname drifted
    echo kept >/var/lib/marker
    cat /etc/machine-id";

#[test]
fn a_node_becomes_what_its_record_says_and_keeps_var_and_nothing_else() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("cloud-debug")?;
    ensure!(bundle.manifest.debug, "the manifest does not mark a debug image");
    let disk = Disk::of(&bundle, &scene)?;
    let machine_id = first_boot(&disk, &scene)?;
    disk.check_table()?;
    disk.check_state()?;
    disk.put_on_esp(&scene.record("edge1")?, firstboot::source::Item::Record.esp_file())?;
    let state = disk.partition("state")?;
    disk.grow(GROWTH)?;
    second_boot(&disk, &machine_id, &scene)?;
    disk.check_table()?;
    let grown = disk.partition("state")?;
    ensure!(grown.sectors * 512 == state.sectors * 512 + GROWTH.0, "{state:?} became {grown:?}");
    ensure!((grown.first, &grown.partuuid) == (state.first, &state.partuuid), "{state:?} became {grown:?}");
    disk.check_state()
}

/// With the record by `fw_cfg`; returns the machine id.
fn first_boot(disk: &Disk, scene: &Scene) -> anyhow::Result<String> {
    let power = Power { record: Some(scene.record("cp1")?), ..Power::default() };
    let mut vm = Vm::start("first-boot", disk, power, scene)?;
    vm.wait_until_up()?;
    check_console(vm.console(), "cp1")?;
    for parts in [
        "DEBUG IMAGE",
        "artifact    unpinned: k3s",
        "/etc/rancher/k3s/config.yaml (0600)",
        "| node-name: \"cp1\"",
        "| ListenPort = 51820",
    ] {
        ensure!(vm.console().contains(parts), "`{parts}` is not on the console:\n{}", vm.console());
    }
    for (claim, command, expected) in FACTS {
        let output = vm.run(command).with_context(|| format!("whether the machine {claim}"))?;
        for part in *expected {
            ensure!(output.contains(part), "the machine {claim}? `{command}` has no `{part}`:\n{output}");
        }
    }
    let output = vm.run(MASQUERADE).context("whether a MASQUERADE rule works")?;
    ensure!(output.contains(" 0% packet loss") && output.contains("masquerade"), "{output}");
    tunnels::check(&vm, disk.arch())?;
    check_identity(&vm, "cp1", "QEMU fw_cfg")?;
    ensure!(boot_report(&vm)?.state_created, "the first boot has not made the state partition");
    let machine_id = vm.run(DRIFT).context("leaving traces")?;
    ensure!(vm.run("hostname")? == "drifted\n", "the host name did not drift");
    vm.shut_down()?;
    Ok(machine_id)
}

/// With another record on the ESP.
fn second_boot(disk: &Disk, machine_id: &str, scene: &Scene) -> anyhow::Result<()> {
    let mut vm = Vm::start("second-boot", disk, Power::default(), scene)?;
    vm.wait_until_up()?;
    check_console(vm.console(), "edge1")?;
    check_identity(&vm, "edge1", "EFI system partition")?;
    ensure!(!boot_report(&vm)?.state_created, "the second boot has made the state partition anew");
    let output = vm.run(
        "systemctl is-system-running --wait; cat /etc/machine-id /var/lib/marker; test -e /etc/drift || echo gone",
    )?;
    let expected = format!("running\n{machine_id}kept\ngone\n");
    ensure!(output == expected, "expected:\n{expected}found:\n{output}");
    let size: u64 = vm.run("findmnt -bno SIZE /var")?.trim().parse().context("reading the size of /var")?;
    ensure!(size > 5 << 29, "/var has only {size} bytes on the grown disk");
    vm.shut_down()?;
    Ok(())
}

fn check_console(console: &str, node: &str) -> anyhow::Result<()> {
    let report = report(console)?;
    for part in [&format!("node {node}, "), "fingerprint ", "phase       configured", "plan"] {
        ensure!(report.contains(part), "`{part}` is not in firstboot's report:\n{report}");
    }
    Ok(())
}

/// Host name, time zone, keys and status are those of the record.
fn check_identity(vm: &Vm, node: &str, place: &str) -> anyhow::Result<()> {
    let output = vm.run(
        "hostname; cat /etc/hostname; readlink /etc/localtime; wc -l </etc/ssh/authorized_keys.d/root",
    )?;
    ensure!(output == format!("{node}\n{node}\n../usr/share/zoneinfo/Europe/Berlin\n1\n"), "{output}");
    let status = vm.run("firstboot status --json")?;
    let status: Status = serde_json::from_str(&status).context("reading firstboot's status")?;
    ensure!(status.phase == Phase::Configured, "{status:?}");
    let found = status.node.as_ref().context("the status names no node")?;
    ensure!(found.name == node && found.record.starts_with(place), "{found:?}");
    ensure!(status.fingerprint.is_some() && status.root_hash.is_some(), "{status:?}");
    let done =
        status.steps.iter().filter(|step| step.state != StepState::Planned).map(|step| step.name.as_str());
    let done: Vec<_> = done.collect();
    ensure!(done == ["firewall", "host-name", "time-zone", "ssh-keys", "network"], "{done:?}");
    Ok(())
}

fn boot_report(vm: &Vm) -> anyhow::Result<BootReport> {
    serde_json::from_str(&vm.run("cat /run/imgbuild/boot.json")?).context("reading stage0's report")
}
