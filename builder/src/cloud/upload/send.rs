//! Chunks on their way: some are compressed while others are sent, and those that nobody acknowledged are sent again.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes as Packet;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::device::Device;
use super::line::Line;
use super::local::Local;
use super::pack::{Packed, Packer};
use super::plan::{Chunk, Zeros};
use super::{Event, Progress, UploadError, script};
use crate::ssh::{Command, Connection};
use crate::units::Bytes;

/// Chunks that are sent at once: one fills the line while the other one is being written there.
const AT_ONCE: usize = 2;
/// Bytes that are sent at once, as much as a packet of SSH has.
const PACKET: usize = 32 << 10;
/// Time between two reports.
const TICK: Duration = Duration::from_millis(250);
/// These commands have nothing to say.
const SILENCE: Bytes = Bytes(0);

/// Sends all chunks.
pub(super) async fn all(
    line: &mut Line<'_>,
    image: &Arc<Local>,
    disk: &Device,
    chunks: Vec<Chunk>,
    zeros: Zeros,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<(), UploadError> {
    let mut open: BTreeMap<usize, Chunk> = chunks.into_iter().enumerate().collect();
    while !open.is_empty() {
        let lost = match line.connection().await {
            Ok(connection) => over(line, &connection, image, disk, &mut open, zeros, tell).await,
            Err(error) => Err(error),
        };
        if let Err(error) = lost {
            line.lose(error, tell)?;
        }
    }
    report(line, image, &open, tell);
    Ok(())
}

/// Sends what is open over one connection.
async fn over(
    line: &mut Line<'_>,
    connection: &Connection,
    image: &Arc<Local>,
    disk: &Device,
    open: &mut BTreeMap<usize, Chunk>,
    zeros: Zeros,
    tell: &mut (dyn FnMut(Event) + Send),
) -> Result<(), UploadError> {
    let operation = line.operation;
    let count = Arc::clone(&line.count);
    let sends = packed(image, open, zeros).map(|packed| {
        let count = Arc::clone(&count);
        async move {
            let (index, packed) = packed?;
            if let Some(Packed { runs, data }) = packed {
                let script = script::write(disk, &runs);
                let command = Command { what: "writing the image", script: &script, limit: SILENCE };
                let packets = packets(data).inspect(|packet| {
                    count.fetch_add(Bytes::of(packet).0, Ordering::Relaxed);
                });
                connection.feed(operation, &command, packets).await?;
            }
            Ok::<usize, UploadError>(index)
        }
    });
    let mut sends = pin!(sends.buffer_unordered(AT_ONCE));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            sent = sends.next() => match sent {
                Some(index) => {
                    open.remove(&index?);
                    line.acknowledged = line.acknowledged.saturating_add(1);
                    line.advance();
                    report(line, image, open, tell);
                }
                None => return Ok(()),
            },
            _ = ticks.tick() => report(line, image, open, tell),
        }
    }
}

/// Chunks as they become ready, by a thread that ends when nobody takes them any more.
fn packed(
    image: &Arc<Local>,
    open: &BTreeMap<usize, Chunk>,
    zeros: Zeros,
) -> impl Stream<Item = Result<(usize, Option<Packed>), UploadError>> + use<> {
    let (image, chunks) = (Arc::clone(image), open.clone());
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        let mut packer = match Packer::new() {
            Ok(packer) => packer,
            Err(error) => {
                let _ = sender.blocking_send(Err(image.fault(error)));
                return;
            }
        };
        for (index, chunk) in &chunks {
            let ready = packer.pack(&image, chunk, zeros).map(|packed| (*index, packed));
            if sender.blocking_send(ready).is_err() {
                break;
            }
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

fn packets(mut data: Packet) -> impl Stream<Item = Packet> {
    stream::iter(std::iter::from_fn(move || {
        let length = data.len().min(PACKET);
        (length > 0).then(|| data.split_to(length))
    }))
}

fn report(
    line: &Line<'_>,
    image: &Local,
    open: &BTreeMap<usize, Chunk>,
    tell: &mut (dyn FnMut(Event) + Send),
) {
    let left = open.values().fold(0, |sum: u64, chunk| sum.saturating_add(chunk.span.0));
    let done = Bytes(image.size().0.saturating_sub(left));
    tell(Event::Progress(Progress { done, sent: line.sent(), total: image.size() }));
}
