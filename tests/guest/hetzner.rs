//! What a client sees of the Hetzner simulator's machines: a server is written in its rescue system, becomes a snapshot,
//! and another server has what was written. Runs in the simulator's network, and ends well if every claim holds.
//!
//! Arguments: a private SSH key; its public half is beside it.
#![expect(clippy::print_stdout, reason = "starts take minutes: tests say how far they are")]

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use machine::{HetznerApi, oracle};
use serde_json::{Value, json};

/// For a start by emulation, on a busy host.
const STARTING: Duration = Duration::from_mins(8);
/// For an action, and for a command inside a server.
const ACTING: Duration = Duration::from_mins(6);
const PAUSE: Duration = Duration::from_secs(1);
/// What is written to a disk, and where: beyond what a small image has.
const MARK: &str = "written in the rescue system";
const PLACE: &str = "seek=3000";
/// A name that leads to a server.
const NAME: &str = "first.example.org";
/// The zone of it.
const ZONE: &str = "/zones/example.org";
/// A leaf of the metadata service, by the shell alone.
const TOLD: &str = "told() { exec 3<>/dev/tcp/169.254.169.254/80; \
     printf 'GET /hetzner/v1/%s HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' $1 >&3; cat <&3; }";

fn main() -> anyhow::Result<()> {
    let key = std::env::args_os().nth(1).map(PathBuf::from).context("no key is given")?;
    let client = Client { api: HetznerApi::of_environment()?, key };
    let public =
        std::fs::read_to_string(client.key.with_extension("pub")).context("reading the public key")?;
    let made =
        client.api.ask("POST", "/ssh_keys", &json!({"name": "tester", "public_key": public.trim()}))?;
    let ssh_key = made["ssh_key"]["id"].clone();
    let subnets = json!([{"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}]);
    let network = json!({"name": "lab", "ip_range": "10.0.0.0/16", "subnets": subnets});
    let network = client.api.ask("POST", "/networks", &network)?["network"]["id"].clone();

    let first = client.create("first", &json!("ubuntu-24.04"), &json!({"user_data": "#first"}))?;
    client.name(&first)?;
    let password = client.start_rescue(&first, &ssh_key)?;
    client.is_the_providers(&first, true)?;
    client.lets_in_by_password(&password)?;
    client.run(
        NAME,
        &format!(
            "blkdiscard -f /dev/sda && printf '{MARK}' | dd of=/dev/sda bs=1M {PLACE} status=none && sync"
        ),
    )?;
    client.act(&first, "shutdown", &json!({}))?;
    ensure!(client.status(&first)? == "off", "the server is not off after its shutdown");
    let made = client.act(&first, "create_image", &json!({"type": "snapshot"}))?;
    let image = made["image"]["id"].clone();
    let shown = client.api.ask("GET", &format!("/images/{image}"), &Value::Null)?;
    let size = shown["image"]["image_size"].as_f64().unwrap_or_default();
    ensure!(size > 0.0 && size < 0.1, "the snapshot is {size} GB large");

    let second = client.create("second", &image, &json!({}))?;
    client.act(&second, "attach_to_network", &json!({"network": network, "ip": "10.0.1.7"}))?;
    client.start_rescue(&second, &ssh_key)?;
    client.is_the_providers(&second, false)?;
    let address = second.address()?;
    let found = client.run(
        &address,
        &format!(
            "dd if=/dev/sda bs=1M {} count=1 status=none | head -c {}",
            PLACE.replace("seek", "skip"),
            MARK.len()
        ),
    )?;
    ensure!(found == MARK, "the second server's disk has `{found}`");
    client.is_in_network(&address)?;
    ensure!(
        TcpStream::connect_timeout(&"10.0.1.7:22".parse()?, ACTING).is_err(),
        "a private address is reached from outside"
    );
    // Its system ends by itself, and the API shows it.
    client.run(&address, "systemctl --no-block poweroff")?;
    client.wait(&second, "off")?;

    for server in [&first, &second] {
        let reply = client.api.ask("DELETE", &format!("/servers/{}", server.id), &Value::Null)?;
        client.api.done(&reply)?;
    }
    let others = [
        format!("/images/{image}"),
        format!("/networks/{network}"),
        format!("/ssh_keys/{ssh_key}"),
        ZONE.to_owned(),
    ];
    for path in others {
        let reply = client.api.ask("DELETE", &path, &Value::Null)?;
        client.api.done(&reply)?;
    }
    let left = client.api.control("GET", "/resources")?;
    let is_nothing = |kind: &Value| kind.as_array().is_some_and(Vec::is_empty);
    ensure!(left.as_object().is_some_and(|kinds| kinds.values().all(is_nothing)), "left is {left}");
    Ok(())
}

/// A server, as the API showed it.
struct Server {
    id: u64,
    shown: Value,
}

impl Server {
    fn address(&self) -> anyhow::Result<String> {
        let address = self.shown["public_net"]["ipv4"]["ip"].as_str();
        address.map(str::to_owned).context("the server has no IPv4 address")
    }
}

struct Client {
    api: HetznerApi,
    key: PathBuf,
}

impl Client {
    fn create(&self, name: &str, image: &Value, more: &Value) -> anyhow::Result<Server> {
        let mut body = json!({
            "name": name, "server_type": "cx23", "location": "fsn1", "image": image, "start_after_create": false,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let reply = self.api.ask("POST", "/servers", &body)?;
        self.api.done(&reply)?;
        let id = reply["server"]["id"].as_u64().context("the server has no ID")?;
        println!("server {id} `{name}` is there");
        Ok(Server { id, shown: reply["server"].clone() })
    }

    fn act(&self, server: &Server, command: &str, body: &Value) -> anyhow::Result<Value> {
        let started = Instant::now();
        let reply = self.api.ask("POST", &format!("/servers/{}/actions/{command}", server.id), body)?;
        self.api.done(&reply)?;
        println!("server {}: {command} took {} s", server.id, started.elapsed().as_secs());
        Ok(reply)
    }

    fn status(&self, server: &Server) -> anyhow::Result<String> {
        let shown = self.api.ask("GET", &format!("/servers/{}", server.id), &Value::Null)?;
        Ok(shown["server"]["status"].as_str().unwrap_or_default().to_owned())
    }

    fn wait(&self, server: &Server, status: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.status(server)? != status {
            ensure!(started.elapsed() < ACTING, "server {} does not become {status}", server.id);
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Lets a name lead to a server.
    fn name(&self, server: &Server) -> anyhow::Result<()> {
        let records = json!([{"value": server.address()?}]);
        let sets = json!([{"name": "first", "type": "A", "records": records}]);
        self.api.ask("POST", "/zones", &json!({"name": "example.org", "mode": "primary", "rrsets": sets}))?;
        Ok(())
    }

    /// Starts the rescue system until it lets us in; returns root's password.
    fn start_rescue(&self, server: &Server, key: &Value) -> anyhow::Result<String> {
        let enabled = json!({"type": "linux64", "ssh_keys": [key]});
        let enabled = self.act(server, "enable_rescue", &enabled)?;
        self.act(server, "poweron", &json!({}))?;
        let (started, address) = (Instant::now(), server.address()?);
        while let Err(error) = self.run(&address, "true") {
            ensure!(started.elapsed() < STARTING, "the rescue system lets nobody in: {error:#}");
            std::thread::sleep(PAUSE);
        }
        println!("server {}: in its rescue system after {} s", server.id, started.elapsed().as_secs());
        Ok(enabled["root_password"].as_str().unwrap_or_default().to_owned())
    }

    /// It looks and is told as one of the provider's.
    fn is_the_providers(&self, server: &Server, has_uefi: bool) -> anyhow::Result<()> {
        let (id, address) = (server.id, server.address()?);
        let looks = "cd /sys/class/dmi/id; echo $(cat sys_vendor product_name product_serial); lsblk -dno NAME,SIZE -e 7";
        let looks = self.run(&address, looks)?;
        ensure!(looks.starts_with(&format!("Hetzner vServer {id}\nsda ")), "it looks like {looks}");
        ensure!(looks.lines().count() == 2, "it has more than one disk: {looks}");
        let firmware = self.run(&address, "test -d /sys/firmware/efi && echo UEFI || echo BIOS")?;
        ensure!((firmware.trim() == "UEFI") == has_uefi, "it boots by {firmware}");
        let told = self.run(&address, &format!("{TOLD}; told metadata/instance-id; told userdata"))?;
        ensure!(told.contains(&format!("\r\n\r\n{id}HTTP/1.1 ")), "it is told: {told}");
        ensure!(told.contains("404 Not Found") != told.ends_with("#first"), "it is told: {told}");
        let routes =
            self.run(&address, &format!("ip -4 -o address show; ip route get 198.18.0.1 from {address}"))?;
        ensure!(
            routes.contains(&format!(" {address}/32 ")) && routes.contains(" via 172.31.1.1 "),
            "its way out is: {routes}"
        );
        Ok(())
    }

    /// Its second interface is in the private network, by DHCP: soon after the first, by which it lets us in.
    fn is_in_network(&self, address: &str) -> anyhow::Result<()> {
        let looks = "for link in /sys/class/net/en*; do cat $link/mtu; done; ip -4 -o address show; \
                     ip route get 10.0.200.1; ping -c 3 -W 10 -I 10.0.1.7 10.0.0.1; true";
        let expected = ["1500\n1450\n", " 10.0.1.7/32 ", "10.0.200.1 via 10.0.0.1 ", ", 0% packet loss"];
        let started = Instant::now();
        loop {
            let shown = self.run(address, looks)?;
            let Some(part) = expected.into_iter().find(|part| !shown.contains(part)) else { return Ok(()) };
            ensure!(started.elapsed() < ACTING, "`{part}` is not in its network: {shown}");
            std::thread::sleep(PAUSE);
        }
    }

    /// The hash in its `/etc/shadow` is that of the password that the API told.
    fn lets_in_by_password(&self, password: &str) -> anyhow::Result<()> {
        let entry =
            self.run(NAME, "while read line; do [[ $line != root:* ]] || echo \"$line\"; done </etc/shadow")?;
        ensure!(entry.starts_with("root:$y$"), "root's entry is {entry}");
        let folder = tempfile::tempdir()?;
        for (given, is_right) in [(password, true), ("another password", false)] {
            let asked = folder.path().join("ask");
            std::fs::write(&asked, format!("#!/bin/sh\necho '{given}'\n"))?;
            std::fs::set_permissions(&asked, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            let options = ["PreferredAuthentications=password", "NumberOfPasswordPrompts=1"];
            let said = ssh(NAME, "echo in", &options, Some(&asked));
            ensure!(
                said.is_ok_and(|said| said == "in\n") == is_right,
                "it takes `{given}` for root's password"
            );
        }
        Ok(())
    }

    fn run(&self, host: &str, command: &str) -> anyhow::Result<String> {
        let key = format!("IdentityFile={}", self.key.display());
        ssh(host, command, &["BatchMode=yes", &key], None)
    }
}

fn ssh(host: &str, command: &str, options: &[&str], asked: Option<&Path>) -> anyhow::Result<String> {
    // Every start has another host key.
    let always = [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
        "ConnectTimeout=20",
        "IdentitiesOnly=yes",
    ];
    let mut program = oracle::program("ssh")?;
    if let Some(asked) = asked {
        program = program.environment("SSH_ASKPASS", asked).environment("SSH_ASKPASS_REQUIRE", "force");
    }
    let program = program
        .arguments(["-F", "none"])
        .arguments(always.iter().chain(options).flat_map(|option| ["-o", option]))
        .arguments([&format!("root@{host}"), command]);
    Ok(program.output(ACTING)?)
}
