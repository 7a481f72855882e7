//! Runs other people's tools, which judge in tests what we wrote.

use std::ffi::OsStr;

/// What a tool said.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) accepts: bool,
    /// Both output streams.
    pub(crate) output: String,
}

/// Runs `program`, by name; a missing one is a panic that names it and the package to install.
#[expect(
    clippy::disallowed_types,
    reason = "tests have their own door: tools here have no deadline or purpose"
)]
pub(crate) fn ask(program: &str, arguments: &[&OsStr]) -> Verdict {
    // Newer ones than the host's, by tests/setup/erofs.sh, come first. Judges of file systems live
    // where the PATH of ordinary users does not lead.
    let newer = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/oracles/bin");
    let path = format!("{newer}:{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = std::process::Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .envs([("LC_ALL", "C"), ("TZ", "UTC")])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap_or_else(|source| panic!("running `{program}`, which this test needs: {source}"));
    let text = [output.stdout, output.stderr].concat();
    Verdict { accepts: output.status.success(), output: String::from_utf8_lossy(&text).into_owned() }
}

/// Runs `program` and panics with its output unless it accepts.
pub(crate) fn must_accept(program: &str, arguments: &[&OsStr]) -> String {
    let verdict = ask(program, arguments);
    assert!(verdict.accepts, "{program} {arguments:?}:\n{}", verdict.output);
    verdict.output
}
