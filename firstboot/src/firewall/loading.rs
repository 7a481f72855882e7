//! The table, into the kernel.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::{TABLE, Table};
use crate::process;

/// nft takes milliseconds, on a busy machine seconds.
const DEADLINE: Duration = Duration::from_mins(1);

/// What loading came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loaded {
    /// The same rules were there.
    Unchanged,
    /// Others were there, or none, or not all.
    Replaced,
}

/// Loads `rules` by the program `nft`, unless they are there already. One transaction: there is no moment without rules
/// or with half of them, and if nft refuses, what was there remains. Connections that exist are kept.
///
/// Rules count as being there if every chain still ends with their digest, so that a table, or a chain, that was flushed
/// or is another's is replaced. Who changes single rules by hand is not noticed.
pub fn load(table: &Table, nft: &Path) -> anyhow::Result<Loaded> {
    if is_there(table, nft)? {
        return Ok(Loaded::Unchanged);
    }
    // `delete` needs a table that is there; `destroy` is not known to nft of Debian 12.
    let transaction = format!("table {TABLE}\ndelete table {TABLE}\n{}", table.text());
    process::run(nft, &["-f", "-"], &transaction, DEADLINE).context("loading the firewall")?;
    ensure!(is_there(table, nft)?, "loading the firewall: nft reports no error, and the rules are not there");
    Ok(Loaded::Replaced)
}

fn is_there(table: &Table, nft: &Path) -> anyhow::Result<bool> {
    let run = |arguments: &[&str]| {
        process::run(nft, arguments, "", DEADLINE).context("reading the firewall that is loaded")
    };
    // Asked first, for nft's error about a table that is not there is a text.
    if !run(&["list", "tables"])?.lines().any(|line| line.strip_prefix("table ") == Some(TABLE)) {
        return Ok(false);
    }
    let mark = format!("comment \"{}\"", table.digest());
    Ok(run(&["list", "table", "inet", "imgbuild"])?.matches(&mark).count() == table.chains())
}
