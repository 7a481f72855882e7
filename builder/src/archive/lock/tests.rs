use super::*;

fn package(name: &str, version: &str) -> LockedPackage {
    LockedPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        arch: "all".to_owned(),
        archive: "debian".to_owned(),
        path: format!("pool/{name}_{version}_all.deb"),
        size: Bytes(1024),
        sha256: Sha256::of(name.as_bytes()),
    }
}

fn selection(profile: &str, arch: Arch, packages: Vec<LockedPackage>) -> Selection {
    let date = Timestamp(1_795_227_046);
    let suite = |name: &str| LockedSuite {
        name: name.to_owned(),
        date,
        sha256: Sha256::of(name.as_bytes()),
        signed_by: "AB".repeat(20),
    };
    Selection {
        profile: profile.to_owned(),
        arch,
        inputs: Sha256::of(profile.as_bytes()),
        date,
        suites: vec![suite("trixie"), suite("trixie-security")],
        packages,
        boot_packages: Vec::new(),
        artifacts: Vec::new(),
    }
}

fn artifact(name: &str, size: Option<Bytes>) -> LockedArtifact {
    LockedArtifact {
        name: name.to_owned(),
        version: "v1.36.4+k3s1".to_owned(),
        url: format!("https://example.org/v1.36.4%2Bk3s1/{name}"),
        size,
        sha256: Sha256::of(name.as_bytes()),
        evidence: "hashed by \"us\"".to_owned(),
    }
}

fn lock() -> Lock {
    let cloud = selection("cloud", Arch::Amd64, vec![package("a", "1"), package("b", "2:1.0~rc1+x")]);
    let artifacts = vec![artifact("k3s", None), artifact("k3s-images", Some(Bytes(1024)))];
    Lock {
        version: FORMAT,
        selections: vec![
            Selection { artifacts, ..cloud },
            selection("cloud", Arch::Arm64, Vec::new()),
            selection("edge", Arch::Amd64, vec![package("a", "1")]),
        ],
        users: BTreeMap::from([("root".to_owned(), 0), ("k3s".to_owned(), 990)]),
        groups: BTreeMap::from([("systemd-journal".to_owned(), 101)]),
    }
}

#[test]
fn reads_what_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("imgbuild.lock");
    lock().save(&path).unwrap();
    assert_eq!(Lock::load(&path).unwrap(), lock());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn writes_the_same_bytes_whatever_the_order() {
    let mut shuffled = lock();
    shuffled.selections.iter_mut().for_each(|selection| selection.suites.reverse());
    shuffled.selections.reverse();
    shuffled.selections.iter_mut().for_each(|selection| selection.packages.reverse());
    shuffled.selections.iter_mut().for_each(|selection| selection.artifacts.reverse());
    assert_eq!(shuffled.to_text(), lock().to_text());
}

#[test]
fn is_readable() {
    let mut short = lock();
    short.selections.truncate(1);
    short.selections[0].packages.truncate(1);
    short.selections.truncate(1);
    short.selections[0].suites.truncate(1);
    insta::assert_snapshot!(short.to_text(), @r#"
    # Written by `imgbuild lock`; do not edit, but keep it in Git: the same lock gives the same images.
    # Newer versions of packages and artifacts: imgbuild lock --update

    version = 1

    [[selection]]
    profile = "cloud"
    arch = "amd64"
    inputs = "56681010b753e1abe52c449d0aab291b28f1808a3a91b6baeaa726883baad4b0"
    date = "2026-11-21T02:10:46Z"
    boot-package = []

    [[selection.suite]]
    name = "trixie"
    date = "2026-11-21T02:10:46Z"
    sha256 = "50573ac999b4f7516852df798aafddb1ef893a0352b7c1c7559b984eb5a40bbc"
    signed-by = "ABABABABABABABABABABABABABABABABABABABAB"

    [[selection.package]]
    name = "a"
    version = "1"
    arch = "all"
    archive = "debian"
    path = "pool/a_1_all.deb"
    size = 1024
    sha256 = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"

    [[selection.artifact]]
    name = "k3s"
    version = "v1.36.4+k3s1"
    url = "https://example.org/v1.36.4%2Bk3s1/k3s"
    sha256 = "86bd33ebf64e01aaafb7dab419436ac025d04abd933bbbb124ddb25c30b59dd7"
    evidence = 'hashed by "us"'

    [[selection.artifact]]
    name = "k3s-images"
    version = "v1.36.4+k3s1"
    url = "https://example.org/v1.36.4%2Bk3s1/k3s-images"
    size = 1024
    sha256 = "e51b636b46530ce3cf15fb763a0592b4b36cd18e8b002956f6f868ee47b828d2"
    evidence = 'hashed by "us"'

    [users]
    k3s = 990
    root = 0

    [groups]
    systemd-journal = 101
    "#);
}

#[test]
fn says_what_is_wrong() {
    let text = lock().to_text();
    for (from, to, message) in [
        (
            "version = 1\n",
            "version = 2\nnew = true\n",
            "lock has format 2, this program reads format 1: use the imgbuild that wrote it",
        ),
        ("version = 1\n", "", "lock is malformed: TOML parse error at line 1, column 1"),
        ("arch = \"amd64\"", "arch = \"vax\"", "lock is malformed: TOML parse error at line 8, column 8"),
        ("size = 1024", "size = -1", "lock is malformed: TOML parse error at line 31, column 8"),
        (
            "name = \"a\"",
            "name = \"a\\u001b[2J\"",
            "lock has characters in `selection[0].package[0].name` that are not printable",
        ),
        ("signed-by", "signed_by", "lock is malformed: TOML parse error at line 17, column 1"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from:?}");
        let error = Lock::parse(&changed).unwrap_err();
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        let shown = format!("{error}{}", source.unwrap_or_default());
        assert_eq!(shown.lines().next(), Some(message), "{shown}");
    }
}

#[test]
fn names_the_file_that_it_cannot_read_or_write() {
    let path = Path::new("/nonexistent/imgbuild.lock");
    assert_eq!(Lock::load(path).unwrap_err().to_string(), "reading lock `/nonexistent/imgbuild.lock`");
    assert_eq!(lock().save(path).unwrap_err().to_string(), "writing lock `/nonexistent/imgbuild.lock`");
}
