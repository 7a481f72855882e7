use super::place::Place;
use super::server::{Fault, Server};
use crate::archive::artifact::{choose, fetch};
use crate::archive::lock::LockedArtifact;
use crate::profile::{Artifact, Placement};
use crate::units::{Bytes, Sha256};

fn declared(name: &str, version: &str, content: &[u8]) -> Artifact {
    Artifact {
        name: name.to_owned(),
        version: version.to_owned(),
        url: format!("https://example.org/{version}/{name}"),
        sha256: Sha256::of(content),
        size: None,
        evidence: "hashed by us".to_owned(),
        placement: Placement::K3s { folder: "usr/lib/k3s".to_owned() },
    }
}

fn locked(name: &str, version: &str, content: &[u8]) -> LockedArtifact {
    let Artifact { name, version, url, sha256, size, evidence, .. } = declared(name, version, content);
    LockedArtifact { name, version, url, size, sha256, evidence }
}

/// At `/file` of the server, of unknown size.
fn served(server: &Server, content: &[u8]) -> LockedArtifact {
    server.put("/file", content);
    LockedArtifact { url: server.url("/file").to_string(), ..locked("k3s", "1", content) }
}

#[test]
fn a_locked_pin_stays_until_it_is_updated() {
    let declared = [declared("argocd", "1", b"a"), declared("k3s", "2", b"new")];
    let old = [locked("gone", "1", b"g"), locked("k3s", "1", b"old")];
    let old: Vec<_> = old.iter().collect();
    let chosen = |stays: bool| choose(&declared, &old, |name| name != "k3s" || stays).unwrap();
    assert_eq!(chosen(true), [locked("argocd", "1", b"a"), locked("k3s", "1", b"old")]);
    assert_eq!(chosen(false), [locked("argocd", "1", b"a"), locked("k3s", "2", b"new")]);
}

#[test]
fn one_version_has_one_content() {
    let declared = [declared("argocd", "1", b"b"), declared("k3s", "2", b"new"), declared("same", "1", b"s")];
    let old = [locked("argocd", "1", b"a"), locked("k3s", "2", b"old"), locked("same", "1", b"s")];
    for stays in [true, false] {
        let error = choose(&declared, &old.iter().collect::<Vec<_>>(), |_| stays).unwrap_err();
        let digests = [b"a".as_slice(), b"b", b"old", b"new"].map(Sha256::of);
        let [a, b, old, new] = digests;
        assert_eq!(
            error.to_string(),
            format!(
                "artifacts have other contents under the same version\n  argocd 1: locked {a}, declared {b}\n  \
                 k3s 2: locked {old}, declared {new}"
            )
        );
    }
}

#[tokio::test]
async fn fetches_a_file_of_unknown_size_and_resumes_it() {
    let (server, place) = (Server::start().await, Place::new());
    let content = vec![7; 300_000];
    let artifact = served(&server, &content);
    server.spoil("/file", [Fault::Cut(200_000)]);
    let paths = fetch(&place.online(), std::slice::from_ref(&artifact)).await.unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), content);
    let starts: Vec<_> = server.requests().into_iter().map(|(_, start)| start).collect();
    assert!(matches!(starts[..], [None, Some(1..=200_000)]), "{starts:?}");
    assert_eq!(fetch(&place.offline(), &[artifact]).await.unwrap(), paths);
}

/// A server that names no length, or a wrong one, shows by the digest.
#[tokio::test]
async fn another_file_of_unknown_size_is_dropped() {
    for (fault, size, cause) in [
        (Fault::Short(3), None, "`[url]` has sha256 [found], expected [expected]"),
        (Fault::Endless, None, "`[url]` has sha256 [found], expected [expected]"),
        (Fault::Status(403), None, "`[url]` answers with HTTP status 403"),
        (Fault::Endless, Some(Bytes(7)), "`[url]` has more than the expected 7 bytes"),
    ] {
        let (server, place) = (Server::start().await, Place::new());
        let artifact = LockedArtifact { size, ..served(&server, b"content") };
        server.spoil("/file", [fault]);
        let error = fetch(&place.online(), std::slice::from_ref(&artifact)).await.unwrap_err();
        let LockedArtifact { url, sha256, .. } = &artifact;
        let said = format!("1 artifact is not in the cache\n  k3s 1\n    {url}\n    sha256 {sha256}");
        assert_eq!(error.to_string(), said);
        let found = match fault {
            Fault::Short(count) => Sha256::of(&b"content"[..count]),
            _ => Sha256::of(&[&b"content"[..], &[b'x'; 4096]].concat()),
        };
        let cause = cause.replace("[url]", url).replace("[found]", &found.to_string());
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source, Some(cause.replace("[expected]", &sha256.to_string())), "{fault:?}");
        assert!(!place.cache.path(*sha256).exists());
    }
}

#[tokio::test]
async fn names_only_what_is_missing() {
    let (server, place) = (Server::start().await, Place::new());
    let have = served(&server, b"have");
    fetch(&place.online(), std::slice::from_ref(&have)).await.unwrap();
    let lacking = locked("lacking", "1", b"lacking");
    let error = fetch(&place.offline(), &[have.clone(), lacking]).await.unwrap_err().to_string();
    assert!(error.starts_with("1 artifact is not in the cache\n  lacking 1\n"), "{error}");
    let no_url = LockedArtifact { url: "nonsense".to_owned(), ..have };
    let error = fetch(&place.offline(), &[no_url]).await.unwrap_err().to_string();
    assert_eq!(error, "artifact `k3s` has the URL `nonsense`, which is none");
}
