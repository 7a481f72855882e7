//! A rescue system whose disk is a file.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::cloud::upload::{Event, Rescue, Trust, UploadError, Written, write};
use crate::hetzner::{Operation, Stop};
use crate::process;
use crate::secret::Secret;
use crate::ssh::simulator::{Cut, Proxy, Simulator};
use crate::ssh::{Key, Pace};
use crate::units::Bytes;

/// The password that the provider tells.
pub(super) const PASSWORD: &str = "pa55 word";
/// What `crypt()` makes of it.
pub(super) const HASH: &str = "$y$j9T$abcdefgh$dPf67cAL1JCeKHjvRfzqOw0kmDJ6gRTa8vQsg79KFb0";
/// What was on the disk before.
const GARBAGE: u8 = 0xa5;

/// How a machine differs from a good one.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) seed: u8,
    pub(super) disk: u64,
    pub(super) disks: &'static [&'static str],
    pub(super) hash: &'static str,
    /// What `blkdiscard` does with `$disk`.
    pub(super) discard: &'static str,
    /// What happens to `$disk` when its caches are dropped.
    pub(super) flush: &'static str,
    pub(super) missing: &'static str,
    /// In the place of `zstd`.
    pub(super) zstd: Option<&'static str>,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            seed: 1,
            disk: 8 << 20,
            disks: &["sda"],
            hash: HASH,
            discard: "size=$(stat -c %s \"$disk\"); truncate -s 0 \"$disk\"; truncate -s \"$size\" \"$disk\"",
            flush: "true",
            missing: "",
            zstd: None,
        }
    }
}

/// The machine, and the wire to it.
pub(super) struct Machine {
    folder: TempDir,
    pub(super) simulator: Simulator,
    pub(super) proxy: Proxy,
    pub(super) key: Key,
}

impl Machine {
    pub(super) async fn start(kind: Kind, cuts: Vec<Cut>) -> Self {
        let key = Key::generate().unwrap();
        let (folder, simulator) = host(&kind, &key).await;
        let proxy = Proxy::start(simulator.address, cuts).await;
        Self { folder, simulator, proxy, key }
    }

    /// As the provider tells of it.
    pub(super) fn rescue(&self, trust: Trust) -> Rescue {
        let pace = Pace {
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(20),
            ..Pace::default()
        };
        let mut rescue = Rescue::with_pace(self.proxy.address, &self.key, trust, pace);
        rescue.paths.shadow = self.path("shadow").to_str().unwrap().to_owned();
        rescue.paths.devices = self.path("dev").to_str().unwrap().to_owned();
        rescue.chunk_blocks = 4;
        rescue
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The beginning of the disk.
    pub(super) fn disk(&self, size: u64) -> Vec<u8> {
        let mut content = vec![0; usize::try_from(size).unwrap()];
        fs::File::open(self.path("dev/sda")).unwrap().read_exact_at(&mut content, 0).unwrap();
        content
    }

    /// Writes an image to it, with all events.
    pub(super) async fn write(&self, image: &Path) -> (Result<Written, UploadError>, Vec<Event>) {
        let mut events = Vec::new();
        let rescue = self.rescue(Trust::ByPassword(password()));
        let written = write(&operation(), &rescue, image, &mut |event| events.push(event)).await;
        (written, events)
    }
}

pub(super) fn password() -> Secret {
    Secret::from(Zeroizing::new(PASSWORD.to_owned()))
}

/// Longer than anything here takes, for tests that hang.
pub(super) fn operation() -> Operation {
    Operation::new("writing the image", Duration::from_mins(5), &Stop::never())
}

/// Events that are warnings.
pub(super) fn warnings(events: &[Event]) -> Vec<String> {
    events.iter().filter_map(Event::warning).collect()
}

/// A host with its folder, in which `bin` is all the programs that it has.
pub(super) async fn host(kind: &Kind, key: &Key) -> (TempDir, Simulator) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("dev")).unwrap();
    fs::create_dir(path("bin")).unwrap();
    for disk in kind.disks {
        let content = vec![GARBAGE; usize::try_from(kind.disk).unwrap()];
        fs::write(path("dev").join(disk), content).unwrap();
    }
    let shadow = format!("daemon:*:1::::::\nroot:{}:20000:0:99999:7:::\nroot2:x:1::::::\n", kind.hash);
    fs::write(path("shadow"), shadow).unwrap();
    let program = |name: &str, script: &str| {
        if name != kind.missing {
            let path = path("bin").join(name);
            fs::write(&path, format!("#!/bin/bash\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    };
    for name in ["bash", "dd", "sha256sum"] {
        symlink(process::find(name).unwrap(), path("bin").join(name)).unwrap();
    }
    match kind.zstd {
        Some(script) => program("zstd", script),
        None if kind.missing == "zstd" => {}
        None => symlink(process::find("zstd").unwrap(), path("bin/zstd")).unwrap(),
    }
    program("sync", "true");
    program("poweroff", &format!("touch {}", path(crate::ssh::simulator::OFF).display()));
    program("blkdiscard", &format!("disk=${{!#}}\n{}", kind.discard));
    let blockdev =
        "disk=$2\ncase $1 in --getsize64) exec stat -c %s \"$disk\" ;; --flushbufs) ;; *) exit 9 ;; esac";
    program("blockdev", &format!("{blockdev}\n{}", kind.flush));
    let simulator = Simulator::start(kind.seed, &key.public_line().unwrap(), path("bin")).await;
    (folder, simulator)
}

/// An image with data at some places, the rest holes.
pub(super) fn image(size: u64, data: &[(u64, Vec<u8>)]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(size).unwrap();
    for (at, content) in data {
        file.as_file().write_all_at(content, *at).unwrap();
    }
    file
}

/// Bytes that no compressor makes smaller (xorshift64*).
pub(super) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let byte = |_| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
    };
    (0..length).map(byte).collect()
}

/// Asserts that the disk begins with the image.
pub(super) fn assert_equal(machine: &Machine, image: &Path, written: &Written) {
    let content = fs::read(image).unwrap();
    // The assertion would print both.
    assert!(machine.disk(Bytes::of(&content).0) == content, "{written:?}");
    assert_eq!(written.image, Bytes::of(&content));
    assert_eq!(written.sha256, crate::units::Sha256::of(&content));
}
