//! What it takes to send a disk: one zstd stream over the whole of it, as a release is compressed, and its parts.
//!
//! The parts add up to the stream. Those of the disk are what the stream grows by while they are written to it, so that
//! a part which repeats an earlier one costs next to nothing; those of the UKI come from compressing it alone.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context as _, ensure};
use imgbuild::bundle::manifest::{self, Manifest, Partition};
use imgbuild::bundle::seal;
use imgbuild::medium::folder;
use imgbuild::units::Bytes;
use rustix::fs::SeekFrom as Place;
use zstd::Encoder;

/// `zstd -19`.
const LEVEL: i32 = 19;
/// `--long=27`: who decompresses needs 128 MiB.
const WINDOW: u32 = 27;

/// What lies between partitions, in their tables' sectors.
const TABLE: &str = "table";
const HOLES: &str = "holes";

/// A compressed disk.
#[derive(Debug)]
pub(crate) struct Transport {
    /// Size of the stream.
    pub(crate) total: Bytes,
    /// Its parts; they add up to it.
    pub(crate) parts: Vec<(&'static str, Bytes)>,
}

/// A part of a disk, in bytes.
#[derive(Debug, PartialEq)]
struct Section {
    label: String,
    length: u64,
}

/// Compresses the disk of a build.
pub(crate) fn measure(built: &Path, manifest: &Manifest) -> anyhow::Result<Transport> {
    let path = built.join(manifest::DISK);
    let opening = || format!("reading `{}`", path.display());
    let mut disk = File::open(&path).with_context(opening)?;
    let size = disk.metadata().with_context(opening)?.len();
    let sections = sections(&disk, size, &partitions(manifest)?).with_context(opening)?;
    let costs =
        compress(&mut disk, size, &sections).with_context(|| format!("compressing `{}`", path.display()))?;

    let path = built.join(seal::UKI);
    let mut uki = File::open(&path).with_context(|| format!("reading `{}`", path.display()))?;
    let length = uki.metadata().with_context(|| format!("reading `{}`", path.display()))?.len();
    let whole = [Section { label: "uki".to_owned(), length }];
    let uki =
        compress(&mut uki, length, &whole).with_context(|| format!("compressing `{}`", path.display()))?;
    let cost = |costs: &[(String, u64)], wanted: &[&str]| -> u64 {
        costs.iter().filter(|(label, _)| wanted.contains(&label.as_str())).map(|(_, cost)| cost).sum()
    };
    let total = costs.iter().map(|(_, cost)| cost).sum();
    // Compressed at level 18 when it was made: nothing more comes out of it.
    let (uki, initrd) = (cost(&uki, &["uki"]), manifest.initrd_size.0);
    let esp = cost(&costs, &["esp", "bios-boot"]);
    let parts = [
        ("root file system", Some(cost(&costs, &["root-a"]))),
        ("hash tree", Some(cost(&costs, &["root-a-verity"]))),
        ("kernel and stub", uki.checked_sub(initrd)),
        ("initrd", Some(initrd)),
        ("boot programs, copies for BIOS, FAT", esp.checked_sub(uki)),
        ("holes and tables", Some(cost(&costs, &[TABLE, HOLES]))),
    ];
    let parts = parts.map(|(name, cost)| {
        Ok((name, Bytes(cost.with_context(|| format!("`{name}` is smaller than what is in it"))?)))
    });
    let parts: Vec<_> = parts.into_iter().collect::<anyhow::Result<_>>()?;
    let sum: u64 = parts.iter().map(|(_, cost)| cost.0).sum();
    ensure!(sum == total, "the parts have {sum} bytes, the stream {total}");
    Ok(Transport { total: Bytes(total), parts })
}

/// Labels and ranges, in disk order.
fn partitions(manifest: &Manifest) -> anyhow::Result<Vec<(String, u64, u64)>> {
    let range = |partition: &Partition| {
        let start = folder::start(partition, manifest.sector_size);
        Some((partition.label.clone(), start, start.checked_add(partition.size.0)?))
    };
    let ranges = manifest.partitions.iter().map(range);
    ranges.collect::<Option<_>>().context("the manifest has partitions behind the end of any disk")
}

/// Cuts a disk where a partition or a hole begins or ends.
fn sections(disk: &File, size: u64, partitions: &[(String, u64, u64)]) -> io::Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    let mut at = 0;
    while at < size {
        let inside = partitions.iter().find(|(_, start, end)| (*start..*end).contains(&at));
        let edges = partitions.iter().flat_map(|(_, start, end)| [*start, *end]);
        let edge = edges.filter(|edge| *edge > at).min().unwrap_or(size);
        let data = next(disk, Place::Data(at), size)?;
        let (label, end) = if data > at {
            (HOLES, data)
        } else {
            (inside.map_or(TABLE, |(label, _, _)| label), next(disk, Place::Hole(at), size)?)
        };
        let end = end.min(edge).min(size);
        match sections.last_mut() {
            Some(last) if last.label == label => last.length += end - at,
            _ => sections.push(Section { label: label.to_owned(), length: end - at }),
        }
        at = end;
    }
    Ok(sections)
}

