//! The program under test, run where nothing of the host reaches it.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
#[expect(clippy::disallowed_types, reason = "runs the program under test")]
use std::process::{Child, Command};

use tempfile::TempDir;

/// A cluster file that is valid and short.
pub(super) const SMALL: &str = r#"version = 1

[cluster]
name = "lab"
endpoint = "lab.example.org"

[k3s]
version = "v1.36.4+k3s1"

[[node]]
name = "cp1"
role = "control-plane"

[[node]]
name = "edge1"
role = "edge"
"#;

/// A folder to run the program in; its own home, empty.
pub(super) struct Place {
    folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        Self { folder }
    }

    /// A place with this `cluster.toml`.
    pub(super) fn with(cluster: &str) -> Self {
        let place = Self::new();
        place.write("cluster.toml", cluster);
        place
    }

    /// The working directory.
    pub(super) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("work")
    }

    pub(super) fn home(&self) -> std::path::PathBuf {
        self.folder.path().join("home")
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Names in the working directory, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Runs the program; exit code, standard output and standard error as one text.
    pub(super) fn run(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.output(arguments, &self.path());
        let mut shown = format!("exit code {code}\n");
        for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
            if !text.is_empty() {
                shown = format!("{shown}--- {name}\n{text}");
            }
        }
        shown
    }

    /// Exit code, standard output, standard error.
    pub(super) fn output(&self, arguments: &[&str], directory: &Path) -> (i32, String, String) {
        let output = self.command(arguments, directory).output().unwrap();
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap().replace(self.folder.path().to_str().unwrap(), "[place]")
        };
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Runs the program in the working directory with further environment; exit code and standard error.
    pub(super) fn run_in(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
        let mut command = self.command(arguments, &self.path());
        let output = command.envs(environment.iter().copied()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// The same with all that it says, as [`Self::run`] has it.
    pub(super) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let mut command = self.command(arguments, &self.path());
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        format!("exit code {}\n{stdout}{stderr}", output.status.code().unwrap())
    }

    /// Starts the program with further environment; its standard error can be read.
    pub(super) fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        let mut command = self.command(arguments, &self.path());
        command
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs the program with a reader that goes away after one byte.
    pub(super) fn run_with_closed_output(&self, arguments: &[&str]) -> (i32, String) {
        let mut child = self
            .command(arguments, &self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (child.wait().unwrap().code().unwrap(), stderr)
    }

    #[expect(clippy::disallowed_types, reason = "runs the program under test")]
    fn command(&self, arguments: &[&str], directory: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imgbuild"));
        command
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .env("HOME", self.home())
            .env("TZ", "Europe/Berlin")
            .stdin(Stdio::null());
        command
    }
}
