//! Trixie's packages for oracles: fetched by the host's apt into a private folder and unpacked there.
//!
//! The mirror is `IMGBUILD_MIRROR`, or else the first Debian mirror in the host's apt sources. apt
//! checks signatures and hashes; nothing of the host's own package state is read or changed.

use std::fs;
use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "oracles are programs of the host, not of imgbuild")]
use std::process::Command;

/// Trixie's packages, unpacked below the test folder and kept there between runs.
pub(crate) struct Trixie {
    folder: PathBuf,
}

impl Trixie {
    /// A folder of the name of the test, so that tests may run side by side.
    pub(crate) fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        for part in ["lists/partial", "cache/archives/partial", "unpacked"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        fs::write(folder.join("status"), "").unwrap();
        let source = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
        fs::write(folder.join("sources.list"), format!("{source} {} trixie main\n", mirror())).unwrap();
        let at = folder.display();
        let settings = format!(
            r#"Dir::State "{at}"; Dir::State::lists "{at}/lists"; Dir::State::status "{at}/status";
            Dir::Cache "{at}/cache"; Dir::Etc::sourcelist "{at}/sources.list"; Dir::Etc::sourceparts "/dev/null";
            Dir::Etc::preferencesparts "/dev/null"; Acquire::Languages "none";
            Acquire::Retries "3"; APT::Sandbox::User "";"#
        );
        fs::write(folder.join("apt.conf"), settings).unwrap();
        Self { folder }
    }

    /// The unpacked contents of `package`, downloaded if this was not done before.
    pub(crate) fn unpacked(&self, package: &str) -> PathBuf {
        let unpacked = self.folder.join("unpacked").join(package);
        if unpacked.exists() {
            return unpacked;
        }
        self.update();
        let download = tempfile::tempdir_in(&self.folder).unwrap();
        self.apt_in(download.path(), &["download", package]);
        let archive = fs::read_dir(download.path()).unwrap().next().unwrap().unwrap().path();
        let partial = download.path().join("contents");
        run("dpkg-deb", &["-x".as_ref(), archive.as_ref(), partial.as_ref()], &[]);
        fs::rename(partial, &unpacked).unwrap();
        unpacked
    }

    /// The one package that `package` depends on and whose name starts with `prefix`.
    pub(crate) fn dependency(&self, package: &str, prefix: &str) -> String {
        self.update();
        let folder = self.folder.join("apt.conf");
        let output =
            run("apt-cache", &["depends".as_ref(), package.as_ref()], &[("APT_CONFIG", folder.as_ref())]);
        let names = output.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        names.into_iter().find(|name| name.starts_with(prefix)).unwrap().to_owned()
    }

    /// Fetches the indices, once per test folder.
    fn update(&self) {
        let updated = self.folder.join("updated");
        if !updated.exists() {
            self.apt_in(&self.folder, &["update"]);
            fs::write(updated, "").unwrap();
        }
    }

    fn apt_in(&self, folder: &Path, arguments: &[&str]) {
        let settings = self.folder.join("apt.conf");
        #[expect(clippy::disallowed_types, reason = "an oracle's preparation")]
        let output = Command::new("apt-get")
            .arg("-q")
            .args(arguments)
            .current_dir(folder)
            .env("APT_CONFIG", settings)
            .output()
            .expect("apt-get runs");
        assert!(output.status.success(), "apt-get: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Runs a program to its end and returns its standard output; it must succeed.
pub(crate) fn run(
    program: &str,
    arguments: &[&std::ffi::OsStr],
    environment: &[(&str, &std::ffi::OsStr)],
) -> String {
    #[expect(clippy::disallowed_types, reason = "oracles are programs of the host, not of imgbuild")]
    let output = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|fault| panic!("the oracle `{program}` does not start: {fault}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{text}\n{errors}", output.status);
    text
}

/// `IMGBUILD_MIRROR` or the first mirror of Debian itself that apt knows.
fn mirror() -> String {
    if let Ok(mirror) = std::env::var("IMGBUILD_MIRROR") {
        return mirror;
    }
    let mut sources = vec![PathBuf::from("/etc/apt/sources.list")];
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    sources.extend(parts.map(|part| part.path()));
    sources.sort();
    let texts = sources.iter().filter_map(|path| fs::read_to_string(path).ok()).collect::<Vec<_>>();
    let lines = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"));
    let mut words = lines.flat_map(str::split_whitespace);
    let is_mirror = |word: &&str| word.contains("://") && word.trim_end_matches('/').ends_with("/debian");
    words.find(is_mirror).expect("apt has a mirror of Debian").to_owned()
}
