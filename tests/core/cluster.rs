//! Machines that have never been touched form a cluster by being switched on.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use imgbuild::machine::Forward;
use imgbuild::process::Program;
use machine::{Disk, Joining, Power, READY, Scene, Vm, code_on, free_port};

use super::{aftermath, first_objects};

/// For one question to the API.
const ASKING: Duration = Duration::from_mins(2);

/// The kernel's own reading of what a box left on its medium.
const LAST_FAILURE: &str = "set -e
    esp=$(grep -o '\"esp\": *\"[^\"]*' /run/imgbuild/boot.json | grep -o '/dev/.*')
    mkdir -p /run/look
    for i in $(seq 30); do
        # firstboot may be writing: then it has the partition for itself.
        if mount -o ro -t vfat $esp /run/look; then
            cat /run/look/firstboot/last-failure.txt && found=yes
            umount /run/look
            test -z \"$found\" || exit 0
        fi
        sleep 2
    done
    exit 1";

/// Pods' way from one edge to another, as flannel makes it: VXLAN over the VPN.
fn vxlan(own: &str, other: &str, pods: &str) -> String {
    format!(
        "set -e
         ip link add flannel.1 type vxlan id 1 dev wg0 dstport 8472 local {own} remote {other} nolearning
         ip address add {pods} dev flannel.1 && ip link set flannel.1 up
         cat /sys/class/net/flannel.1/mtu"
    )
}

