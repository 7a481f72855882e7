use std::time::Duration;

use super::archive::{NOW, TestArchive};
use super::place::Place;
use super::server::{Fault, Server};
use crate::archive::cache::{Cache, Claim};
use crate::archive::download::Wanted;
use crate::archive::suite::fetch_packages;
use crate::units::{Bytes, Sha256};

impl Place {
    async fn fetch(&self, wanted: &[Wanted]) -> Result<Vec<Vec<u8>>, String> {
        let paths = self.online().fetch("fetching", wanted).await.map_err(|error| error.to_string())?;
        Ok(paths.iter().map(|path| std::fs::read(path).unwrap()).collect())
    }

    /// Length of what was begun of a file, if anything was.
    fn begun(&self, data: &[u8]) -> Option<usize> {
        let partial = self.cache.path(Sha256::of(data)).with_extension("partial");
        std::fs::read(partial).ok().map(|partial| partial.len())
    }

    fn begin(&self, data: &[u8], beginning: &[u8]) {
        let partial = self.cache.path(Sha256::of(data)).with_extension("partial");
        std::fs::create_dir_all(partial.parent().unwrap()).unwrap();
        std::fs::write(partial, beginning).unwrap();
    }
}

fn data() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// Puts `data` at `/file` and wants it.
fn wanted(server: &Server, data: &[u8]) -> Wanted {
    server.put("/file", data);
    Wanted {
        name: "file".to_owned(),
        urls: vec![server.url("/file")],
        size: Some(Bytes::of(data)),
        sha256: Sha256::of(data),
    }
}

fn starts(server: &Server) -> Vec<Option<usize>> {
    server.requests().into_iter().map(|(_, start)| start).collect()
}

#[tokio::test]
async fn downloads_once_and_finds_it_then() {
    let (server, place, data) = (Server::start().await, Place::new(), data());
    let file = wanted(&server, &data);
    let both = [file.clone(), file];
    assert_eq!(place.fetch(&both).await.unwrap(), [data.clone(), data.clone()]);
    assert_eq!(place.fetch(&both).await.unwrap().len(), 2);
    assert_eq!(starts(&server), [None]);
    assert_eq!(place.begun(&data), None);
}

#[tokio::test]
async fn fetches_an_empty_file() {
    let (server, place) = (Server::start().await, Place::new());
    assert_eq!(place.fetch(&[wanted(&server, b"")]).await.unwrap(), [b""]);
}

#[tokio::test]
async fn resumes_where_the_connection_was_cut() {
    let (server, place, data) = (Server::start().await, Place::new(), data());
    let file = wanted(&server, &data);
    server.spoil("/file", [Fault::Cut(500_000), Fault::Cut(200_000)]);
    assert_eq!(place.fetch(&[file]).await.unwrap(), [data]);
    let starts = starts(&server);
    assert_eq!(starts.len(), 3, "{starts:?}");
    assert!(starts[1] > Some(0) && starts[1] < starts[2] && starts[2] <= Some(700_000), "{starts:?}");
}

#[tokio::test]
async fn gives_up_a_server_whose_file_is_shorter_than_the_lock_says() {
    let (server, place, data) = (Server::start().await, Place::new(), data());
    let file = wanted(&server, &data);
    server.put("/file", &data[..1_000_000]);
    let error = place.fetch(&[file]).await.unwrap_err();
    assert_eq!(error, format!("`{}` ends after 1000000 bytes, expected 1200000", server.url("/file")));
    assert!(server.requests().len() <= 8);
}

#[tokio::test]
async fn resumes_what_an_earlier_process_began() {
    let (server, place, data) = (Server::start().await, Place::new(), data());
    let file = wanted(&server, &data);
    place.begin(&data, &data[..777]);
    assert_eq!(place.fetch(&[file]).await.unwrap(), [data]);
    assert_eq!(starts(&server), [Some(777)]);
}

#[tokio::test]
async fn starts_anew_where_ranges_are_ignored_or_wrong() {
    for fault in [Fault::IgnoreRange, Fault::WrongRange] {
        let (server, place, data) = (Server::start().await, Place::new(), data());
        let file = wanted(&server, &data);
        server.spoil("/file", [Fault::Cut(1000), fault]);
        assert_eq!(place.fetch(&[file]).await.unwrap(), [data], "{fault:?}");
    }
}

#[tokio::test]
async fn starts_anew_where_the_beginning_is_damaged_or_too_long() {
    let server = Server::start().await;
    let data = data();
    let mut damaged = data[..1000].to_vec();
    damaged[10] ^= 1;
    let mut whole = data.clone();
    whole[10] ^= 1;
    let long = [data.as_slice(), b"more"].concat();
    for beginning in [damaged, whole, long] {
        let place = Place::new();
        let file = wanted(&server, &data);
        place.begin(&data, &beginning);
        let fetched = place.fetch(&[file]).await.unwrap();
        assert_eq!(fetched.first(), Some(&data), "{} bytes", beginning.len());
    }
}

