//! QEMU's monitor (QMP, QEMU's `docs/interop/qmp-spec`), held for as long as the machine runs: commands one way, and the
//! other way the news of how the machine ends.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thiserror::Error;

/// QEMU answers at once, and makes its socket when it starts; more means that it hangs.
const DEADLINE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// A command that was not carried out.
#[derive(Debug, Error)]
pub(crate) enum MonitorError {
    /// The socket broke.
    #[error("talking to QEMU's monitor")]
    Talk(#[from] io::Error),
    /// QEMU has ended, or hangs.
    #[error("QEMU does not answer `{command}`")]
    Silent {
        /// The command.
        command: &'static str,
    },
    /// QEMU says no.
    #[error("QEMU refuses `{command}`: {answer}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's answer, JSON.
        answer: Value,
    },
}

/// How a machine has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Its system has switched it off.
    Off,
    /// Its system has restarted, where QEMU ends by that.
    Restart,
    /// QEMU was ended, or has failed.
    Lost,
}

/// A connection to a monitor.
#[derive(Debug)]
pub(crate) struct Monitor {
    stream: UnixStream,
    answers: Receiver<Value>,
}

impl Monitor {
    /// Connects to the socket of a QEMU that was just started; `ended` is called once, when that has ended.
    pub(crate) fn connect(
        socket: &Path,
        ended: impl FnOnce(End) + Send + 'static,
    ) -> Result<Self, MonitorError> {
        let started = Instant::now();
        let stream = loop {
            match UnixStream::connect(socket) {
                Err(_) if started.elapsed() < DEADLINE => thread::sleep(POLL),
                other => break other?,
            }
        };
        let lines = BufReader::new(stream.try_clone()?);
        let (sender, answers) = channel();
        thread::Builder::new().name("monitor".to_owned()).spawn(move || ended(listen(lines, &sender)))?;
        let monitor = Self { stream, answers };
        monitor.tell("qmp_capabilities")?;
        Ok(monitor)
    }

    /// Gives one command.
    pub(crate) fn tell(&self, command: &'static str) -> Result<(), MonitorError> {
        let line = json!({ "execute": command });
        (&self.stream).write_all(format!("{line}\n").as_bytes())?;
        match self.answers.recv_timeout(DEADLINE) {
            Ok(answer) if answer.get("return").is_some() => Ok(()),
            Ok(answer) => Err(MonitorError::Refused { command, answer }),
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {
                Err(MonitorError::Silent { command })
            }
        }
    }
}

/// Hands answers on until QEMU has ended.
fn listen(lines: BufReader<UnixStream>, answers: &Sender<Value>) -> End {
    let mut end = End::Lost;
    for line in lines.lines() {
        let Some(value) = line.ok().and_then(|line| serde_json::from_str::<Value>(&line).ok()) else { break };
        if value.get("QMP").is_some() {
            continue;
        }
        match value["event"].as_str() {
            None => {
                // Nobody waits for an answer that came too late.
                let _ = answers.send(value);
            }
            Some("SHUTDOWN") => {
                end = match value["data"]["reason"].as_str() {
                    Some("guest-shutdown") => End::Off,
                    Some("guest-reset") => End::Restart,
                    _ => End::Lost,
                };
            }
            Some(_) => {}
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A monitor that says these lines, one after each that it is told.
    fn said(lines: &'static [&'static str]) -> (Result<(), String>, End) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let qemu = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut told = BufReader::new(stream.try_clone().unwrap());
            writeln!(stream, "{{\"QMP\": {{}}}}").unwrap();
            for line in lines {
                told.read_line(&mut String::new()).unwrap();
                writeln!(stream, "{line}").unwrap();
            }
        });
        let (sender, end) = channel();
        let monitor = Monitor::connect(&socket, move |end| sender.send(end).unwrap()).unwrap();
        let told = monitor.tell("system_powerdown").map_err(|error| error.to_string());
        qemu.join().unwrap();
        (told, end.recv().unwrap())
    }

    #[test]
    fn news_are_no_answers() {
        const NEWS: &str = "{\"event\": \"POWERDOWN\"}\n{\"return\": {}}";
        assert_eq!(said(&["{\"return\": {}}", NEWS]), (Ok(()), End::Lost));
    }

    #[test]
    fn a_machine_tells_how_it_ended() {
        const OFF: &str = "{\"return\": {}}\n{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}";
        const RESTART: &str = "{\"return\": {}}\n{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}";
        assert_eq!(said(&["{\"return\": {}}", OFF]), (Ok(()), End::Off));
        assert_eq!(said(&["{\"return\": {}}", RESTART]), (Ok(()), End::Restart));
    }

    #[test]
    fn a_refusal_is_shown() {
        let expected = "QEMU refuses `system_powerdown`: {\"error\":{\"class\":\"GenericError\"}}".to_owned();
        let (told, _) = said(&["{\"return\": {}}", "{\"error\": {\"class\": \"GenericError\"}}"]);
        assert_eq!(told, Err(expected));
    }
}
