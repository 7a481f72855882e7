//! Network namespaces around a node, without root, and packets between them.

mod probe;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "the test runs the tools that it judges by")]
use std::process::Command;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub(crate) use probe::{Packet, UdpEcho, arrives};

/// Set for a test that already runs in namespaces of its own.
const INSIDE: &str = "IMGBUILD_TEST_IN_NAMESPACES";

#[expect(clippy::disallowed_types, reason = "the test runs the tools that it judges by")]
pub(crate) fn command(program: &str) -> Command {
    Command::new(program)
}

/// Runs `body`, the test called `name`, as root of a user and a network namespace of its own.
pub(crate) fn as_root(name: &str, body: impl FnOnce()) {
    in_namespaces(name, &["--user", "--map-root-user", "--net"], body);
}

/// The same as an ordinary user there, who may set up its network.
pub(crate) fn as_user(name: &str, body: impl FnOnce()) {
    in_namespaces(name, &["--user", "--map-user=1000", "--keep-caps", "--net"], body);
}

/// The test program runs itself again, for only a program with one thread can enter a user namespace.
fn in_namespaces(name: &str, options: &[&str], body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let _ = nft();
    let mut child = command("unshare")
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .spawn()
        .expect("unshare (package util-linux) is missing");
    let status = firstboot::process::wait(&mut child, Duration::from_mins(3)).unwrap();
    let status = status.expect("the test did not end within 3 minutes");
    assert!(
        status.success(),
        "{name} fails inside (see above), or no user namespaces are to be had (sysctl user.max_user_namespaces, \
         kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns): {status}"
    );
}

/// Where nft is; on Debian not in the path of users.
pub(crate) fn nft() -> PathBuf {
    tool("nft", "nftables")
}

/// Where a program is that only root has in the path.
pub(crate) fn tool(name: &str, package: &str) -> PathBuf {
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .map(|folder| Path::new(folder).join(name))
        .into_iter()
        .find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: install the package {package}"))
}

/// A network namespace. It ends with this value, or with the test, however that ends: what holds it reads from a pipe.
pub(crate) struct Namespace {
    holder: Child,
    file: File,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let mut holder = command("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // An answer comes from inside.
        holder.stdin.as_mut().unwrap().write_all(b"there\n").unwrap();
        let mut answer = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
        assert_eq!(answer, "there\n", "no network namespace is to be had");
        let file = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
        Self { holder, file }
    }

    /// Runs `body` in a thread inside.
    pub(crate) fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            body()
        };
        thread::scope(|scope| {
            scope.spawn(entered).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs lines of ip(8) inside.
    pub(crate) fn ip(&self, lines: &str) {
        self.feed(&tool("ip", "iproute2"), &["-batch", "-"], lines);
    }

    /// Runs lines of nft(8) inside.
    pub(crate) fn nft(&self, lines: &str) {
        self.feed(&nft(), &["-f", "-"], lines);
    }

    fn feed(&self, program: &Path, arguments: &[&str], input: &str) {
        self.inside(|| {
            let mut child =
                command(program.to_str().unwrap()).args(arguments).stdin(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let status = firstboot::process::wait(&mut child, Duration::from_mins(1)).unwrap();
            assert!(
                status.is_some_and(|status| status.success()),
                "{}: {status:?}\n{input}",
                program.display()
            );
        });
    }

    /// A cable to `other`, which is called `eth0` there and has the addresses `there`; everything else is reached
    /// through `gateway`, which is here.
    pub(crate) fn cable(&self, name: &str, other: &Self, there: &[Ipv4Addr], gateway: Ipv4Addr) {
        self.ip(&format!(
            "link add {name} type veth peer name eth0 netns {}\nlink set {name} up\n",
            other.holder.id()
        ));
        let mut lines = "link set lo up\nlink set eth0 up\n".to_owned();
        for address in there {
            let _ = writeln!(lines, "address add {address}/32 dev eth0");
        }
        other.ip(&format!("{lines}route add default via {gateway} dev eth0 onlink\n"));
    }

    /// Packets are sent on from here.
    pub(crate) fn forwards(&self) {
        let file = "/proc/sys/net/ipv4/ip_forward";
        self.inside(|| fs::write(file, "1").unwrap_or_else(|error| panic!("{file}: {error}")));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
