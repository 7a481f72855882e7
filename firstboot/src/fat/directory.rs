//! Entries of a folder: slots of 32 bytes, those of the long name before the short one (specification, 6 and 7).

use super::{FatError, Stamp};

/// Bytes of a slot.
pub(super) const SLOT: usize = 32;
/// A slot that is free; the folder goes on.
pub(super) const FREE: u8 = 0xe5;
/// A slot that is free, as all behind it.
const END: u8 = 0;
/// How a short name begins that really begins with [`FREE`].
const ESCAPED: u8 = 0x05;
const LONG_NAME: u8 = 0x0f;
const LABEL: u8 = 0x08;
const FOLDER: u8 = 0x10;
const FILE: u8 = 0x20;
/// Flag of the slot with the last part of a long name, which comes first.
const LAST_PART: u8 = 0x40;
/// Where a slot has the 13 UTF-16 units of its part of a long name.
const UNITS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const LONGEST: usize = 255;

/// A slot's sector, and its number therein.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    pub(super) sector: u64,
    pub(super) index: usize,
}

/// One entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    /// The long name, or the short one where there is none.
    pub(super) name: String,
    /// All slots, the short name's last.
    pub(super) slots: Vec<Place>,
    /// The slot of the short name.
    pub(super) short: [u8; SLOT],
}

impl Entry {
    pub(super) fn is_folder(&self) -> bool {
        self.short[11] & FOLDER != 0
    }

    pub(super) fn first_cluster(&self) -> u32 {
        let half = |at: usize| u32::from(u16::from_le_bytes([self.short[at], self.short[at + 1]]));
        half(20) << 16 | half(26)
    }

    pub(super) fn size(&self) -> u32 {
        u32::from_le_bytes([self.short[28], self.short[29], self.short[30], self.short[31]])
    }
}

/// A folder's sectors in order.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// Each with its place on the volume.
    pub(super) sectors: Vec<(u64, Vec<u8>)>,
    /// The clusters that they are.
    pub(super) chain: Vec<u32>,
}

impl Folder {
    fn slots(&self) -> impl Iterator<Item = (Place, &[u8; SLOT])> {
        self.sectors.iter().flat_map(|(sector, bytes)| {
            let place = |index| Place { sector: *sector, index };
            bytes.as_chunks::<SLOT>().0.iter().enumerate().map(move |(index, slot)| (place(index), slot))
        })
    }

    /// What is in it; `.`, `..` and the label are left out, and so are long names without a short one.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut parts: Vec<(Place, &[u8; SLOT])> = Vec::new();
        for (place, slot) in self.slots() {
            match (slot[0], slot[11]) {
                (END, _) => break,
                (FREE, _) => parts.clear(),
                (first, attributes) if attributes & 0x3f == LONG_NAME => {
                    // What stood before belongs to no short name.
                    if first & LAST_PART != 0 {
                        parts.clear();
                    }
                    parts.push((place, slot));
                }
                (b'.', _) => parts.clear(),
                (_, attributes) if attributes & LABEL != 0 => parts.clear(),
                _ => {
                    let long = long_name(&parts, slot);
                    let mut slots = Vec::new();
                    if long.is_some() {
                        slots.extend(parts.iter().map(|(place, _)| *place));
                    }
                    slots.push(place);
                    entries.push(Entry {
                        name: long.unwrap_or_else(|| short_name(slot)),
                        slots,
                        short: *slot,
                    });
                    parts.clear();
                }
            }
        }
        entries
    }

    /// The entry of this name; FAT knows no difference between `a` and `A`.
    pub(super) fn find(&self, name: &str) -> Option<Entry> {
        self.entries().into_iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
    }

    /// The first run of `count` free slots within one sector, and where the folder ended before it, if it did.
    pub(super) fn room(&self, count: usize) -> Option<Room> {
        let mut end = None;
        let mut run: Vec<Place> = Vec::new();
        for (place, slot) in self.slots() {
            if end.is_none() && slot[0] == END {
                end = Some(place);
            }
            let is_free = end.is_some() || slot[0] == FREE;
            let goes_on = run.last().is_none_or(|last| last.sector == place.sector);
            if !is_free || !goes_on {
                run.clear();
            }
            if is_free {
                run.push(place);
            }
            if run.len() == count {
                return Some(Room { first: *run.first()?, end });
            }
        }
        None
    }

    /// A short name that nothing in the folder has; it is for systems without long names, and there are none.
    pub(super) fn free_short_name(&self, name: &str) -> Result<[u8; 11], FatError> {
        let is_taken = |short: &[u8; 11]| self.slots().any(|(_, slot)| slot[..11] == *short);
        let (base, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let plain = |text: &str, most: usize| -> Vec<u8> {
            text.bytes()
                .filter(u8::is_ascii_alphanumeric)
                .take(most)
                .map(|byte| byte.to_ascii_uppercase())
                .collect()
        };
        let ending = plain(ending, 3);
        for number in 1..1_000_000_u32 {
            let tail = format!("~{number}");
            let mut short = [b' '; 11];
            let base = plain(base, 8 - tail.len());
            for (to, from) in short.iter_mut().zip(base.iter().copied().chain(tail.bytes())) {
                *to = from;
            }
            for (to, from) in short.iter_mut().skip(8).zip(&ending) {
                *to = *from;
            }
            if !is_taken(&short) {
                return Ok(short);
            }
        }
        Err(FatError::Name { name: name.to_owned() })
    }
}