#[test]
fn switched_on_machines_become_a_cluster() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let (port, api) = (free_port()?, free_port()?);
    let mut joining = scene.joining_cluster("joining", port, 2)?;
    joining.add(first_objects::GITOPS)?;
    let bundle = joining.build_with_argocd("cloud-debug", &scene)?;
    let scratch = tempfile::tempdir_in(scene.folder()).context("making a folder")?;
    let way_in = joining.add_admin("ada", scratch.path(), &scene)?;
    let disks = [Disk::of(&bundle, &scene)?, Disk::of(&bundle, &scene)?, Disk::of(&bundle, &scene)?];

    let (power, pushed) = joining.power("cp1", scratch.path())?;
    let more = [Forward::tcp(api, 6443), Forward::udp(joining.admin_port(), joining.admin_port())];
    let forwards = power.forwards.iter().copied().chain(more).collect();
    let mut control_plane = Vm::start("cp1", &disks[0], Power { forwards, ..power }, &scene)?;
    let (power, _) = joining.power("edge1", scratch.path())?;
    let ticket = power.given.clone();
    let mut edge1 = Vm::start("edge1", &disks[1], power, &scene)?;
    control_plane.wait_for("waiting for its operator")?;
    let outcome = pushed.context("nothing is pushed to a control plane")?.recv_timeout(ASKING);
    outcome.context("waiting for the push")?.map_err(|reason| anyhow::anyhow!(reason))?;
    control_plane.wait_for(READY)?;
    edge1.wait_for(READY)?;

    let kubeconfig = kubeconfig(&joining, api, scratch.path(), &scene)?;
    let nodes = kubectl(&kubeconfig, &["get", "nodes", "--no-headers"])?;
    for name in ["cp1", "edge1"] {
        let line = nodes.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        ensure!(line.split_whitespace().nth(1) == Some("Ready"), "{name} is not Ready:\n{nodes}");
    }
    let ask = |arguments: &[&str]| kubectl(&kubeconfig, arguments);
    first_objects::are_there(&ask)?;
    first_objects::are_made_once(&ask, &control_plane)?;

    // Or else no kubelet could wait for its pods to end.
    let delay = "busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
                 org.freedesktop.login1.Manager InhibitDelayMaxUSec";
    ensure!(edge1.run(delay)?.trim() == "t 90000000", "logind holds no machine up for 90 s");
    for vm in [&control_plane, &edge1] {
        aftermath::dry_run_tells_what_is_there(vm)?;
    }

    admins_come_in(&edge1, &way_in)?;

    // The same stick in another machine, later.
    let thief = Power { given: ticket, ..Power::default() };
    let mut thief = Vm::start("thief", &disks[2], thief, &scene)?;
    thief.wait_for("the cluster says no: the ticket of `edge1` was used at")?;
    // Whoever pulls its stick reads why.
    thief.wait_until_up()?;
    let told = thief.run(LAST_FAILURE)?;
    ensure!(told.contains("the cluster says no: the ticket of `edge1` was used at"), "{told}");
    drop(thief);

    // A box whose medium says which cluster, and not which node.
    let newcomer = joining.newcomer(scratch.path())?;
    let disk = Disk::of(&bundle, &scene)?;
    let mut edge2 = Vm::start("edge2", &disk, newcomer.clone(), &scene)?;
    edge2.wait_for("--as NAME`")?;
    let code = code_on(edge2.console())?;
    let waiting = format!("{}.waiting", code.object_name());
    let listed = ["get", "edgenodes", &waiting, "-o=jsonpath={.spec.code}"];
    ensure!(kubectl(&kubeconfig, &listed)? == code.to_string(), "the cluster lists another code");
    let overview = joining.operate(&["status"], api, &scene)?;
    ensure!(
        overview.contains(&format!("\n  {code}  key ")),
        "the operator sees no box that waits:\n{overview}"
    );
    ensure!(overview.contains("it has not asked for its place"), "edge2 is not absent:\n{overview}");
    let approve = ["node", "approve", &code.to_string(), "--as", "edge2", "--transient", "30"];
    joining.operate(&approve, api, &scene)?;
    edge2.wait_for(READY)?;
    ensure!(edge2.run("uname -n")?.trim() == "edge2", "the box has not become the node of its record");
    let swap = edge2.run("swapon --noheadings --show=NAME,SIZE")?;
    ensure!(swap.split_whitespace().eq(["/var/lib/imgbuild/swap", "64M"]), "its swap is `{swap}`");
    aftermath::dry_run_tells_what_is_there(&edge2)?;
    edges_reach_each_other(&edge1, &edge2)?;
    let overview = joining.operate(&["status"], api, &scene)?;
    let ready = overview.lines().skip(1).filter(|line| line.split_whitespace().nth(3) == Some("Ready"));
    ensure!(ready.count() == 3 && overview.lines().count() == 4, "the operator sees:\n{overview}");
    ensure!(overview.trim_end().ends_with("Ready     may be away for 30 days"), "edge2 is:\n{overview}");
    has_taint("edge2", "imgbuild.org/transient", &ask)?;
    let phases = "-o=jsonpath={range .items[*]}{.spec.node} {.spec.phase} {end}";
    let reports = kubectl(&kubeconfig, &["get", "nodereports", phases])?;
    ensure!(reports == "cp1 ready edge1 ready edge2 ready ", "they say of themselves: {reports}");

    // Its power is cut, and it finds its place again without asking for it.
    drop(edge2);
    let mut edge2 = Vm::start("edge2-again", &disk, newcomer, &scene)?;
    edge2.wait_for(READY)?;
    // Ready it may be before it lets anybody in.
    edge2.wait_until_up()?;
    for asking in ["phase       claiming", "phase       waiting for approval"] {
        ensure!(!edge2.console().contains(asking), "it asked for its place once more");
    }
    let changed = edge2.run("firstboot status --json")?;
    ensure!(changed.contains("\"phase\": \"ready\""), "{changed}");

    let machines = [("cp1", control_plane), ("edge1", edge1), ("edge2", edge2)];
    aftermath::no_secret_is_told(&joining, &machines)?;

    // It is stolen. A minute and a half later it starts again, as a box that a person may name anew.
    let [(_, control_plane), ..] = &machines;
    let peers = control_plane.run("wg show wg0 peers")?;
    ensure!(peers.lines().count() == 2, "the control plane has other tunnels than with two edges: {peers}");
    joining.operate(&["node", "revoke", "edge2"], api, &scene)?;
    control_plane
        .run("for i in $(seq 60); do test $(wg show wg0 peers | wc -l) = 1 && exit; sleep 1; done; exit 1")?;

    let overview = joining.operate(&["status"], api, &scene)?;
    let line = overview.lines().find(|line| line.starts_with("edge2 ")).unwrap_or_default();
    ensure!(line.contains(" revoked"), "the operator sees:\n{overview}");

    // No machine writes any more.
    drop(machines);
    aftermath::no_secret_is_on_an_edge(&joining, &disks[0], &[&disks[1], &disks[2], &disk])
}

