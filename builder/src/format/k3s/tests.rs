use proptest::prelude::*;

use super::*;

/// An archive as k3s' build makes them, `zstd --long=25`, with a checksum.
fn archive(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.window_log(25).unwrap();
    std::io::Write::write_all(&mut encoder, content).unwrap();
    encoder.finish().unwrap()
}

fn contents() -> Vec<u8> {
    // More than one block, and some that don't compress.
    let noise = (0..40_000_u32).flat_map(|number| Sha256::of(&number.to_le_bytes()).0);
    noise.chain(std::iter::repeat_n(7, 300_000)).collect()
}

/// A release that carries `pieces` between other bytes.
fn release(pieces: &[&[u8]]) -> Vec<u8> {
    let mut file = [ELF64, &[1, 1, 0]].concat();
    for piece in pieces {
        file.extend([0x90; 100]);
        file.extend(*piece);
    }
    file.extend([0; 50]);
    file
}

fn name(archive: &[u8]) -> Vec<u8> {
    format!("build/data/{}.tar.zst", Sha256::of(archive)).into_bytes()
}

#[test]
fn finds_the_frame_whose_digest_the_file_names() {
    let archive = archive(&contents());
    let other = zstd::bulk::compress(b"some other frame", 1).unwrap();
    let expected = Asset { digest: Sha256::of(&archive), archive: &archive };
    for pieces in [
        [name(&archive).as_slice(), &archive, b"", b""],
        [&other, &archive, &other, &name(&archive)],
        // Names of what is not inside, and what only looks like a name.
        [name(&other).as_slice(), b"x.tar.zst", &name(&archive), &archive],
        // The same twice is one asset.
        [&archive, &name(&archive), &archive, &name(&archive)],
    ] {
        assert_eq!(find(&release(&pieces)), Ok(expected));
    }
}

#[test]
fn an_asset_may_have_several_frames() {
    let archive = [archive(b"one"), archive(b"two")].concat();
    let file = release(&[&archive, &name(&archive)]);
    assert_eq!(find(&file), Ok(Asset { digest: Sha256::of(&archive), archive: &archive }));
}

#[test]
fn says_why_a_file_is_no_release() {
    let (one, two) = (archive(b"one"), archive(b"two"));
    let (first, second) = (Sha256::of(&one), Sha256::of(&two));
    let mut damaged = one.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for (file, message) in [
        (b"#!/bin/sh\n".to_vec(), "no k3s release: it is no 64-bit ELF file".to_owned()),
        (Vec::new(), "no k3s release: it is no 64-bit ELF file".to_owned()),
        (release(&[&one]), "no k3s release: it names no `<sha256>.tar.zst`".to_owned()),
        (
            release(&[&name(&one), &damaged, &two]),
            format!("it names `{first}.tar.zst`, but none of its 2 zstd frames has that digest"),
        ),
        (
            release(&[&name(&one), &one[..one.len() - 1]])[..300].to_vec(),
            format!("it names `{first}.tar.zst`, but none of its 0 zstd frames has that digest"),
        ),
        (
            release(&[&name(&one), &one, &name(&two), &two]),
            format!("it carries `{first}.tar.zst` and `{second}.tar.zst`, and a k3s release carries one"),
        ),
    ] {
        assert_eq!(find(&file).unwrap_err().to_string(), message);
    }
}

/// Each of these frames holds all that follow it in one raw block.
#[test]
fn gives_up_frames_inside_frames() {
    let mut file = Vec::new();
    for _ in 0..6000 {
        let length = u32::try_from(file.len()).unwrap();
        let block = (length << 3 | 1).to_le_bytes();
        file = [&frame::MAGIC[..], &[0, 0], &block[..3], &file].concat();
    }
    let file = release(&[&name(b"nothing"), &file]);
    let K3sError::TooMany { frames, size } = find(&file).unwrap_err() else { panic!("looked at all") };
    assert_eq!(size, Bytes::of(&file));
    assert!((1..100).contains(&frames), "{frames}");
}

proptest! {
    #[test]
    fn never_panics(pieces in prop::collection::vec(any::<[u8; 12]>(), 0..40)) {
        let frames: Vec<u8> = pieces.iter().flat_map(|piece| [&frame::MAGIC[..], piece].concat()).collect();
        let _ = find(&release(&[&name(b"x"), &frames]));
    }

    /// Where the headers end a frame, the decoder does too.
    #[test]
    fn frames_end_where_the_decoder_ends(content in prop::collection::vec(0_u8..4, 0..200_000), level in 1..12) {
        let frame = zstd::bulk::compress(&content, level).unwrap();
        let longer = [frame.as_slice(), b"more"].concat();
        prop_assert_eq!(frame::span(&longer), (frame.as_slice(), true));
        let size = zstd::zstd_safe::find_frame_compressed_size(&longer);
        prop_assert_eq!(size, Ok(frame.len()));
    }
}
