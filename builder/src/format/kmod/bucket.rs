//! The order in which kmod's hash tables are walked, which shows in `modules.symbols`.

/// Buckets of depmod's table of modules by name.
pub(super) const MODULES: u32 = 512;
/// Buckets of depmod's table of symbols by name.
pub(super) const SYMBOLS: u32 = 2048;

/// Where `key` comes in a walk: by bucket, then by name (kmod `shared/hash.c`).
pub(super) fn position(key: &str, buckets: u32) -> (u32, &str) {
    (superfast(key.as_bytes()) % buckets, key)
}

/// Paul Hsieh's `SuperFastHash` as kmod has it, for keys of ASCII characters.
fn superfast(key: &[u8]) -> u32 {
    let pair = |bytes: &[u8]| u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    let mut hash = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let chunks = key.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        hash = hash.wrapping_add(pair(&chunk[..2]));
        hash = (hash << 16) ^ (pair(&chunk[2..]) << 11) ^ hash;
        hash = hash.wrapping_add(hash >> 11);
    }
    match rest {
        [_, _, last] => {
            hash = hash.wrapping_add(pair(rest));
            hash ^= hash << 16;
            hash ^= u32::from(*last) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [_, _] => {
            hash = hash.wrapping_add(pair(rest));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [only] => {
            hash = hash.wrapping_add(u32::from(*only));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}
