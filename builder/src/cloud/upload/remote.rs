//! What the machine is asked for.

use super::device::Device;
use super::line::Line;
use super::{Event, UploadError, plan, script};
use crate::hetzner::Operation;
use crate::printable;
use crate::ssh::{Command, Connection, SshError};
use crate::units::{Bytes, Sha256};

/// More than the short answers have.
const SHORT: Bytes = Bytes(4 << 10);
/// Characters of a wrong answer that are shown.
const SHOWN: usize = 200;
/// Bytes of a line that `sha256sum` prints of its standard input: digest, two spaces, dash.
const DIGEST_LINE: u64 = 68;

/// The only disk.
pub(super) async fn find(
    line: &mut Line<'_>,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<Device, UploadError> {
    let what = "looking for the disk";
    let paths = &line.rescue.paths;
    let command = Command { what, script: &paths.find(), limit: SHORT };
    let said = line.run(&command, tell).await?;
    let text = String::from_utf8_lossy(&said);
    let (mut missing, mut disks) = (Vec::new(), Vec::new());
    for fact in text.lines() {
        match fact.split(' ').collect::<Vec<_>>()[..] {
            ["missing", name] if script::PROGRAMS.contains(&name) => missing.push(name.to_owned()),
            ["disk", path, size] => {
                disks.push(Device::parse(path, size, &paths.devices).ok_or_else(|| answer(what, &said))?);
            }
            _ => return Err(answer(what, &said)),
        }
    }
    if !missing.is_empty() {
        return Err(UploadError::Programs { names: missing });
    }
    // What has no medium is no disk.
    disks.retain(|disk| disk.size() > Bytes(0));
    match disks.len() {
        0 | 1 => disks.pop().ok_or(UploadError::NoDisk),
        _ => Err(UploadError::Disks { names: disks.iter().map(ToString::to_string).collect() }),
    }
}

/// What became of a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Discarded {
    /// It is as if it were new.
    All,
    /// It cannot be discarded.
    Nothing {
        /// What the machine says.
        complaint: String,
    },
}

/// Discards a disk, where it can be.
pub(super) async fn discard(
    line: &mut Line<'_>,
    disk: &Device,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<Discarded, UploadError> {
    let command = Command { what: "discarding the disk", script: &script::discard(disk), limit: SHORT };
    match line.run(&command, tell).await {
        Ok(_) => Ok(Discarded::All),
        Err(UploadError::Ssh(SshError::Failed { complaint, .. })) => Ok(Discarded::Nothing { complaint }),
        Err(error) => Err(error),
    }
}

/// Digest of the first bytes of a disk.
pub(super) async fn digest(
    line: &mut Line<'_>,
    disk: &Device,
    size: Bytes,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<Sha256, UploadError> {
    let what = "reading the disk back";
    let command = Command { what, script: &script::digest(disk, size), limit: SHORT };
    let said = line.run(&command, tell).await?;
    match parse(&said).ok_or_else(|| answer(what, &said))?[..] {
        [digest] => Ok(digest),
        _ => Err(answer(what, &said)),
    }
}

/// Digests of its parts.
pub(super) async fn digests(
    line: &mut Line<'_>,
    disk: &Device,
    size: Bytes,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<Vec<Sha256>, UploadError> {
    let what = "reading parts of the disk back";
    let parts = size.0.div_ceil(plan::RANGE);
    let command = Command {
        what,
        script: &script::digests(disk, size, Bytes(plan::RANGE)),
        limit: Bytes(parts.saturating_mul(DIGEST_LINE)),
    };
    let said = line.run(&command, tell).await?;
    let is_whole = |digests: &Vec<_>| u64::try_from(digests.len()) == Ok(parts);
    parse(&said).filter(is_whole).ok_or_else(|| answer(what, &said))
}

/// Switches the machine off, which does not come back from it.
pub(super) async fn power_off(operation: &Operation, connection: &Connection) -> Result<(), UploadError> {
    let command = Command { what: "switching off", script: script::POWER_OFF, limit: SHORT };
    connection.run(operation, &command).await?;
    Ok(())
}

/// The lines of `sha256sum`.
fn parse(said: &[u8]) -> Option<Vec<Sha256>> {
    let text = std::str::from_utf8(said).ok()?;
    text.lines().map(|line| line.strip_suffix("  -")?.parse().ok()).collect()
}

fn answer(what: &'static str, said: &[u8]) -> UploadError {
    let text = String::from_utf8_lossy(said);
    let answer = printable::text(text.trim()).chars().take(SHOWN).collect();
    UploadError::Answer { what, answer }
}
