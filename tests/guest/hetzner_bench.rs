//! The same disk image brought to the Hetzner simulator's machines twice, and made a snapshot of: by `imgbuild cloud`, and
//! by `xz | ssh dd` with plain requests of the API. Runs in the simulator's network; standard output is JSON.
//!
//! Arguments: `imgbuild`, its cluster file, its cache, the image compressed by xz, a private SSH key.
#![expect(clippy::print_stdout, reason = "prints what the benchmark reads")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use imgbuild::process::Program;
use machine::{HetznerApi, Operator, oracle};
use serde_json::{Value, json};

/// For an upload by emulation, on a busy host.
const UPLOADING: Duration = Duration::from_mins(30);
/// For a rescue system to let us in.
const STARTING: Duration = Duration::from_mins(8);
/// For a command of ours.
const COMMAND: Duration = Duration::from_mins(2);
/// Between two looks at what goes on.
const LOOK: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_secs(1);
/// What the other side runs, as `hcloud-upload-image` has it.
const WRITE: &str = "xz -dc | dd of=/dev/sda bs=4M && sync";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let operator = Operator::of_arguments(&mut arguments)?;
    let mut next = || arguments.next().context("an argument is missing");
    let bench =
        Bench { operator, image: next()?.into(), key: next()?.into(), api: HetznerApi::of_environment()? };
    let ours = bench.measured(Bench::ours)?;
    bench.operator.imgbuild(&["down", "--yes", "--snapshots"]).output(COMMAND)?;
    let peer = bench.measured(Bench::peer)?;
    println!("{}", json!({ "ours": ours, "peer": peer }));
    Ok(())
}

struct Bench {
    operator: Operator,
    image: PathBuf,
    key: PathBuf,
    api: HetznerApi,
}

impl Bench {
    /// What an upload takes; it returns how long the image itself was on its way.
    fn measured(&self, upload: impl Fn(&Self) -> anyhow::Result<Duration>) -> anyhow::Result<Value> {
        self.api.control("DELETE", "/requests")?;
        let (wire, started) = (Wire::watch(), Instant::now());
        let writing = upload(self)?;
        let (seconds, bytes) = (started.elapsed(), wire.end()?);
        let requests = self.api.control("GET", "/requests")?;
        let requests = requests.as_array().context("the simulator has no log")?;
        let changes = requests.iter().filter(|request| request["method"] != "GET");
        Ok(json!({
            "seconds": seconds.as_secs_f64(), "writing": writing.as_secs_f64(), "wire": bytes,
            "calls": requests.len(), "changes": changes.count(),
        }))
    }

    fn ours(&self) -> anyhow::Result<Duration> {
        let mut running = self.operator.imgbuild(&["cloud", "--yes", "--progress", "json"]).start()?;
        let (started, mut begun, mut written) = (Instant::now(), None, None);
        let status = loop {
            if let Some(status) = running.try_wait()? {
                break status;
            }
            ensure!(started.elapsed() < UPLOADING, "`imgbuild cloud` does not end:\n{}", running.said()?);
            let said = running.said()?;
            if begun.is_none() && said.contains("\"event\":\"progress\"") {
                begun = Some(Instant::now());
            }
            if written.is_none() && said.contains("\"step\":\"making the snapshot\"") {
                written = Some(Instant::now());
            }
            thread::sleep(LOOK);
        };
        ensure!(status.success(), "`imgbuild cloud` ends with {status}:\n{}", running.said()?);
        let parts = begun.zip(written).context("`imgbuild cloud` does not say how far it is")?;
        Ok(parts.1 - parts.0)
    }

    fn peer(&self) -> anyhow::Result<Duration> {
        let public = fs::read_to_string(self.key.with_extension("pub")).context("reading the public key")?;
        let key = json!({ "name": "upload", "public_key": public.trim() });
        let key = self.api.make("/ssh_keys", "ssh_key", &key)?;
        let server = json!({
            "name": "upload", "server_type": "cx23", "image": "ubuntu-24.04", "location": "fsn1",
            "ssh_keys": [key], "start_after_create": false,
        });
        let reply = self.api.ask("POST", "/servers", &server)?;
        self.api.done(&reply)?;
        let (server, address) = (&reply["server"]["id"], &reply["server"]["public_net"]["ipv4"]["ip"]);
        let address = address.as_str().context("the server has no address")?;
        let act = |command: &str, body: &Value| {
            self.api.done(&self.api.ask("POST", &format!("/servers/{server}/actions/{command}"), body)?)
        };
        act("enable_rescue", &json!({ "type": "linux64", "ssh_keys": [key] }))?;
        act("poweron", &json!({}))?;
        let started = Instant::now();
        while let Err(error) = self.ssh(address, "true")?.output(COMMAND) {
            ensure!(started.elapsed() < STARTING, "the rescue system lets nobody in: {error:#}");
            thread::sleep(PAUSE);
        }
        let begun = Instant::now();
        self.ssh(address, WRITE)?.output(UPLOADING)?;
        let writing = begun.elapsed();
        act("poweroff", &json!({}))?;
        act("create_image", &json!({ "type": "snapshot", "description": "the peer's" }))?;
        self.api.done(&self.api.ask("DELETE", &format!("/servers/{server}"), &Value::Null)?)?;
        self.api.ask("DELETE", &format!("/ssh_keys/{key}"), &Value::Null)?;
        Ok(writing)
    }

    /// A command on a server, with the image as its input.
    fn ssh(&self, address: &str, command: &str) -> anyhow::Result<Program> {
        // What finds `ssh` takes no input.
        let ssh = oracle::program("ssh")?.command_line();
        let options = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
                       -o ConnectTimeout=20 -o IdentitiesOnly=yes -o BatchMode=yes";
        let script = format!("exec {ssh} {options} -i \"$1\" \"root@$2\" \"$3\" <\"$0\"");
        let program = Program::new("measuring xz | ssh dd", "sh").argument("-c").argument(script);
        let input = if command == WRITE { self.image.clone() } else { PathBuf::from("/dev/null") };
        Ok(program.argument(input).argument(&self.key).arguments([address, command]))
    }
}

/// Counts what goes over the interfaces of servers, both ways, by the kernel's own counters.
struct Wire {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl Wire {
    fn watch() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            // An interface goes with its server's power, and its counters with it.
            let mut counted: BTreeMap<String, u64> = BTreeMap::new();
            while !over.load(Ordering::Relaxed) {
                for (name, bytes) in interfaces()? {
                    let before = counted.entry(name).or_default();
                    *before = bytes.max(*before);
                }
                thread::sleep(LOOK);
            }
            Ok(counted.values().sum())
        });
        Self { is_over, thread }
    }

    fn end(self) -> anyhow::Result<u64> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the counter has ended"))?
    }
}

/// The public interfaces of servers, and the bytes that were received and sent by each: fields 1 and 9 of its line in
/// `/proc/net/dev` (`proc_pid_net(5)`).
fn interfaces() -> anyhow::Result<Vec<(String, u64)>> {
    let text = fs::read_to_string("/proc/self/net/dev").context("reading the interfaces' counters")?;
    let mut all = Vec::new();
    for (name, counters) in text.lines().filter_map(|line| line.trim().split_once(':')) {
        let mut counters = counters.split_whitespace().map_while(|number| number.parse::<u64>().ok());
        if name.starts_with("pub") {
            let (received, sent) = (counters.next().unwrap_or(0), counters.nth(7).unwrap_or(0));
            all.push((name.to_owned(), received + sent));
        }
    }
    Ok(all)
}
