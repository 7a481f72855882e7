//! The real archive, from the mirror that this host's own apt uses. Needs network, as `make test` does.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use crate::archive::cache::Cache;
use crate::archive::download::Downloader;
use crate::archive::keyring::Keyring;
use crate::archive::lock::LockedPackage;
use crate::archive::mirror::Mirrors;
use crate::archive::suite::{Suites, fetch_packages, update_indices};
use crate::printer::Printer;
use crate::units::{Arch, Timestamp};

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
}

/// Most memory that this process has used, as the kernel says.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn trixie_is_verified_read_and_fetched_from_the_hosts_mirror() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, printer, now) = (Cache::open(folder.path()).unwrap(), Printer::default(), now());
    let mirrors = Mirrors::choose(None, None, now).unwrap();
    let suites = Suites::trixie(Keyring::debian().unwrap());
    let online = Downloader::online(&cache, &printer).unwrap();

    let begin = Instant::now();
    let archive =
        update_indices(&online, &mirrors, &suites, Arch::Amd64, now, &BTreeMap::new()).await.unwrap();
    println!("updated {} packages in {:?}, peak {}", archive.packages.len(), begin.elapsed(), peak_memory());
    assert!(archive.packages.len() > 60_000, "{}", archive.packages.len());
    for name in ["bash", "systemd", "linux-image-cloud-amd64", "systemd-boot-efi"] {
        let found = archive.packages.iter().filter(|package| package.name == name);
        assert!(found.count() > 0, "no `{name}`");
    }
    let names: Vec<_> = archive.suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["trixie", "trixie-updates", "trixie-security"]);

    // Small ones of both archives.
    let mut small = Vec::new();
    for name in ["debian", "debian-security"] {
        let of_archive = archive.packages.iter().filter(|package| package.archive == name);
        small.extend(of_archive.min_by_key(|package| (package.size, &package.name)).map(LockedPackage::from));
    }
    assert_eq!(small.len(), 2);
    let fetched = fetch_packages(&online, &mirrors, &small, archive.date).await.unwrap();
    for path in fetched {
        assert!(std::fs::read(&path).unwrap().starts_with(b"!<arch>\ndebian-binary"), "{}", path.display());
    }

    let offline = Downloader::offline(&cache, &printer);
    let begin = Instant::now();
    let again =
        update_indices(&offline, &mirrors, &suites, Arch::Amd64, now, &BTreeMap::new()).await.unwrap();
    println!("read from the cache in {:?}, peak {}", begin.elapsed(), peak_memory());
    assert_eq!(again.packages, archive.packages);
    assert_eq!(again.suites, archive.suites);
}
