//! Clusters that meet what clusters meet: a control plane that is made anew, thieves, wrong clocks, full disks, damaged
//! media, lost uplinks.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use firstboot::source::Item;
use firstboot::status::Status;
use imgbuild::machine::Forward;
use machine::{Bundle, Disk, Joining, Plug, Power, Pushed, READY, Scene, Vm, code_on, free_port};
use tempfile::TempDir;

/// For what a node does by itself, with all its pauses, on a busy host.
const PATIENCE: Duration = Duration::from_mins(15);
/// How long an uplink is gone: longer than a tunnel is believed in, and than a node's patience.
const GONE: Duration = Duration::from_mins(4);

/// A cluster with an identity, its image, and places for what its nodes are given.
pub(super) struct Site {
    pub(super) scene: Scene,
    pub(super) joining: Joining,
    pub(super) bundle: Bundle,
    scratch: TempDir,
}

impl Site {
    /// Makes one with so many edges.
    pub(super) fn open(name: &str, edges: u64) -> anyhow::Result<Self> {
        let scene = Scene::open()?;
        let joining = scene.joining_cluster(name, free_port()?, edges)?;
        let bundle = joining.build("cloud-debug", &scene)?;
        let scratch = tempfile::tempdir_in(scene.folder()).context("making a folder")?;
        Ok(Self { scene, joining, bundle, scratch })
    }

    /// A disk as it leaves the factory.
    pub(super) fn disk(&self) -> anyhow::Result<Disk> {
        Disk::of(&self.bundle, &self.scene)
    }

    /// What a worker or an edge is switched on with.
    pub(super) fn power(&self, node: &str) -> anyhow::Result<Power> {
        let folder = TempDir::new_in(self.scratch.path()).context("making a folder")?.keep();
        Ok(self.joining.power(node, &folder)?.0)
    }

    /// What a new control plane is switched on with, and what is pushed to it.
    pub(super) fn power_of_control_plane(&self) -> anyhow::Result<(Power, Pushed)> {
        let folder = TempDir::new_in(self.scratch.path()).context("making a folder")?.keep();
        let (power, pushed) = self.joining.power("cp1", &folder)?;
        Ok((power, pushed.context("nothing is pushed to a control plane")?))
    }

    /// Switches a new control plane on and waits until it is Ready.
    pub(super) fn control_plane(&self, disk: &Disk) -> anyhow::Result<Vm> {
        self.control_plane_with(disk, None, None)
    }

    /// The same with a port of this computer that leads to its API, and a second network.
    pub(super) fn control_plane_with(
        &self,
        disk: &Disk,
        api: Option<u16>,
        lan: Option<Plug>,
    ) -> anyhow::Result<Vm> {
        let (mut power, pushed) = self.power_of_control_plane()?;
        power.forwards.extend(api.map(|port| Forward::tcp(port, 6443)));
        power.lan = lan;
        let mut vm = Vm::start("cp1", disk, power, &self.scene)?;
        vm.wait_for(READY)?;
        let outcome = pushed.recv_timeout(PATIENCE);
        outcome.context("waiting for the push")?.map_err(|reason| anyhow::anyhow!(reason))?;
        Ok(vm)
    }

    pub(super) fn start(&self, name: &str, disk: &Disk, power: Power) -> anyhow::Result<Vm> {
        Vm::start(name, disk, power, &self.scene)
    }
}

/// Its tokens, its tunnels and all that it knew of its nodes are gone; their memberships are not.
#[test]
fn cluster_edges_come_back_to_a_control_plane_that_is_made_anew() -> anyhow::Result<()> {
    let mut site = Site::open("recreated", 2)?;
    let (first, second, edge_disk) = (site.disk()?, site.disk()?, site.disk()?);
    let control_plane = site.control_plane(&first)?;
    let mut edge = site.start("edge1", &edge_disk, site.power("edge1")?)?;
    edge.wait_for(READY)?;
    let old_ticket = site.power("edge2")?;
    drop(control_plane);
    site.joining.raise_epoch()?;
    let _control_plane = site.control_plane(&second)?;
    edge.wait_for_again(READY, PATIENCE)?;
    // Who has not joined yet has a ticket of another time.
    let late_disk = site.disk()?;
    let mut late = site.start("edge2", &late_disk, old_ticket)?;
    late.wait_for("the cluster says no: ")?;
    ensure!(late.console().contains("epoch"), "{}", late.console());
    late.wait_for("hint        `imgbuild ticket edge2`")
}

