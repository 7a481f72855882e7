//! The command line.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::simulator::{Options, Simulator};

/// Hetzner simulator: answers like the Hetzner Cloud API in imgbuild's tests, and has no machines
///
/// Listens on 127.0.0.1; one line of JSON on standard output says where, and with which tokens.
#[derive(Debug, Parser)]
#[command(name = "hetzner-simulator")]
struct Arguments {
    /// Port to listen on; without it, one that is free
    #[arg(long, default_value_t)]
    port: u16,
    /// Token that may do everything
    #[arg(long)]
    token: Option<String>,
    /// Token that may look only
    #[arg(long)]
    read_only_token: Option<String>,
    /// How long each action takes, in milliseconds
    #[arg(long, value_name = "N")]
    action_delay_ms: Option<u64>,
    /// The budget of requests
    #[arg(long, value_name = "N")]
    requests_per_hour: Option<u64>,
}

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may listen.
            drop(writeln!(std::io::stderr(), "hetzner-simulator: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

impl From<Arguments> for Options {
    fn from(given: Arguments) -> Self {
        let default = Self::default();
        Self {
            port: given.port,
            token: given.token.unwrap_or(default.token),
            read_only_token: given.read_only_token.unwrap_or(default.read_only_token),
            action_delay: given.action_delay_ms.map_or(default.action_delay, Duration::from_millis),
            requests_per_hour: given.requests_per_hour.unwrap_or(default.requests_per_hour),
            ..default
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = runtime.block_on(async {
        anyhow::Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    })?;
    let simulator = Simulator::start(arguments.into()).context("listening on 127.0.0.1")?;
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

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn flags_are_read_and_others_refused() {
        let parse = |text: &str| Arguments::try_parse_from(format!("simulator {text}").split_whitespace());
        let options = Options::from(parse("--port 8080 --token a --action-delay-ms 5").unwrap());
        assert_eq!((options.port, options.token.as_str()), (8080, "a"));
        assert_eq!(options.action_delay, Duration::from_millis(5));
        assert_eq!(options.requests_per_hour, Options::default().requests_per_hour);
        for (text, expected) in [
            ("--port x", ErrorKind::ValueValidation),
            ("--port", ErrorKind::InvalidValue),
            ("--verbose 1", ErrorKind::UnknownArgument),
        ] {
            assert_eq!(parse(text).unwrap_err().kind(), expected, "{text}");
        }
    }
}
