//! The table, into the kernel.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::{FAMILY, TABLE, Table};
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

/// Loads a table by the program `nft`, unless it is there already.
///
/// It counts as being there if every chain still ends with its digest, so that a table, or a chain, that was flushed or is
/// another's is replaced. Who changes single rules by hand is not noticed.
pub fn load(table: &Table, nft: &Path) -> anyhow::Result<Loaded> {
    if is_there(table, nft)? {
        return Ok(Loaded::Unchanged);
    }
    replace(table, nft).map(|()| Loaded::Replaced)
}

/// Loads a table, whatever is there. One transaction: there is no moment without rules or with half of them, and if nft
/// refuses, what was there remains. Connections that exist are kept.
pub fn replace(table: &Table, nft: &Path) -> anyhow::Result<()> {
    // `delete` needs a table that is there; `destroy` is not known to nft of Debian 12.
    let transaction = format!("table {TABLE}\ndelete table {TABLE}\n{}", table.text());
    process::run(nft, &["-f", "-"], &transaction, DEADLINE).context("loading the firewall")?;
    ensure!(is_there(table, nft)?, "loading the firewall: nft reports no error, and the rules are not there");
    Ok(())
}

fn is_there(table: &Table, nft: &Path) -> anyhow::Result<bool> {
    // Not the table alone: nft fails for one that is not there, and tells that from other failures in words only. k3s'
    // tables are of the families `ip` and `ip6`, so that this is hardly more.
    let loaded = process::run(nft, &["list", "ruleset", FAMILY], "", DEADLINE);
    let loaded = loaded.context("reading the firewall that is loaded")?;
    let first = format!("table {TABLE} {{");
    // A table begins a line, and what is in it does not.
    let own = loaded.split("\n}").find(|text| text.trim_start().starts_with(&first));
    let mark = format!("comment \"{}\"", table.digest());
    Ok(own.is_some_and(|own| own.matches(&mark).count() == table.chains()))
}
