//! The command line.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::simulator::{Options, Simulator};

const USAGE: &str =
    "Hetzner simulator: answers like the Hetzner Cloud API in imgbuild's tests, and has no machines

  hetzner-simulator [--port N] [--token TEXT] [--read-only-token TEXT]
                    [--action-delay-ms N] [--requests-per-hour N]

Listens on 127.0.0.1; one line of JSON on standard output says where, and with which tokens.
";

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may listen.
            drop(writeln!(std::io::stderr(), "hetzner-simulator: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<()> {
    let Some(options) = parse(arguments)? else { return print(USAGE) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = runtime.block_on(async {
        anyhow::Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    })?;
    let simulator = Simulator::start(options).context("listening on 127.0.0.1")?;
    let line = json!({
        "simulator": "hetzner-simulator", "url": simulator.url(), "control": simulator.control_url(),
        "token": simulator.token(), "read_only_token": simulator.read_only_token(),
    });
    print(&format!("{line}\n"))?;
    runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).context("writing to standard output")
}

/// None asks for help.
fn parse(arguments: &[String]) -> anyhow::Result<Option<Options>> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        if matches!(flag.as_str(), "--help" | "-h") {
            return Ok(None);
        }
        let value = rest.next().with_context(|| format!("`{flag}` has no value"))?;
        let number = || value.parse::<u64>().with_context(|| format!("{flag}: `{value}` is no number"));
        match flag.as_str() {
            "--port" => {
                options.port = value.parse().with_context(|| format!("{flag}: `{value}` is no port"))?;
            }
            "--token" => options.token.clone_from(value),
            "--read-only-token" => options.read_only_token.clone_from(value),
            "--action-delay-ms" => options.action_delay = Duration::from_millis(number()?),
            "--requests-per-hour" => options.requests_per_hour = number()?,
            other => bail!("the simulator has no flag `{other}`"),
        }
    }
    Ok(Some(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_others_named() {
        let parse = |text: &str| parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let options = parse("--port 8080 --token a --action-delay-ms 5").unwrap().unwrap();
        assert_eq!((options.port, options.token.as_str()), (8080, "a"));
        assert_eq!(options.action_delay, Duration::from_millis(5));
        assert!(parse("--help").unwrap().is_none());
        for (text, expected) in [
            ("--port x", "--port: `x` is no port"),
            ("--port", "`--port` has no value"),
            ("--verbose 1", "the simulator has no flag `--verbose`"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
    }
}
