//! Images that arrive.

use std::os::unix::fs::MetadataExt as _;

use proptest::prelude::*;

use super::machine::{Kind, Machine, assert_equal, image, noise, operation, password, warnings};
use crate::cloud::upload::plan::BLOCK;
use crate::cloud::upload::{Event, Trust, shut_down, write};
use crate::units::Bytes;

const MIB: u64 = 1 << 20;

/// Data of three kinds, holes and zeros that are no hole, and an end within a block.
fn usual() -> tempfile::NamedTempFile {
    let text = "all work and no play makes jack a dull boy\n".repeat(9999).into_bytes();
    let data = [
        (0, noise(700_000, 1)),
        (2 * MIB, text),
        (3 * MIB, vec![0; 1 << 20]),
        (5 * MIB + 12345, noise(300_000, 2)),
        (7 * MIB + 4000, b"the end".to_vec()),
    ];
    image(7 * MIB + 4096 + 512, &data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_holds_the_image_and_little_more_than_its_data_was_sent() {
    let machine = Machine::start(Kind::default(), Vec::new()).await;
    let image = usual();
    let (written, events) = machine.write(image.path()).await;
    let written = written.unwrap();
    assert_equal(&machine, image.path(), &written);
    assert!(warnings(&events).is_empty(), "{events:?}");
    // As much as zstd makes of all blocks that are not zero, at the same level.
    let content = std::fs::read(image.path()).unwrap();
    let blocks = content.chunks(usize::try_from(BLOCK).unwrap());
    let data: Vec<u8> =
        blocks.filter(|block| block.iter().any(|byte| *byte != 0)).flatten().copied().collect();
    // Zeros were not written either: the disk has room for little more than the data.
    let taken = std::fs::metadata(machine.path("dev/sda")).unwrap().blocks() * 512;
    assert!(taken <= Bytes::of(&data).0 + 256 * 1024, "{taken} {}", data.len());
    let whole = u64::try_from(zstd::bulk::compress(&data, 3).unwrap().len()).unwrap();
    // A stream begins and ends with a few bytes, and cannot refer to the ones before: at most one per cent.
    assert!(written.sent.0 <= whole + whole / 100, "{} {whole}", written.sent);
    // The rest are packets of SSH: their heads and codes, keys, and the commands.
    let wire = machine.proxy.sent();
    assert!(wire <= written.sent.0 + written.sent.0 / 200 + 20_000, "{wire} {}", written.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_goes_up_to_the_end() {
    let machine = Machine::start(Kind::default(), Vec::new()).await;
    let image = usual();
    let (written, events) = machine.write(image.path()).await;
    let progress: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Progress(progress) => *progress,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(progress.is_sorted_by_key(|progress| (progress.done, progress.sent)), "{progress:?}");
    let last = progress.last().unwrap();
    assert_eq!((last.done, last.total), (written.as_ref().unwrap().image, written.as_ref().unwrap().image));
    assert_eq!(last.sent, written.as_ref().unwrap().sent);
    assert!(progress.len() > 3 && written.unwrap().chunks > 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeros_are_written_to_a_disk_that_cannot_be_discarded() {
    let discard = "echo BLKDISCARD ioctl failed: Operation not supported >&2; exit 1";
    let machine = Machine::start(Kind { discard, ..Kind::default() }, Vec::new()).await;
    let image = usual();
    let (written, events) = machine.write(image.path()).await;
    assert_equal(&machine, image.path(), &written.unwrap());
    let said = warnings(&events);
    assert!(said.len() == 1 && said[0].contains("Operation not supported"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeros_are_written_where_a_discarded_disk_has_none() {
    // It says that it discards, and does nothing. The image is more than one part that is compared.
    let machine =
        Machine::start(Kind { discard: "true", disk: 70 * MIB, ..Kind::default() }, Vec::new()).await;
    let image = image(65 * MIB, &[(0, noise(1 << 20, 3)), (64 * MIB, noise(1 << 20, 4))]);
    let (written, events) = machine.write(image.path()).await;
    assert_equal(&machine, image.path(), &written.unwrap());
    assert!(events.contains(&Event::Differs { ranges: 1 }), "{:?}", warnings(&events));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_disk_lost_is_written_once_more() {
    // A byte in the second part, when the caches are dropped for the first time.
    let flush = "[ -e \"$disk.flipped\" ] || { touch \"$disk.flipped\"; printf x | \
                 dd of=\"$disk\" bs=1 seek=68000000 conv=notrunc status=none; }";
    let machine = Machine::start(Kind { flush, disk: 70 * MIB, ..Kind::default() }, Vec::new()).await;
    let image = image(66 * MIB, &[(0, noise(3 << 20, 3)), (64 * MIB, noise(1 << 20, 4))]);
    let (written, events) = machine.write(image.path()).await;
    let written = written.unwrap();
    assert_equal(&machine, image.path(), &written);
    assert!(events.contains(&Event::Differs { ranges: 1 }), "{:?}", warnings(&events));
    // The first part was not sent again.
    assert!(written.sent < Bytes(6 * MIB), "{}", written.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_nothing_is_written_too() {
    let machine = Machine::start(Kind::default(), Vec::new()).await;
    let image = image(7 * MIB, &[]);
    let (written, _) = machine.write(image.path()).await;
    let written = written.unwrap();
    assert_equal(&machine, image.path(), &written);
    assert_eq!((written.sent, written.chunks), (Bytes(0), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_may_fill_the_disk() {
    let machine = Machine::start(Kind { disk: MIB, ..Kind::default() }, Vec::new()).await;
    let image = image(MIB, &[(0, noise(1 << 20, 9))]);
    let (written, _) = machine.write(image.path()).await;
    assert_equal(&machine, image.path(), &written.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_use_needs_no_password_and_the_machine_is_switched_off_then() {
    let machine = Machine::start(Kind { hash: "*", ..Kind::default() }, Vec::new()).await;
    let image = usual();
    let rescue = machine.rescue(Trust::OnFirstUse);
    let written = write(&operation(), &rescue, image.path(), &mut |_| {}).await.unwrap();
    assert_equal(&machine, image.path(), &written);
    shut_down(&operation(), &rescue).await.unwrap();
    assert!(machine.path(crate::ssh::simulator::OFF).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switching_off_makes_sure_of_the_host_as_well() {
    let machine = Machine::start(Kind { hash: "*", ..Kind::default() }, Vec::new()).await;
    shut_down(&operation(), &machine.rescue(Trust::ByPassword(password()))).await.unwrap_err();
    assert!(!machine.path(crate::ssh::simulator::OFF).exists());
}

/// Pieces of data: where, how long, and whether they are zeros.
fn pieces() -> impl Strategy<Value = Vec<(u64, usize, bool)>> {
    prop::collection::vec((0..2 * MIB, 1..200_000_usize, prop::bool::weighted(0.2)), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_sparse_image_arrives(pieces in pieces(), size in 1..3 * MIB, is_discarded: bool) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let discard = if is_discarded { Kind::default().discard } else { "exit 1" };
            let machine = Machine::start(Kind { discard, disk: 3 * MIB, ..Kind::default() }, Vec::new()).await;
            let within = |(at, length, is_zero): &(u64, usize, bool)| {
                let length = (*length).min(usize::try_from(size.saturating_sub(*at)).unwrap());
                (*at, if *is_zero { vec![0; length] } else { noise(length, *at) })
            };
            let data: Vec<_> = pieces.iter().map(within).filter(|(_, content)| !content.is_empty()).collect();
            let image = image(size, &data);
            let (written, _) = machine.write(image.path()).await;
            assert_equal(&machine, image.path(), &written.unwrap());
        });
    }
}
