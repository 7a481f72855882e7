//! QEMU's monitor: JSON lines over a socket (QMP, QEMU's `docs/interop/qmp-spec`).

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

/// QEMU answers at once; more means that it hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A command that the monitor did not carry out.
#[derive(Debug, Error)]
pub enum MonitorError {
    /// The socket broke.
    #[error("talking to QEMU's monitor")]
    Talk(#[from] io::Error),
    /// QEMU says no.
    #[error("QEMU refuses `{command}`: {answer}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's answer, JSON.
        answer: Value,
    },
}

/// Gives the monitor behind `socket` one command, with its arguments as a JSON object.
pub(super) fn tell(socket: &Path, command: &'static str, arguments: &Value) -> Result<(), MonitorError> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut greeting = String::new();
    lines.read_line(&mut greeting)?;
    for (command, arguments) in [("qmp_capabilities", &json!({})), (command, arguments)] {
        let line = json!({ "execute": command, "arguments": arguments });
        stream.write_all(format!("{line}\n").as_bytes())?;
        let answer = answer(&mut lines)?;
        if answer.get("return").is_none() {
            return Err(MonitorError::Refused { command, answer });
        }
    }
    Ok(())
}

/// The next line that is no event.
fn answer(lines: &mut BufReader<UnixStream>) -> io::Result<Value> {
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let value: Value = serde_json::from_str(&line)?;
        if value.get("event").is_none() {
            return Ok(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn talk(answers: &'static [&'static str]) -> Result<(), MonitorError> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let qemu = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            writeln!(stream, "{{\"QMP\": {{}}}}").unwrap();
            for answer in answers {
                lines.read_line(&mut String::new()).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let told = tell(&socket, "system_powerdown", &json!({}));
        qemu.join().unwrap();
        told
    }

    #[test]
    fn an_event_is_no_answer() {
        talk(&["{\"return\": {}}\n", "{\"event\": \"POWERDOWN\"}\n{\"return\": {}}\n"]).unwrap();
    }

    #[test]
    fn a_refusal_is_shown() {
        let fault =
            talk(&["{\"return\": {}}\n", "{\"error\": {\"class\": \"GenericError\"}}\n"]).unwrap_err();
        let expected = "QEMU refuses `system_powerdown`: {\"error\":{\"class\":\"GenericError\"}}";
        assert_eq!(fault.to_string(), expected);
    }
}
