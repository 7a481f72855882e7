//! A small Debian archive with three suites, signed by test keys.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::server::Server;
use super::signer::Signer;
use crate::archive::keyring::Keyring;
use crate::archive::lock::LockedPackage;
use crate::archive::mirror::{Candidates, Mirrors};
use crate::archive::suite::Suites;
use crate::units::{Bytes, Sha256, Timestamp};

/// The time at which the tests take place; Release files are from the day before.
pub(in super::super) const NOW: Timestamp = Timestamp(1_795_227_046);

/// Suites by codename, and the folder each lies in.
pub(in super::super) const SUITES: [(&str, &str); 3] =
    [("trixie", "debian"), ("trixie-updates", "debian"), ("trixie-security", "debian-security")];

/// Serves the archive.
pub(in super::super) struct TestArchive {
    pub(in super::super) server: Server,
    pub(in super::super) signer: Signer,
}

impl TestArchive {
    pub(in super::super) async fn start() -> Self {
        let archive = Self { server: Server::start().await, signer: Signer::new(1, None) };
        for (codename, folder) in SUITES {
            let packages = stanza(codename, "hello", 1);
            archive.publish(codename, folder, &packages);
        }
        archive
    }

    /// Puts an index and a Release file that lists and signs it.
    pub(in super::super) fn publish(&self, codename: &str, folder: &str, packages: &str) {
        let packed = xz(packages.as_bytes());
        let (size, sha256) = (packed.len(), Sha256::of(&packed));
        let below = format!("/{folder}/dists/{codename}");
        let component = format!("{below}/main/binary-amd64");
        self.server.put(&format!("{component}/by-hash/SHA256/{sha256}"), packed);
        let release = release_text(codename, &format!(" {sha256} {size} main/binary-amd64/Packages.xz\n"));
        self.server.put(&format!("{below}/InRelease"), self.signer.sign(&release));
    }

    pub(in super::super) fn mirrors(&self) -> Mirrors {
        Mirrors::from_candidates(Candidates {
            argument: Some(self.server.url("/debian").as_str()),
            environment: None,
            cluster: None,
            apt: Path::new("/nonexistent"),
            date: NOW,
        })
        .unwrap()
    }

    pub(in super::super) fn suites(&self) -> Suites {
        let mut keyring = Keyring::default();
        keyring.add("test.asc", self.signer.public().as_bytes()).unwrap();
        Suites::trixie(keyring)
    }

    /// Puts a file into the pool of `debian`.
    pub(in super::super) fn locked(&self, name: &str, data: &[u8]) -> LockedPackage {
        let path = format!("pool/{name}_1_all.deb");
        self.server.put(&format!("/debian/{path}"), data);
        LockedPackage {
            name: name.to_owned(),
            version: "1".to_owned(),
            arch: "all".to_owned(),
            archive: "debian".to_owned(),
            path,
            size: Bytes::of(data),
            sha256: Sha256::of(data),
        }
    }
}

/// A Release file of the day before [`NOW`], valid for a week.
pub(in super::super) fn release_text(codename: &str, files: &str) -> String {
    format!(
        "Suite: stable\nCodename: {codename}\nDate: Fri, 20 Nov 2026 02:10:46 UTC\n\
         Valid-Until: Fri, 27 Nov 2026 02:10:46 UTC\nAcquire-By-Hash: yes\nSHA256:\n{files}"
    )
}

pub(in super::super) fn stanza(codename: &str, name: &str, size: u64) -> String {
    let mut text = String::new();
    let digest = Sha256::of(name.as_bytes());
    write!(
        text,
        "Package: {name}\nVersion: 1+{codename}\nArchitecture: amd64\nMulti-Arch: foreign\n\
         Depends: libc6 (>= 2.41),\n other | more\nPre-Depends: dpkg\nProvides: greeting (= 1)\n\
         Conflicts: bye\nBreaks: old (<< 1)\nEssential: yes\nPriority: optional\n\
         Filename: pool/main/h/{name}_1.deb\nSize: {size}\nSHA256: {digest}\n\n"
    )
    .unwrap();
    text
}

pub(in super::super) fn xz(data: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new(data, 6).read_to_end(&mut packed).unwrap();
    packed.flush().unwrap();
    packed
}
