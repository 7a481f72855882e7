//! A worker in the cloud, which everybody has a tunnel with: the control plane over the private network of the cloud, an
//! edge over the Internet. Both are one network here, on which machines have the addresses that the cluster file gives.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use machine::{Lan, Plug, Power, READY, Vm, free_port};

use super::cluster::Site;

/// For a tunnel that a node hears of with the answer to its report, every five minutes.
const HEARD: Duration = Duration::from_mins(7);

#[test]
fn cluster_workers_are_reached_by_edges_over_the_internet_and_by_the_cloud_over_its_own_network()
-> anyhow::Result<()> {
    let lan = Lan::open()?;
    let [cp1, worker1, edge1] = [1, 2, 3].map(|member| lan.plug(member));
    let interfaces = |plug: Plug, addresses: &str| {
        format!("interfaces = [{{ mac = \"{}\", addresses = [{addresses}] }}]\n", plug.mac())
    };
    let in_cloud = |plug, number: u8| {
        // The first address of the range is the cloud's own.
        let addresses = format!("\"198.51.100.{number}/24\", \"10.99.0.1{number}/24\"");
        format!("private-address = \"10.99.0.1{number}\"\n{}", interfaces(plug, &addresses))
    };
    let mut site = Site::open("workers", 1)?;
    site.joining.edit(|text| {
        let after = |line: &str, more: &str, text: &str| text.replacen(line, &format!("{line}{more}"), 1);
        let text = after("[network]\n", "private-range = \"10.99.0.0/24\"\n", &text);
        let text = after("name = \"cp1\"\n", &in_cloud(cp1, 1), &text);
        let text = after("name = \"edge1\"\n", &interfaces(edge1, "\"198.51.100.3/24\""), &text);
        let worker = "\n[[node]]\nname = \"worker1\"\nrole = \"worker\"\nendpoint = \"198.51.100.2\"\n";
        text + worker + &in_cloud(worker1, 2)
    })?;
    let api = free_port()?;
    let (disk, edge_disk, worker_disk) = (site.disk()?, site.disk()?, site.disk()?);
    let control_plane = site.control_plane_with(&disk, Some(api), Some(cp1))?;
    let mut edge = site.start("edge1", &edge_disk, Power { lan: Some(edge1), ..site.power("edge1")? })?;
    edge.wait_for(READY)?;
    // The edge is Ready before there is a worker, and is told of it.
    let mut worker =
        site.start("worker1", &worker_disk, Power { lan: Some(worker1), ..site.power("worker1")? })?;
    worker.wait_for(READY)?;

    let port = site.joining.vpn_port();
    has_tunnel(&control_plane, &format!("10.99.0.12:{port}"))?;
    has_tunnel(&worker, &format!("10.99.0.11:{port}"))?;
    has_tunnel(&edge, &format!("198.51.100.2:{port}"))?;
    // Directly: each tunnel carries the address of its other end alone, but for the relay's.
    edge.run(&format!("ping -c 3 -W 10 -M do -s 1252 {}", worker.vpn_address()?))?;
    let overview = site.joining.operate(&["status"], api, &site.scene)?;
    let ready = overview.lines().skip(1).filter(|line| line.trim_end().ends_with(" Ready"));
    ensure!(ready.count() == 3, "the operator sees:\n{overview}");
    Ok(())
}

/// Waits until there was a handshake with the peer at `endpoint`.
fn has_tunnel(vm: &Vm, endpoint: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        // Key, preshared key, endpoint, allowed addresses, time of the last handshake.
        let dump = vm.run("wg show wg0 dump")?;
        let is_there = |line: &str| {
            let mut words = line.split('\t').skip(2);
            words.next() == Some(endpoint) && words.nth(1).is_some_and(|handshake| handshake != "0")
        };
        if dump.lines().any(is_there) {
            println!("tunnel with {endpoint} after {} s", started.elapsed().as_secs());
            return Ok(());
        }
        ensure!(started.elapsed() < HEARD, "no tunnel with {endpoint}:\n{dump}");
        thread::sleep(Duration::from_secs(2));
    }
}
