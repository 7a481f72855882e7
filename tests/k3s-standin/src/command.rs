//! The command line: k3s' own, and `pack`.

use std::collections::BTreeMap;
use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::agent::Agent;
use crate::api::discovery::VERSION;
use crate::options::{Mode, Options};
use crate::{notify, output, pack, server};

const USAGE: &str = "k3s stand-in: answers like k3s in imgbuild's tests, and runs no containers

  k3s server [flags]      a control plane, with a node unless --disable-agent
  k3s agent [flags]       a node
  k3s --version
  k3s-standin pack [--program FILE] OUTPUT
                          wraps the program as k3s' releases are wrapped

Flags and configuration files are those of k3s; --root DIR goes before every path.
";

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let mut arguments: Vec<String> =
        env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let program = if arguments.is_empty() { String::new() } else { arguments.remove(0) };
    match run(&program, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::line("fatal", &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(program: &str, mut arguments: Vec<String>) -> anyhow::Result<()> {
    // `k3s-server` and `k3s-agent` are links, which the wrapper starts with the arguments as they were.
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(mode) = name.strip_prefix("k3s-").filter(|mode| matches!(*mode, "server" | "agent"))
        && arguments.first().map(String::as_str) != Some(mode)
    {
        arguments.insert(0, mode.to_owned());
    }
    let print =
        |text: &str| std::io::stdout().write_all(text.as_bytes()).context("writing to standard output");
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => return print(USAGE),
    };
    let mode = match command {
        "server" => Mode::Server,
        "agent" => Mode::Agent,
        "pack" => return pack(rest),
        "--version" | "-v" => return print(&format!("k3s version {VERSION} (stand-in)\n")),
        "--help" | "-h" | "help" => return print(USAGE),
        other => bail!("No help topic for '{other}': the k3s stand-in knows server, agent and pack"),
    };
    let environment: BTreeMap<String, String> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let options = Options::read(mode, rest, &environment)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let work = async {
            match mode {
                Mode::Server => server::run(options).await,
                Mode::Agent => Agent::new(options)?.run().await,
            }
        };
        tokio::select! {
            ended = work => ended,
            _ = terminate.recv() => stop(),
            _ = interrupt.recv() => stop(),
        }
    })
}

/// As k3s does: the node stays, and falls silent.
#[expect(clippy::unnecessary_wraps, reason = "one of the ways in which the work ends")]
fn stop() -> anyhow::Result<()> {
    output::info("Shutdown request received");
    notify::notify("STOPPING=1");
    Ok(())
}

fn pack(arguments: &[String]) -> anyhow::Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--program", program, output] => pack::write(Some(&PathBuf::from(program)), Path::new(output)),
        [output] if !output.starts_with('-') => pack::write(None, Path::new(output)),
        _ => bail!("usage: k3s-standin pack [--program FILE] OUTPUT"),
    }
}
