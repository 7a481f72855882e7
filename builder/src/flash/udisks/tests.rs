//! A real bus, and on it a stand-in that answers as udisks does.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "a bus for a test, not a step of a build")]
use std::process::{Child, Command, Stdio};

use rustix::fs::OFlags;
use rustix::fs::fcntl_getfl;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zbus::{Connection, OwnedVariant, fdo, interface};

use super::*;

/// A bus of its own, which ends with it.
struct Bus {
    folder: TempDir,
    daemon: Child,
}

impl Bus {
    #[expect(clippy::disallowed_types, reason = "a bus for a test, not a step of a build")]
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("bus.conf");
        let socket = folder.path().join("bus");
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><policy context=\"default\">\
             <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            socket.display()
        );
        fs::write(&settings, text).unwrap();
        let mut daemon = Command::new("dbus-daemon");
        daemon.arg("--nofork").arg("--print-address=1").arg("--config-file").arg(&settings);
        let daemon = daemon.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut bus = Self { folder, daemon: daemon.expect("dbus-daemon, of the package of that name") };
        // It tells its address once it listens; where it ends before, there is nothing to read.
        let mut told = [0];
        let stdout = bus.daemon.stdout.as_mut().unwrap();
        stdout.read_exact(&mut told).expect("a bus that listens");
        bus
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.folder.path().join("bus").display())
    }

    fn open(&self, name: &str) -> Result<File, UdisksError> {
        let flags = (OFlags::EXCL | OFlags::CLOEXEC).bits().cast_signed();
        open_at(connection::Builder::address(self.address().as_str()), name, flags, &|| true)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Answers as `org.freedesktop.UDisks2.Block` does.
struct StandIn {
    disk: PathBuf,
    is_allowed: bool,
}

#[interface(name = "org.freedesktop.UDisks2.Block")]
impl StandIn {
    fn open_device(&self, mode: &str, options: HashMap<String, OwnedVariant>) -> fdo::Result<OwnedFd> {
        if !self.is_allowed {
            return Err(fdo::Error::AuthFailed("Not authorized to perform operation".to_owned()));
        }
        let flags = options.into_iter().find(|(name, _)| name == "flags");
        let flags = flags.and_then(|(_, flags)| i32::try_from(flags).ok());
        let excl = OFlags::EXCL.bits().cast_signed();
        if mode != "rw" || flags.is_none_or(|flags| flags & excl == 0) {
            return Err(fdo::Error::InvalidArgs(format!("{mode} {flags:?}")));
        }
        let disk = File::options().read(true).write(true).open(&self.disk);
        disk.map(|disk| fd::OwnedFd::from(disk).into()).map_err(|fault| fdo::Error::Failed(fault.to_string()))
    }
}

fn serve(bus: &Bus, runtime: &Runtime, disk: &Path, is_allowed: bool) -> Connection {
    let stand_in = StandIn { disk: disk.to_owned(), is_allowed };
    runtime.block_on(async {
        let builder = connection::Builder::address(bus.address().as_str());
        builder.name(SERVICE).serve_at(object("sdb"), stand_in).build().await.unwrap()
    })
}

#[test]
fn udisks_opens_what_the_user_may_not() {
    let bus = Bus::start();
    let disk = bus.folder.path().join("disk");
    fs::write(&disk, "before").unwrap();
    let runtime = Runtime::new().unwrap();
    let serving = serve(&bus, &runtime, &disk, true);
    let mut file = bus.open("sdb").unwrap();
    assert!(fcntl_getfl(&file).unwrap().contains(OFlags::RDWR));
    file.write_all(b"after!").unwrap();
    assert_eq!(fs::read_to_string(&disk).unwrap(), "after!");
    // Of another disk it knows nothing.
    assert!(matches!(bus.open("sdc"), Err(UdisksError::Refused(_))));
    drop(serving);
}

#[test]
fn a_refusal_is_told_and_so_is_that_nobody_answers() {
    let bus = Bus::start();
    let fault = bus.open("sdb").unwrap_err();
    assert!(matches!(&fault, UdisksError::Refused(_)), "{fault:?}");
    let runtime = Runtime::new().unwrap();
    let serving = serve(&bus, &runtime, Path::new("/nowhere"), false);
    let told = crate::diagnostic::chain(&bus.open("sdb").unwrap_err());
    assert!(told.starts_with("udisks does not open it: "), "{told}");
    assert!(told.contains("Not authorized to perform operation"), "{told}");
    drop(serving);
    let address = bus.address();
    let stopped = open_at(connection::Builder::address(address.as_str()), "sdb", 0, &|| false);
    assert!(matches!(stopped, Err(UdisksError::Stopped)), "{stopped:?}");
    let nobody = open_at(connection::Builder::address("unix:path=/nowhere/bus"), "sdb", 0, &|| true);
    assert!(matches!(nobody, Err(UdisksError::Unreachable(_))), "{nobody:?}");
}

#[test]
fn a_disk_has_an_object() {
    for (name, expected) in [("sdb", "sdb"), ("mmcblk0", "mmcblk0"), ("cciss!c0d0", "cciss_21c0d0")] {
        assert_eq!(object(name), format!("{FOLDER}/{expected}"));
    }
}