/// Room for an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Room {
    pub(super) first: Place,
    /// The slot by which the folder ended, which lies at or before `first`.
    pub(super) end: Option<Place>,
}

/// The long name of `parts`, if they are whole and belong to the short name in `slot`.
fn long_name(parts: &[(Place, &[u8; SLOT])], slot: &[u8; SLOT]) -> Option<String> {
    let count = parts.len();
    let checksum = checksum(&slot[..11]);
    let mut units = Vec::new();
    for (index, (_, part)) in parts.iter().enumerate().rev() {
        let number = usize::from(part[0] & !LAST_PART);
        let is_last = part[0] & LAST_PART != 0;
        if number != count - index || is_last != (index == 0) || part[13] != checksum {
            return None;
        }
        units.extend(UNITS.map(|at| u16::from_le_bytes([part[at], part[at + 1]])));
    }
    let length = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    let name = String::from_utf16(units.get(..length)?).ok()?;
    (!name.is_empty()).then_some(name)
}

/// The short name as people see it.
fn short_name(slot: &[u8; SLOT]) -> String {
    let mut bytes: [u8; 11] = [b' '; 11];
    bytes.copy_from_slice(&slot[..11]);
    if bytes[0] == ESCAPED {
        bytes[0] = FREE;
    }
    let text = |bytes: &[u8], is_lower: bool| {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let text = text.trim_end().to_owned();
        if is_lower { text.to_ascii_lowercase() } else { text }
    };
    // Flags of Windows NT.
    let (base, ending) = (text(&bytes[..8], slot[12] & 0x08 != 0), text(&bytes[8..], slot[12] & 0x10 != 0));
    if ending.is_empty() { base } else { format!("{base}.{ending}") }
}

fn checksum(short: &[u8]) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The slot of a new entry without its names.
pub(super) fn new_slot(is_folder: bool, first: u32, size: u32, stamp: Stamp) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[11] = if is_folder { FOLDER } else { FILE };
    for (at, value) in [(14, stamp.time), (16, stamp.date), (18, stamp.date)] {
        slot[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    point(&mut slot, first, size, stamp);
    slot
}

/// Lets a slot name other content.
pub(super) fn point(slot: &mut [u8; SLOT], first: u32, size: u32, stamp: Stamp) {
    let [low, middle, high, top] = first.to_le_bytes();
    slot[20..22].copy_from_slice(&[high, top]);
    slot[22..24].copy_from_slice(&stamp.time.to_le_bytes());
    slot[24..26].copy_from_slice(&stamp.date.to_le_bytes());
    slot[26..28].copy_from_slice(&[low, middle]);
    slot[28..32].copy_from_slice(&size.to_le_bytes());
}

/// The slots of an entry: the long name's, then `slot` with the short name in it.
pub(super) fn slots(name: &str, short: [u8; 11], mut slot: [u8; SLOT]) -> Result<Vec<[u8; SLOT]>, FatError> {
    let units: Vec<u16> = name.encode_utf16().collect();
    let is_writable = |character: char| !character.is_control() && !"\"*/:<>?\\|".contains(character);
    if units.is_empty()
        || units.len() > LONGEST
        || name.ends_with(['.', ' '])
        || !name.chars().all(is_writable)
    {
        return Err(FatError::Name { name: name.to_owned() });
    }
    slot[..11].copy_from_slice(&short);
    // The case is the long name's.
    slot[12] = 0;
    let checksum = checksum(&short);
    let parts: Vec<&[u16]> = units.chunks(UNITS.len()).collect();
    let mut slots = Vec::new();
    for (index, part) in parts.iter().enumerate().rev() {
        let mut bytes = [0; SLOT];
        let number = u8::try_from(index + 1).unwrap_or(u8::MAX);
        bytes[0] = if index + 1 == parts.len() { number | LAST_PART } else { number };
        bytes[11] = LONG_NAME;
        bytes[13] = checksum;
        // The name, a zero where it does not fill the slot, then ones.
        let padded = part.iter().copied().chain([0]).chain(std::iter::repeat(u16::MAX));
        for (at, unit) in UNITS.into_iter().zip(padded) {
            bytes[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        slots.push(bytes);
    }
    slots.push(slot);
    Ok(slots)
}

/// A new folder's first cluster: itself and its parent, whose cluster is 0 where it is the root.
pub(super) fn first_slots(own: u32, parent: u32, stamp: Stamp) -> [[u8; SLOT]; 2] {
    [(&b".          "[..], own), (&b"..         "[..], parent)].map(|(name, first)| {
        let mut slot = new_slot(true, first, 0, stamp);
        slot[..11].copy_from_slice(name);
        slot
    })
}
