//! A box that was a node by a person's word alone, and that its cluster has let go of: it forgets which node it was, and
//! asks for another word.
//!
//! The record goes, and by that one step the box has no name at its next start. What else it has kept of the node is
//! worth nothing to anybody until then, and goes before the next record comes ([`super::grant::forget`]).
//!
//! The machine as a whole starts again. k3s could be stopped; its pods, which outlive it, the bridge between them, the
//! tunnels, the host name and the settings of network and firewall are the old node's as well, and a start makes or
//! leaves out all of them by itself.

use std::convert::Infallible;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use super::Facts;
use super::reporter::Reporter;
use crate::claim::message::Cause;
use crate::converge::System;
use crate::source;
use crate::status::Phase;
use crate::systemd;

/// This box is no node any more, from its next start on.
#[derive(Debug)]
pub(super) struct Released;

/// Whether there is nothing to be had for this node any more, and nothing on the medium that says which node this is.
pub(super) const fn is_due(cause: Cause, facts: &Facts) -> bool {
    facts.is_approved && is_lost(cause)
}

/// Whether the name has gone, to nobody or to another box: an approval of a later generation is needed.
pub(super) const fn is_lost(cause: Cause) -> bool {
    matches!(cause, Cause::Revoked | Cause::Superseded | Cause::Forgotten)
}

/// Forgets which node this box was.
pub(super) fn let_go(
    reason: &str,
    facts: &Facts,
    system: &System,
    reporter: &mut Reporter<'_>,
) -> anyhow::Result<Released> {
    let node = &facts.record.node.name;
    let reason = format!("the cluster says no: {reason}; this box is `{node}` no more, and starts again");
    let hint = "it shows a new code then, by which it can be approved anew";
    reporter.phase(Phase::Stopped, &reason, Some(hint))?;
    system.ensure_absent(source::APPROVED)?;
    Ok(Released)
}

/// Starts the machine again. Where that fails, this program does, and comes here once more.
pub(super) fn start_again() -> anyhow::Result<Infallible> {
    systemd::restart().context("starting the machine again")?;
    loop {
        // systemd ends this program, when its turn comes.
        thread::sleep(Duration::from_mins(1));
    }
}