#[test]
fn cluster_owners_of_stolen_sticks_are_told_and_let_in_by_a_new_ticket() -> anyhow::Result<()> {
    let site = Site::open("stolen", 1)?;
    let (disk, thiefs, owners) = (site.disk()?, site.disk()?, site.disk()?);
    let _control_plane = site.control_plane(&disk)?;
    let stick = site.power("edge1")?;
    let mut thief = site.start("thief", &thiefs, stick.clone())?;
    thief.wait_for(READY)?;
    let status = thief.run("firstboot status --json")?;
    let status: Status = serde_json::from_str(&status).context("reading the thief's status")?;
    let fingerprint = status.fingerprint.context("the thief has no key")?;

    let mut owner = site.start("owner", &owners, stick.clone())?;
    owner.wait_for("the cluster says no: the ticket of `edge1` was used at")?;
    owner.wait_for(&format!("by key {fingerprint}"))?;
    drop(owner);
    site.joining.renew_ticket("edge1", &stick)?;
    let mut owner = site.start("owner-again", &owners, stick)?;
    owner.wait_for(READY)?;
    // There is one edge1, and the thief is told so.
    thief.wait_for_again("the cluster says no: ", PATIENCE)?;
    Ok(())
}

/// A machine with an empty battery, and one whose owner has set the wrong century.
#[test]
fn cluster_takes_machines_whose_clock_is_wrong_by_years() -> anyhow::Result<()> {
    let site = Site::open("clock", 2)?;
    let disk = site.disk()?;
    let _control_plane = site.control_plane(&disk)?;
    for (node, clock) in [("edge1", "2001-01-01T00:00:00"), ("edge2", "2033-01-01T00:00:00")] {
        let disk = site.disk()?;
        let power = Power { clock: Some(clock), ..site.power(node)? };
        let mut edge = site.start(node, &disk, power)?;
        edge.wait_for(READY).with_context(|| format!("a clock that says {clock}"))?;
    }
    Ok(())
}

/// The node is Ready with no byte left for anything else.
#[test]
fn cluster_nodes_start_with_a_full_state() -> anyhow::Result<()> {
    let site = Site::open("full", 1)?;
    let (disk, edge_disk) = (site.disk()?, site.disk()?);
    let _control_plane = site.control_plane(&disk)?;
    let power = site.power("edge1")?;
    let mut edge = site.start("edge1", &edge_disk, power.clone())?;
    edge.wait_for(READY)?;
    edge.wait_until_up()?;
    // Nearly all at once, and the rest until there is no room.
    edge.run("fallocate -l $(($(stat -fc '%a*%S' /var) - (1 << 20))) /var/lib/full")?;
    edge.run("! cat /dev/zero 2>&1 >>/var/lib/full | grep -v 'No space left on device'")?;
    edge.cut_power()?;
    let mut edge = site.start("edge1-full", &edge_disk, power)?;
    edge.wait_for(READY)?;
    edge.run("rm /var/lib/full && firstboot status")?;
    Ok(())
}