#[tokio::test]
async fn downloads_a_damaged_cached_file_again() {
    let (server, place, data) = (Server::start().await, Place::new(), data());
    let file = wanted(&server, &data);
    place.fetch(std::slice::from_ref(&file)).await.unwrap();
    let mut damaged = data.clone();
    damaged[1_000_000] ^= 1;
    std::fs::write(place.cache.path(file.sha256), damaged).unwrap();
    assert_eq!(place.fetch(&[file]).await.unwrap(), [data]);
    assert_eq!(starts(&server), [None, None]);
}

#[tokio::test]
async fn keeps_the_beginning_when_the_server_gives_up() {
    let (server, place, data) = (Server::start().await, Place::new(), data());
    let file = wanted(&server, &data);
    // Tries that brought little count: three of them are too many.
    server.spoil("/file", [Fault::Cut(300), Fault::Cut(30), Fault::Cut(3)]);
    let error = place.fetch(&[file]).await.unwrap_err();
    assert_eq!(error, format!("downloading `{}`", server.url("/file")));
    assert_eq!(place.begun(&data), Some(333));
}

#[tokio::test]
async fn repeats_after_server_errors_but_not_for_ever() {
    let (server, place, data) = (Server::start().await, Place::new(), data());
    let file = wanted(&server, &data);
    server.spoil("/file", [Fault::Status(503), Fault::Status(429)]);
    assert_eq!(place.fetch(&[file]).await.unwrap(), [data]);
    let place = Place::new();
    server.spoil("/file", [Fault::Status(500); 3]);
    let error = place.fetch(&[wanted(&server, b"x")]).await.unwrap_err();
    assert_eq!(error, format!("`{}` answers with HTTP status 500", server.url("/file")));
    server.spoil("/file", [Fault::Status(403)]);
    let error = place.fetch(&[wanted(&server, b"x")]).await.unwrap_err();
    assert_eq!(error, format!("`{}` answers with HTTP status 403", server.url("/file")));
}

#[tokio::test]
async fn names_url_and_both_digests_of_a_wrong_file_and_drops_it() {
    let (server, place) = (Server::start().await, Place::new());
    let file = wanted(&server, b"right");
    server.put("/file", "wrong");
    let error = place.fetch(&[file]).await.unwrap_err();
    let (expected, found) = (Sha256::of(b"right"), Sha256::of(b"wrong"));
    assert_eq!(error, format!("`{}` has sha256 {found}, expected {expected}", server.url("/file")));
    assert_eq!(place.begun(b"right"), None);
    assert!(!place.cache.path(expected).exists());
}

#[tokio::test]
async fn refuses_bodies_of_another_length() {
    let (server, place, data) = (Server::start().await, Place::new(), data());
    let url = server.url("/file");
    let file = wanted(&server, &data);
    server.spoil("/file", [Fault::Short(1000); 3]);
    let error = place.fetch(std::slice::from_ref(&file)).await.unwrap_err();
    assert_eq!(error, format!("`{url}` ends after 1000 bytes, expected 1200000"));
    server.spoil("/file", [Fault::Endless]);
    let error = place.fetch(std::slice::from_ref(&file)).await.unwrap_err();
    assert_eq!(error, format!("`{url}` has more than the expected 1200000 bytes"));
    server.put("/file", [data.as_slice(), b"more"].concat());
    let error = place.fetch(&[file]).await.unwrap_err();
    assert_eq!(error, format!("`{url}` has more than the expected 1200000 bytes"));
    assert_eq!(place.begun(&data), None);
}

#[tokio::test]
async fn refuses_absurd_sizes_before_the_first_byte() {
    let (server, place) = (Server::start().await, Place::new());
    let file = Wanted { size: Some(Bytes(u64::MAX)), ..wanted(&server, b"x") };
    let error = place.fetch(&[file]).await.unwrap_err();
    assert_eq!(error, "`file` should have 17179869183.9 GiB, more than the 8 GiB that are accepted");
    assert_eq!(starts(&server), []);
}

#[tokio::test]
async fn asks_the_next_url_where_one_has_no_such_file() {
    let (server, place) = (Server::start().await, Place::new());
    let file = wanted(&server, b"data");
    let file = Wanted { urls: vec![server.url("/gone"), server.url("/file")], ..file };
    assert_eq!(place.fetch(std::slice::from_ref(&file)).await.unwrap(), [b"data"]);
    let place = Place::new();
    server.remove("/file");
    let error = place.fetch(&[file]).await.unwrap_err();
    let expected = format!("`file` is not at {}, nor at {}", server.url("/gone"), server.url("/file"));
    assert_eq!(error, expected);
}

#[tokio::test]
async fn says_first_that_the_mirror_has_no_such_file_when_the_next_one_fails() {
    let (server, place) = (Server::start().await, Place::new());
    let file = Wanted { urls: vec![server.url("/gone"), server.url("/file")], ..wanted(&server, b"data") };
    server.spoil("/file", [Fault::Status(500); 3]);
    let error = place.online().fetch("fetching", &[file]).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`file` is not at {}", server.url("/gone")));
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(cause, Some(format!("`{}` answers with HTTP status 500", server.url("/file"))));
}