/// As far as they should. An admin's computer is a network namespace on another network than the control plane's.
fn admins_come_in(computer: &Vm, way_in: &Path) -> anyhow::Result<()> {
    computer.put(way_in, "/run/ada.conf")?;
    computer.run(
        "set -e
         own=$(sed -n 's/^Address = //p' /run/ada.conf)
         to=$(sed -n 's,^AllowedIPs = \\(.*\\)/32,\\1,p' /run/ada.conf)
         # Without what is not WireGuard's own but wg-quick's.
         grep -v -e ^Address -e ^MTU /run/ada.conf >/run/ada.wg
         ip netns add ada
         ip link add ada type wireguard && wg setconf ada /run/ada.wg && ip link set ada netns ada
         ip -n ada address add $own dev ada && ip -n ada link set ada mtu 1280 up
         ip -n ada route add default dev ada
         reach() { ip netns exec ada timeout 10 bash -c \"</dev/tcp/$to/$1\"; }
         reach 6443
         if reach 10250; then echo 'they reach the kubelet as well' >&2; exit 1; fi
         rm /run/ada.*",
    )?;
    Ok(())
}

/// Through the control plane, which relays, and no more than fits.
fn edges_reach_each_other(edge1: &Vm, edge2: &Vm) -> anyhow::Result<()> {
    let (one, other) = (edge1.vpn_address()?, edge2.vpn_address()?);
    for (vm, own, other, pods) in
        [(edge1, &one, &other, "10.42.2.0/16"), (edge2, &other, &one, "10.42.4.0/16")]
    {
        let mtu = vm.run(&vxlan(own, other, pods))?;
        ensure!(mtu.trim() == "1230", "the way between pods has an MTU of {mtu}");
    }
    // 20 bytes of IPv4 and 8 of ICMP go before these.
    edge1.run("ping -c 3 -W 10 -M do -s 1202 10.42.4.0")?;
    edge1.run("! ping -c 1 -W 10 -M do -s 1203 10.42.4.0")?;
    Ok(())
}

/// The control plane looks every minute.
fn has_taint(node: &str, key: &str, ask: &impl Fn(&[&str]) -> anyhow::Result<String>) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let taints = ask(&["get", "node", node, "-o=jsonpath={.spec.taints[*].key}"])?;
        if taints.split(' ').any(|taint| taint == key) {
            return Ok(());
        }
        ensure!(started.elapsed() < ASKING, "the taints of `{node}` are {taints}");
        thread::sleep(Duration::from_secs(2));
    }
}

/// An admin's, minted without the cluster, with the API as this computer reaches it.
fn kubeconfig(joining: &Joining, port: u16, folder: &Path, scene: &Scene) -> anyhow::Result<PathBuf> {
    let path = folder.join("kubeconfig");
    let output = path.to_str().context("the folder's name is no text")?;
    joining.operate(&["kubeconfig", "--admin", "ada", "--output", output], port, scene)?;
    Ok(path)
}

fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let kubectl = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/kubectl/bin/kubectl");
    ensure!(kubectl.exists(), "`tests/setup/kubectl.sh` unpacks kubectl, which is missing");
    let program = Program::new("asking the API", kubectl).argument("--kubeconfig").argument(kubeconfig);
    Ok(program.arguments(arguments).output(ASKING)?)
}
