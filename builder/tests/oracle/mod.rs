//! Runs the programs that judge what we wrote.

use std::ffi::OsStr;
use std::path::Path;

/// Runs a program to its end and returns its standard output; it must succeed.
pub(crate) fn run(program: &str, arguments: &[&OsStr], environment: &[(&str, &OsStr)]) -> String {
    run_in(Path::new("."), program, arguments, environment)
}

/// As [`run`], in a folder.
pub(crate) fn run_in(
    folder: &Path,
    program: &str,
    arguments: &[&OsStr],
    environment: &[(&str, &OsStr)],
) -> String {
    #[expect(clippy::disallowed_types, reason = "oracles are programs of the host, not of imgbuild")]
    let mut command = std::process::Command::new(program);
    command.args(arguments).envs(environment.iter().copied()).env("LC_ALL", "C").current_dir(folder);
    let output =
        command.output().unwrap_or_else(|fault| panic!("the oracle `{program}` does not start: {fault}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{text}\n{errors}", output.status);
    text
}