#[tokio::test]
async fn offline_names_everything_that_is_missing() {
    let (archive, place) = (TestArchive::start().await, Place::new());
    let packages = ["a", "b", "c"].map(|name| archive.locked(name, name.as_bytes()));
    let mirrors = archive.mirrors();
    fetch_packages(&place.online(), &mirrors, &packages[1..2], NOW).await.unwrap();
    archive.server.requests();
    let offline = place.offline();
    let error = fetch_packages(&offline, &mirrors, &packages, NOW).await.unwrap_err().to_string();
    assert_eq!(error, "offline, and the cache lacks a 1 (all), c 1 (all)");
    let paths = fetch_packages(&offline, &mirrors, &packages[1..2], NOW).await.unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), b"b");
    assert_eq!(archive.server.requests(), []);
}

/// A server plays both the mirror, which has moved on, and the archive that forgets nothing.
#[tokio::test]
async fn what_the_mirror_dropped_comes_from_the_snapshot_archive() {
    let (archive, place) = (TestArchive::start().await, Place::new());
    let server = &archive.server;
    let mut mirrors = archive.mirrors();
    mirrors.archive = server.url("/archive/");
    let packages = ["kept", "dropped", "fresh"].map(|name| archive.locked(name, name.as_bytes()));
    for [name, moment] in [["dropped", "20261121T021046Z"], ["fresh", "20261122T021046Z"]] {
        server.remove(&format!("/debian/pool/{name}_1_all.deb"));
        server.put(&format!("/archive/debian/{moment}/pool/{name}_1_all.deb"), name);
    }
    let paths = fetch_packages(&place.online(), &mirrors, &packages, NOW).await.unwrap();
    let fetched: Vec<_> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert_eq!(fetched, ["kept", "dropped", "fresh"]);
    let asked: Vec<String> =
        server.requests().into_iter().map(|(path, _)| path).filter(|path| path.contains("fresh")).collect();
    assert_eq!(
        asked,
        [
            "/debian/pool/fresh_1_all.deb",
            "/archive/debian/20261121T021046Z/pool/fresh_1_all.deb",
            "/archive/debian/20261122T021046Z/pool/fresh_1_all.deb",
        ]
    );
}

#[tokio::test]
async fn many_downloaders_share_a_cache_and_download_once() {
    let (server, place, data) = (Server::start().await, Place::new(), data());
    let file = wanted(&server, &data);
    server.spoil("/file", [Fault::Cut(400_000)]);
    let fetches = (0..6).map(|_| place.fetch(std::slice::from_ref(&file)));
    for fetched in futures_util::future::join_all(fetches).await {
        assert_eq!(fetched.as_deref(), Ok([data.clone()].as_slice()));
    }
    assert_eq!(starts(&server).len(), 2);
    assert_eq!(place.begun(&data), None);
}

#[tokio::test]
async fn a_downloader_that_is_dropped_leaves_its_beginning_to_others() {
    let place = Place::new();
    let size = Bytes(4);
    let sha256 = Sha256::of(b"data");
    let Claim::Partial(mut first) = place.cache.take(size, sha256).await.unwrap() else { panic!("present") };
    first.append(b"da").await.unwrap();
    let second = place.cache.take(size, sha256);
    let waited = tokio::time::timeout(Duration::from_millis(300), second).await;
    assert_eq!(waited.map(|_| ()).unwrap_err().to_string(), "deadline has elapsed");
    drop(first);
    let Claim::Partial(second) = place.cache.take(size, sha256).await.unwrap() else { panic!("present") };
    assert_eq!(second.length(), Bytes(2));
}

#[tokio::test]
async fn says_which_cache_file_is_not_usable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let expected = format!("cache file `{}` is not usable", file.join("done").display());
    assert_eq!(Cache::open(&file).unwrap_err().to_string(), expected);
    let (server, place) = (Server::start().await, Place::new());
    let wanted = wanted(&server, b"data");
    let path = place.cache.path(wanted.sha256);
    std::fs::create_dir_all(path.with_extension("partial")).unwrap();
    let error = place.fetch(&[wanted]).await.unwrap_err();
    assert_eq!(error, format!("cache file `{}.partial` is not usable", path.display()));
}

#[test]
fn tells_a_full_disk_from_other_trouble() {
    use crate::archive::cache::CacheError;
    let path = std::path::Path::new("/cache/file");
    for (kind, expected) in [
        (std::io::ErrorKind::StorageFull, "no space left for cache file `/cache/file`"),
        (std::io::ErrorKind::QuotaExceeded, "no space left for cache file `/cache/file`"),
        (std::io::ErrorKind::PermissionDenied, "cache file `/cache/file` is not usable"),
    ] {
        assert_eq!(CacheError::new(path, kind.into()).to_string(), expected);
    }
}
