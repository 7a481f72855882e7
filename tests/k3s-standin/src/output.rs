//! Lines on standard error, in the form of k3s' own (logrus), each marked as the stand-in's.

use std::io::Write as _;
use std::time::SystemTime;

/// Writes one line.
pub fn line(level: &str, message: &str) {
    let time = humantime::format_rfc3339_seconds(SystemTime::now());
    let text = format!("time=\"{time}\" level={level} msg={message:?} k3s=stand-in\n");
    // Nobody may listen any more.
    drop(std::io::stderr().write_all(text.as_bytes()));
}

/// What happens.
pub fn info(message: &str) {
    line("info", message);
}

/// What fails and is tried again.
pub fn error(message: &str) {
    line("error", message);
}
