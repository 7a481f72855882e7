//! A cluster folder to build in; lock, cache and one good build are shared by all tests.

use std::fs;
use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "runs the program under test")]
use std::process::Command;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A good build: its manifest, the lock it made, and how long it took.
pub(crate) struct Good {
    pub(crate) manifest: String,
    pub(crate) lock: String,
    pub(crate) duration: Duration,
}

pub(crate) static GOOD: LazyLock<Good> = LazyLock::new(|| {
    let place = Place::empty();
    assert_eq!(place.build(&[]), (0, String::new()));
    let lock = place.read("imgbuild.lock");
    // Once more, from the cache.
    fs::remove_dir_all(place.path("out")).unwrap();
    let started = Instant::now();
    assert_eq!(place.build(&[]), (0, String::new()));
    Good { manifest: place.read("out/manifest.json"), lock, duration: started.elapsed() }
});

/// The cache of all tests; packages stay for the next run.
pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("build-cache")
}

/// A folder with a cluster file.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    fn empty() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let place = Self { folder };
        let (code, stderr) = place.run(&["--quiet", "init", ".", "--no-identity"]);
        assert_eq!(code, 0, "{stderr}");
        place
    }

    /// One whose packages are locked, and cached.
    pub(crate) fn new() -> Self {
        let place = Self::empty();
        place.write("imgbuild.lock", &GOOD.lock);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|fault| panic!("reading {name}: {fault}"))
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Everything here but what `init` and `lock` made, sorted; folders with their contents.
    pub(crate) fn made(&self) -> Vec<String> {
        let mut names = Vec::new();
        list(self.folder.path(), "", &mut names);
        names.retain(|name| ![".gitignore", "cluster.toml", "imgbuild.lock"].contains(&name.as_str()));
        names.sort();
        names
    }

    /// Exit code and standard error of a build into `out`, without artifacts that are not given.
    pub(crate) fn build(&self, arguments: &[&str]) -> (i32, String) {
        let build = ["--quiet", "build", "cloud", "-o", "out", "--without-artifacts"];
        self.run(&[&build, arguments].concat())
    }

    /// Exit code and standard error.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(env!("CARGO_BIN_EXE_imgbuild")).args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Exit code, standard output and standard error without progress.
    pub(crate) fn ask(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = self.command(env!("CARGO_BIN_EXE_imgbuild"));
        let output = command.arg("--quiet").args(arguments).stdout(Stdio::piped()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// A program in this folder with the shared cache.
    #[expect(clippy::disallowed_types, reason = "runs the program under test")]
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("IMGBUILD_CACHE", cache())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), names);
        }
        names.push(name);
    }
}
