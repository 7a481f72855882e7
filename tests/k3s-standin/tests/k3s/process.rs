//! Servers and agents as processes, and kubectl, which is not ours.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
#[expect(clippy::disallowed_types, reason = "the tests are about programs")]
use std::process::Command;
use std::process::{Child, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// For anything to happen on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A program that runs until this is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(arguments: &[String], environment: &[(&str, &str)], log: PathBuf) -> Self {
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        #[expect(clippy::disallowed_types, reason = "the tests are about programs")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3s-standin"));
        command.args(arguments).envs(environment.iter().copied()).env_remove("NOTIFY_SOCKET");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    /// What it has logged so far, and in earlier runs.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// As a power cut does it.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A server's folder, and the port it has.
pub(crate) struct Server {
    pub(crate) root: PathBuf,
    pub(crate) process: Process,
}

impl Server {
    /// Starts one in `root`, on a port that is free.
    pub(crate) fn start(root: &Path, flags: &[&str]) -> Self {
        Self::start_in(root, flags, &[])
    }

    /// The same, in an environment.
    pub(crate) fn start_in(root: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        fs::create_dir_all(root).unwrap();
        let kubeconfig = root.join("etc/rancher/k3s/k3s.yaml");
        drop(fs::remove_file(&kubeconfig));
        let mut arguments = vec!["server".to_owned(), format!("--root={}", root.display())];
        if !flags.iter().any(|flag| flag.starts_with("--https-listen-port")) {
            arguments.push("--https-listen-port=0".to_owned());
        }
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let process = Process::start(&arguments, environment, root.join("server.log"));
        let server = Self { root: root.to_owned(), process };
        wait_for("the kubeconfig", || kubeconfig.exists(), || server.process.log());
        server
    }

    /// Waits until the API answers.
    pub(crate) fn ready(self) -> Self {
        let is_ready = || self.kubectl(&["get", "--raw", "/readyz"]).status.success();
        wait_for("the API", is_ready, || self.process.log());
        self
    }

    /// `127.0.0.1:port`
    pub(crate) fn url(&self) -> String {
        let text = fs::read_to_string(self.root.join("etc/rancher/k3s/k3s.yaml")).unwrap();
        let line = text.lines().find(|line| line.trim().starts_with("server: ")).unwrap();
        line.trim().trim_start_matches("server: ").to_owned()
    }

    /// Its token, in full.
    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.data().join("server/token")).unwrap().trim().to_owned()
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("var/lib/rancher/k3s")
    }

    /// Runs kubectl with the admin's kubeconfig.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_with(arguments, "")
    }

    /// The same, with a text on its standard input.
    pub(crate) fn kubectl_with(&self, arguments: &[&str], input: &str) -> Output {
        self.ask(&self.root.join("etc/rancher/k3s/k3s.yaml"), arguments, input)
    }

    /// kubectl by another kubeconfig than the server's own.
    pub(crate) fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Output {
        self.ask(kubeconfig, arguments, "")
    }

    fn ask(&self, kubeconfig: &Path, arguments: &[&str], input: &str) -> Output {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kubectl/bin/kubectl");
        assert!(program.exists(), "`tests/setup/kubectl.sh` unpacks kubectl, which is missing");
        #[expect(clippy::disallowed_types, reason = "the tests are about programs")]
        let mut command = Command::new(program);
        command.env("KUBECONFIG", kubeconfig).env("HOME", &self.root);
        command.arg("--request-timeout=30s").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// kubectl's output; it must succeed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.run_with(arguments, "")
    }

    /// The same, with a text on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl_with(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {error}\n{}", self.process.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// What kubectl says when it fails, which it must.
    pub(crate) fn refused(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl_with(arguments, input);
        assert!(
            !output.status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8(output.stderr).unwrap().trim().to_owned()
    }

    /// Starts an agent of this server in `root`.
    pub(crate) fn agent(&self, root: &Path, name: &str, token: &str, flags: &[&str]) -> Process {
        self.agent_in(root, name, token, flags, &[])
    }

    /// The same, in an environment.
    pub(crate) fn agent_in(
        &self,
        root: &Path,
        name: &str,
        token: &str,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Process {
        fs::create_dir_all(root).unwrap();
        let mut arguments = vec![
            "agent".to_owned(),
            format!("--root={}", root.display()),
            format!("--server={}", self.url()),
            format!("--token={token}"),
            format!("--node-name={name}"),
            "--lb-server-port=0".to_owned(),
            "--kubelet-arg=node-status-update-frequency=1s".to_owned(),
        ];
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Process::start(&arguments, environment, root.join("agent.log"))
    }

    /// Waits until a node's Ready condition is `status`.
    pub(crate) fn wait_for_node(&self, name: &str, status: &str, agent: &Process) {
        let path = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}";
        let is = || {
            let output = self.kubectl(&["get", "node", name, path]);
            String::from_utf8_lossy(&output.stdout) == status
        };
        wait_for(&format!("{name} {status}"), is, || format!("{}\n{}", agent.log(), self.process.log()));
    }
}

/// Waits until something is.
pub(crate) fn wait_until(mut is: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < PATIENCE, "it has not come within {PATIENCE:?}");
        sleep(Duration::from_millis(100));
    }
}

/// Waits until something is, or says what there was instead.
pub(crate) fn wait_for(what: &str, is: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}:\n{}", otherwise());
        sleep(Duration::from_millis(100));
    }
}
