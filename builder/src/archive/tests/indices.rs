use std::collections::BTreeMap;

use super::archive::{NOW, SUITES, TestArchive, release_text, stanza};
use super::place::Place;
use super::server::Fault;
use super::signer::Signer;
use crate::archive::date;
use crate::archive::suite::{Archive, SuiteError, Suites, update_indices};
use crate::diagnostic::chain;
use crate::units::{Arch, Bytes, Sha256, Timestamp};

impl Place {
    async fn update(&self, archive: &TestArchive) -> Result<Archive, SuiteError> {
        self.update_as(archive, &archive.suites(), NOW, true).await
    }

    async fn update_as(
        &self,
        archive: &TestArchive,
        suites: &Suites,
        now: Timestamp,
        is_online: bool,
    ) -> Result<Archive, SuiteError> {
        let downloader = if is_online { self.online() } else { self.offline() };
        update_indices(&downloader, &archive.mirrors(), suites, Arch::Amd64, now, &BTreeMap::new()).await
    }
}

#[tokio::test]
async fn refuses_a_mirror_that_shows_an_older_state_than_the_lock() {
    let (place, archive) = (Place::new(), TestArchive::start().await);
    let date = place.update(&archive).await.unwrap().suites[0].date;
    let (downloader, mirrors, suites) = (place.online(), archive.mirrors(), archive.suites());
    let update = async |known: Timestamp| {
        let known = BTreeMap::from([(SUITES[0].0, known)]);
        update_indices(&downloader, &mirrors, &suites, Arch::Amd64, NOW, &known).await
    };
    assert_eq!(update(date).await.unwrap().suites[0].date, date);
    let newer = Timestamp(date.0 + 1);
    let error = update(newer).await.unwrap_err();
    let expected = format!(
        "the mirror's `{}` is of {date}, older than {newer} in the lock: it lags behind, use another",
        SUITES[0].0
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn reads_all_packages_of_all_suites() {
    let archive = TestArchive::start().await;
    let read = Place::new().update(&archive).await.unwrap();
    let [package, updates, security] = read.packages.as_slice() else { panic!("{}", read.packages.len()) };
    assert_eq!((package.name.as_str(), package.version.as_str()), ("hello", "1+trixie"));
    assert_eq!(package.depends, "libc6 (>= 2.41),\n other | more");
    assert_eq!((package.pre_depends.as_str(), package.provides.as_str()), ("dpkg", "greeting (= 1)"));
    assert_eq!((package.conflicts.as_str(), package.breaks.as_str()), ("bye", "old (<< 1)"));
    assert_eq!((package.multi_arch.as_str(), package.essential), ("foreign", true));
    assert_eq!((package.path.as_str(), package.size), ("pool/main/h/hello_1.deb", Bytes(1)));
    assert_eq!((updates.suite.as_str(), updates.archive.as_str()), ("trixie-updates", "debian"));
    assert_eq!((security.suite.as_str(), security.archive.as_str()), ("trixie-security", "debian-security"));
    assert_eq!(Some(read.date), date::parse("Fri, 20 Nov 2026 02:10:46 UTC"));
    for (suite, (codename, _)) in read.suites.iter().zip(SUITES) {
        assert_eq!((suite.name.as_str(), suite.date), (codename, read.date));
        assert_eq!(suite.signed_by, archive.signer.fingerprint());
    }
}

#[tokio::test]
async fn falls_back_to_the_plain_index_where_by_hash_is_missing() {
    let archive = TestArchive::start().await;
    let path = format!("main/binary-amd64/by-hash/SHA256/{}", digest_of_index());
    archive.server.remove(&format!("/debian/dists/trixie/{path}"));
    let error = chain(&Place::new().update(&archive).await.unwrap_err());
    assert!(error.starts_with("`trixie/main/binary-amd64/Packages.xz` is not at "), "{error}");
    let packed = super::archive::xz(stanza("trixie", "hello", 1).as_bytes());
    archive.server.put("/debian/dists/trixie/main/binary-amd64/Packages.xz", packed);
    assert_eq!(Place::new().update(&archive).await.unwrap().packages.len(), 3);
}

fn digest_of_index() -> Sha256 {
    Sha256::of(&super::archive::xz(stanza("trixie", "hello", 1).as_bytes()))
}

#[tokio::test]
async fn refuses_release_files_of_unknown_keys_and_changed_ones() {
    let archive = TestArchive::start().await;
    let url = archive.server.url("/debian/dists/trixie/InRelease");
    let path = url.path();
    let signed = archive.signer.sign(&release_text("trixie", ""));
    let stranger = Signer::new(9, None);
    let key = archive.signer.fingerprint();
    for (data, reason) in [
        (
            stranger.sign(&release_text("trixie", "")),
            format!("signed by no trusted key, but by {}", stranger.fingerprint()),
        ),
        (signed.replace("stable", "evil"), format!("signature of key {key} does not fit the text")),
        (release_text("trixie", ""), "no OpenPGP signature".to_owned()),
    ] {
        archive.server.put(path, data);
        let place = Place::new();
        assert_eq!(chain(&place.update(&archive).await.unwrap_err()), format!("verifying `{url}`: {reason}"));
        assert_eq!(place.cache.release(url.as_str()).unwrap(), None, "kept although {reason}");
    }
}

#[tokio::test]
async fn refuses_a_suite_in_the_place_of_another() {
    let archive = TestArchive::start().await;
    let url = archive.server.url("/debian-security/dists/trixie-security/InRelease");
    let files = format!(" {} 1 main/binary-amd64/Packages.xz\n", Sha256::of(b"x"));
    archive.server.put(url.path(), archive.signer.sign(&release_text("trixie", &files)));
    assert_eq!(
        chain(&Place::new().update(&archive).await.unwrap_err()),
        format!("reading `{url}`: Release file is of `trixie`, `trixie-security` was asked for")
    );
}

#[tokio::test]
async fn refuses_expired_release_files_online_and_offline_alike() {
    let (archive, place) = (TestArchive::start().await, Place::new());
    place.update(&archive).await.unwrap();
    let later = Timestamp(NOW.0 + 30 * 86_400);
    for is_online in [true, false] {
        let error = place.update_as(&archive, &archive.suites(), later, is_online).await.unwrap_err();
        let error = chain(&error);
        assert!(
            error.contains("expired on 2026-11-27T02:10:46Z, now it is 2026-12-21T02:10:46Z: use a mirror"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn refuses_expired_keys() {
    let mut archive = TestArchive::start().await;
    archive.signer = Signer::new(1, Some(3600));
    let error = chain(&Place::new().update(&archive).await.unwrap_err());
    assert!(error.ends_with("expired on 2025-01-01T01:00:00Z"), "{error}");
}

#[tokio::test]
async fn offline_reads_what_was_kept_and_verifies_it_again() {
    let (archive, place) = (TestArchive::start().await, Place::new());
    let error = place.update_as(&archive, &archive.suites(), NOW, false).await.unwrap_err();
    assert!(chain(&error).starts_with("offline, and the cache lacks http://"), "{error}");
    let online = place.update(&archive).await.unwrap();
    archive.server.requests();
    let offline = place.update_as(&archive, &archive.suites(), NOW, false).await.unwrap();
    assert_eq!((offline.packages, offline.suites), (online.packages, online.suites));
    assert_eq!(archive.server.requests(), []);
    let mut distrusting = archive.suites();
    distrusting.keyring = crate::archive::keyring::Keyring::debian().unwrap();
    let error = place.update_as(&archive, &distrusting, NOW, false).await.unwrap_err();
    assert!(chain(&error).contains("signed by no trusted key"), "{}", chain(&error));
}

#[tokio::test]
async fn survives_a_cut_index() {
    let (archive, place) = (TestArchive::start().await, Place::new());
    let path = format!("/debian/dists/trixie/main/binary-amd64/by-hash/SHA256/{}", digest_of_index());
    archive.server.spoil(&path, [Fault::Cut(20)]);
    assert_eq!(place.update(&archive).await.unwrap().packages.len(), 3);
}

#[tokio::test]
async fn names_the_package_whose_fields_are_wrong() {
    let archive = TestArchive::start().await;
    let good = stanza("trixie", "hello", 1);
    for (from, to, reason) in [
        ("SHA256: ", "SHA256: x", "line 17: package `bad` has a wrong field `SHA256`"),
        ("Size: 1", "Size: -1", "line 17: package `bad` has a wrong field `Size`"),
        ("Version: ", "Version: \x1b[2J", "line 17: package `bad` has a wrong field `Version`"),
        ("Version", "X", "line 17: package `bad` has no field `Version`"),
        ("pool/", "../", "line 17: package `bad` has a wrong field `Filename`"),
    ] {
        let bad = stanza("trixie", "bad", 1).replacen(from, to, 1);
        archive.publish("trixie", "debian", &format!("{good}{bad}"));
        assert_eq!(
            chain(&Place::new().update(&archive).await.unwrap_err()),
            format!("reading packages of `trixie`: Packages index, {reason}")
        );
    }
    archive.publish("trixie", "debian", &format!("{good}\n nonsense"));
    assert_eq!(
        chain(&Place::new().update(&archive).await.unwrap_err()),
        "reading packages of `trixie`: Packages index is malformed: line 18: continuation line without a field before it"
    );
}