/// Where the next data or hole begins; the end where there is none.
fn next(disk: &File, place: Place, size: u64) -> io::Result<u64> {
    match rustix::fs::seek(disk, place) {
        Ok(found) => Ok(found),
        Err(rustix::io::Errno::NXIO) => Ok(size),
        Err(error) => Err(error.into()),
    }
}

/// What the stream grows by with each section.
fn compress(file: &mut File, size: u64, sections: &[Section]) -> io::Result<Vec<(String, u64)>> {
    let mut encoder = Encoder::new(Counter(0), LEVEL)?;
    encoder.window_log(WINDOW)?;
    encoder.long_distance_matching(true)?;
    encoder.set_pledged_src_size(Some(size))?;
    file.seek(SeekFrom::Start(0))?;
    let mut costs = Vec::new();
    let mut written = 0;
    for Section { label, length } in sections {
        if io::copy(&mut Read::by_ref(file).take(*length), &mut encoder)? != *length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Ends a block, and keeps what later ones may refer to.
        encoder.flush()?;
        costs.push((label.clone(), encoder.get_ref().0 - written));
        written = encoder.get_ref().0;
    }
    // The end of the frame belongs to nobody in particular.
    let all = encoder.finish()?.0;
    if let Some((_, cost)) = costs.last_mut() {
        *cost += all - written;
    }
    Ok(costs)
}

/// Counts what is written to it.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0 += Bytes::of(data).0;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn sections_are_partitions_holes_and_what_lies_between() {
        let disk = tempfile::tempfile().unwrap();
        disk.set_len(16 << 20).unwrap();
        let mib = |number: u64| number << 20;
        for at in [0, 2, 3, 6] {
            disk.write_all_at(&vec![1; 1 << 20], mib(at)).unwrap();
        }
        let partitions = [("a".to_owned(), mib(2), mib(5)), ("b".to_owned(), mib(5), mib(9))];
        let found = sections(&disk, mib(16), &partitions).unwrap();
        let found: Vec<_> =
            found.iter().map(|section| (section.label.as_str(), section.length >> 20)).collect();
        assert_eq!(found, [(TABLE, 1), (HOLES, 1), ("a", 2), (HOLES, 2), ("b", 1), (HOLES, 9)]);
    }

    #[test]
    fn costs_add_up_to_the_stream_and_a_copy_costs_next_to_nothing() {
        let mut file = tempfile::tempfile().unwrap();
        let noise: Vec<u8> = (0..1_u32 << 18).flat_map(|n| n.wrapping_mul(n | 1).to_le_bytes()).collect();
        for _ in 0..2 {
            file.write_all(&noise).unwrap();
        }
        let length = Bytes::of(&noise).0;
        let sections = ["first", "again"].map(|label| Section { label: label.to_owned(), length });
        let costs = compress(&mut file, 2 * length, &sections).unwrap();
        assert!(costs[0].1 > length / 8 && costs[1].1 < 1000, "{costs:?}");
    }
}