/// Boxes whose medium says which cluster, and not which node.
#[test]
fn cluster_boxes_that_were_approved_by_mistake_ask_for_another_word() -> anyhow::Result<()> {
    let site = Site::open("words", 2)?;
    let api = free_port()?;
    let (disk, box_disk, rejected_disk) = (site.disk()?, site.disk()?, site.disk()?);
    let _control_plane = site.control_plane_with(&disk, Some(api), None)?;
    let operate = |arguments: &[&str]| site.joining.operate(arguments, api, &site.scene);

    let newcomer = site.joining.newcomer(site.scratch.path())?;
    let mut rejected = site.start("rejected", &rejected_disk, newcomer.clone())?;
    rejected.wait_for("--as NAME`")?;
    let code = code_on(rejected.console())?;
    operate(&["node", "reject", &code.to_string()])?;
    rejected.wait_for("the cluster says no: the claim with code")?;
    rejected.wait_for("hint        a person has decided so")?;
    drop(rejected);

    let mut vm = site.start("box", &box_disk, newcomer.clone())?;
    vm.wait_for("--as NAME`")?;
    let first = code_on(vm.console())?;
    operate(&["node", "approve", &first.to_string(), "--as", "edge1"])?;
    vm.wait_for(READY)?;
    operate(&["node", "revoke", "edge1"])?;
    vm.wait_for_again("this box is `edge1` no more", PATIENCE)?;
    // Machines of tests end where they would start again.
    vm.wait_for_end()?;
    drop(vm);
    let mut vm = site.start("box-again", &box_disk, newcomer)?;
    vm.wait_for("--as NAME`")?;
    let second = code_on(vm.console())?;
    ensure!(first != second, "the code is that of before: {first}");
    operate(&["node", "approve", &second.to_string(), "--as", "edge2"])?;
    vm.wait_for(READY)?;
    vm.wait_until_up()?;
    ensure!(vm.run("uname -n")?.trim() == "edge2", "the box has not become the node of its record");
    let overview = operate(&["status"])?;
    let state = |node: &str| overview.lines().find(|line| line.starts_with(node)).unwrap_or_default();
    ensure!(state("edge1 ").contains(" revoked") && state("edge2 ").contains(" Ready"), "{overview}");
    Ok(())
}

/// One letter of the record on the medium is another: the screen says so, and the mended medium joins.
#[test]
fn cluster_media_with_a_damaged_record_say_so_and_can_be_mended() -> anyhow::Result<()> {
    let site = Site::open("damaged", 1)?;
    let (disk, edge_disk) = (site.disk()?, site.disk()?);
    let _control_plane = site.control_plane(&disk)?;
    let power = site.power("edge1")?;
    for (item, file) in &power.given {
        edge_disk.put_on_esp(file, item.esp_file())?;
    }
    let (_, file) =
        power.given.iter().find(|(item, _)| *item == Item::Record).context("there is no record")?;
    let record = fs::read(file).context("reading the record")?;
    let mut damaged = record.clone();
    let middle = damaged.len() / 2;
    let byte = damaged.get_mut(middle).context("the record is empty")?;
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    edge_disk.change_esp_file(Item::Record.esp_file(), &damaged)?;
    let mut edge = site.start("edge1-damaged", &edge_disk, Power::default())?;
    edge.wait_for("phase       stopped")?;
    edge.wait_for("`firstboot/record.json`")?;
    edge.wait_for("hint        `imgbuild record NODE`")?;
    edge.wait_until_up()?;
    edge.cut_power()?;
    edge_disk.change_esp_file(Item::Record.esp_file(), &record)?;
    let mut edge = site.start("edge1-mended", &edge_disk, Power::default())?;
    edge.wait_for(READY)
}

#[test]
fn cluster_nodes_come_back_when_their_uplink_does() -> anyhow::Result<()> {
    let site = Site::open("uplink", 1)?;
    let (disk, edge_disk) = (site.disk()?, site.disk()?);
    let _control_plane = site.control_plane(&disk)?;
    let mut edge = site.start("edge1", &edge_disk, site.power("edge1")?)?;
    edge.wait_for(READY)?;
    edge.connect_network(false)?;
    edge.run_for(GONE, "THIS MACHINE DID NOT START")?;
    ensure!(edge.console().matches(READY).count() == 1, "it is Ready without an uplink:\n{}", edge.console());
    edge.connect_network(true)?;
    edge.wait_for_again(READY, PATIENCE)?;
    edge.run("firstboot vpn status")?;
    Ok(())
}
