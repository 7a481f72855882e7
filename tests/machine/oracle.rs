//! Programs of the host that judge what we wrote.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use imgbuild::process::{Program, find};

/// The longest that one takes: reading a whole disk image.
pub const DEADLINE: Duration = Duration::from_mins(3);
/// Where Debian keeps programs that are not on every user's PATH.
const ADMINISTRATION: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Runs an oracle; it must end well. Returns its standard output.
pub fn run<A: Into<OsString>>(name: &str, arguments: impl IntoIterator<Item = A>) -> anyhow::Result<String> {
    Ok(program(name)?.arguments(arguments).output(DEADLINE)?)
}

/// Runs an oracle that ends well even where it complains; returns the last of what it said on either output.
pub fn words<A: Into<OsString>>(
    name: &str,
    arguments: impl IntoIterator<Item = A>,
) -> anyhow::Result<String> {
    let mut running = program(name)?.arguments(arguments).start()?;
    let status = running.wait(DEADLINE)?;
    if !status.success() {
        return Err(running.ended_badly(status).into());
    }
    running.output_tail().with_context(|| format!("reading what `{name}` said"))
}

/// The fs-verity digest of a file, in hexadecimal.
pub fn fs_verity(path: &Path) -> anyhow::Result<String> {
    let words = run("fsverity", ["digest".as_ref(), path.as_os_str()])?;
    let digest = words.strip_prefix("sha256:").and_then(|rest| rest.split(' ').next());
    digest.map(str::to_owned).with_context(|| format!("`fsverity` says `{words}`"))
}

/// A program of the host, also where it is not on PATH.
pub fn program(name: &str) -> anyhow::Result<Program> {
    let elsewhere = || {
        let mut places = ADMINISTRATION.iter().map(|folder| Path::new(folder).join(name));
        places.find(|path| path.is_file())
    };
    let path = find(name).or_else(elsewhere);
    let path =
        path.with_context(|| format!("`{name}` is not installed; `tests/setup/install.sh test` does"))?;
    Ok(Program::new("asking an oracle", path))
}
