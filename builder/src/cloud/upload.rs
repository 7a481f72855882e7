//! A disk image onto the disk of a server that runs a rescue system, over SSH.
//!
//! ```text
//! image -> chunks -> zstd -> SSH -> zstd -> dd -> disk -> sha256sum
//!        without zeros                                 = the image's?
//! ```
//!
//! - The host is trusted first, and `shadow.rs` says why; only then anything is sent.
//! - The disk is found and discarded. What a discarded disk has lost reads as zeros nearly everywhere, so zeros are not
//!   sent; where that is not so, the comparison at the end tells, and they are.
//! - Blocks with anything in them are cut into chunks, each compressed as a stream of its own while others are on their
//!   way, and each acknowledged by the end of the command that has written it. A connection that is lost is made anew,
//!   and only chunks that nobody has acknowledged are sent again. Writing one twice does no harm, not even at once.
//! - What the disk then holds is read back from it, past every cache. Where it differs from the image, that part is
//!   written once more, zeros and all.
//!
//! What is sent as commands is fixed text with numbers and the path of the disk, which has been checked
//! (`script.rs`).

use std::path::Path;
use std::sync::Arc;

pub use self::error::{ShadowError, UploadError};
pub use self::event::{Event, Progress};
pub use self::rescue::{Rescue, Trust};

use self::line::Line;
use self::local::Local;
use self::plan::Zeros;
use self::remote::Discarded;
use crate::hetzner::Operation;
use crate::units::{Bytes, Sha256};

mod device;
mod error;
mod event;
mod line;
mod local;
mod pack;
mod plan;
mod remote;
mod rescue;
mod script;
mod send;
mod shadow;
#[cfg(test)]
mod tests;

/// What lies on the disk now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    /// Size of the image.
    pub image: Bytes,
    /// Bytes that were given to connections for it, compressed; what was sent twice counts twice.
    pub sent: Bytes,
    /// Chunks that were acknowledged.
    pub chunks: usize,
    /// Digest of the image, and of as much of the disk.
    pub sha256: Sha256,
}

/// Writes the disk image `image` to the only disk of a machine, and makes sure that it is there. What the disk held
/// before is lost, and what follows the image on it is undefined.
pub async fn write(
    operation: &Operation,
    rescue: &Rescue,
    image: &Path,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<Written, UploadError> {
    operation.run(Box::pin(write_and_compare(operation, rescue, image, tell))).await?
}

/// Shuts the machine down. That it is off is for the provider to say.
pub async fn shut_down(operation: &Operation, rescue: &Rescue) -> Result<(), UploadError> {
    let connection = rescue.connect(operation).await?;
    match remote::power_off(operation, &connection).await {
        // It takes its connections with it.
        Err(error) if error.is_lost() => Ok(()),
        done => done,
    }
}

async fn write_and_compare(
    operation: &Operation,
    rescue: &Rescue,
    image: &Path,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<Written, UploadError> {
    let image = Arc::new(Local::open(image)?);
    let mut line = Line::new(operation, rescue);
    let disk = remote::find(&mut line, tell).await?;
    if disk.size() < image.size() {
        return Err(UploadError::TooSmall { disk: disk.to_string(), size: disk.size(), image: image.size() });
    }
    let digest = image.digest();
    let zeros = match remote::discard(&mut line, &disk, tell).await? {
        Discarded::All => Zeros::Skipped,
        Discarded::Nothing { complaint } => {
            tell(Event::NotDiscarded { complaint });
            Zeros::Written
        }
    };
    let chunks = plan::chunks(&image.blocks(zeros)?, image.size(), rescue.chunk_blocks);
    send::all(&mut line, &image, &disk, chunks, zeros, tell).await?;
    let digest = digest.await?;
    if remote::digest(&mut line, &disk, image.size(), tell).await? != digest {
        repair(&mut line, &image, &disk, digest, tell).await?;
    }
    Ok(Written { image: image.size(), sent: line.sent(), chunks: line.acknowledged, sha256: digest })
}

/// Writes once more what is not on the disk as it is in the image.
async fn repair(
    line: &mut Line<'_>,
    image: &Arc<Local>,
    disk: &device::Device,
    digest: Sha256,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<(), UploadError> {
    let there = remote::digests(line, disk, image.size(), tell).await?;
    let here = image.digests(plan::RANGE).await?;
    let wrong: Vec<_> =
        (0_u64..).zip(here.iter().zip(&there)).filter(|(_, (here, there))| here != there).collect();
    tell(Event::Differs { ranges: wrong.len() });
    let blocks: Vec<_> = wrong.iter().map(|(index, _)| plan::range_blocks(*index, image.size())).collect();
    let chunks = plan::chunks(&blocks, image.size(), line.rescue.chunk_blocks);
    send::all(line, image, disk, chunks, Zeros::Written, tell).await?;
    if remote::digest(line, disk, image.size(), tell).await? == digest {
        return Ok(());
    }
    Err(UploadError::Differs { disk: disk.to_string(), ranges: wrong.len(), all: here.len() })
}
