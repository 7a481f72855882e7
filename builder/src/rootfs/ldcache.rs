//! `/etc/ld.so.cache`, as glibc 2.41's `ldconfig` writes it in its only-new format.
//!
//! ```text
//! header (48 bytes) | entries (24 bytes each) | strings, NUL-ended | padding to 4 | extensions
//! ```
//!
//! All integers are little-endian, all offsets count from the start of the file. Spec: glibc
//! `sysdeps/generic/dl-cache.h`. Subset: `glibc-hwcaps` subdirectories are not entered, for the image
//! ships one variant of each library; the extensions hold the generator's name only.

#[cfg(test)]
mod tests;

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use super::elf::dynamic::{self, Machine};
use super::library;
use super::resolve::resolve;
use crate::tree::{Entry, Kind, Metadata, Tree, TreeError};
use crate::units::Arch;

/// Where the dynamic linker looks for it, below the root.
pub const PATH: &str = "etc/ld.so.cache";

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER_SIZE: usize = 48;
const ENTRY_SIZE: usize = 24;
/// `cache_file_new_flags_endian_little`.
const LITTLE_ENDIAN: u32 = 2;
/// `cache_extension_magic`.
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
/// Magic, count and one section.
const EXTENSION_HEADER_SIZE: usize = 24;
const GENERATOR: &[u8] = b"imgbuild";
/// `FLAG_ELF_LIBC6`.
const LIBC6: u32 = 0x0003;

/// A library by the name programs need it by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Library {
    /// Its `DT_SONAME`, or the name of a development link.
    pub soname: String,
    /// Absolute path in the tree.
    pub path: String,
}

/// Places the cache of the libraries in `tree` into it.
pub fn install(tree: &mut Tree, arch: Arch) -> Result<(), TreeError> {
    let cache = encode(&libraries(tree, arch), arch);
    tree.write(PATH, Metadata::FILE, cache)
}

/// The libraries of `tree` in the cache's order.
pub fn libraries(tree: &Tree, arch: Arch) -> Vec<Library> {
    let mut libraries = Vec::new();
    for directory in library::directories(tree, arch) {
        libraries.extend(scan(tree, &directory, arch));
    }
    // Stable: of equal names, the directory that comes first wins.
    libraries.sort_by(|one, other| compare(&other.soname, &one.soname));
    libraries
}

/// Libraries right in one directory, one per soname.
fn scan(tree: &Tree, directory: &str, arch: Arch) -> Vec<Library> {
    let Some((real, _)) = resolve(tree, directory) else { return Vec::new() };
    // By soname: the file that stands for it, and whether that is a development link.
    let mut chosen: BTreeMap<String, (bool, &str)> = BTreeMap::new();
    for (path, entry) in tree.below(&real) {
        let Some(name) = path.get(real.len() + 1..).filter(|name| is_library_name(name)) else { continue };
        let Some((_, Entry { kind: Kind::File(content), .. })) = resolve(tree, path) else { continue };
        let Ok(Some(dynamic)) = dynamic::read(content) else { continue };
        if dynamic.machine != Machine::of(arch) || !dynamic.is_dynamic {
            continue;
        }
        let soname = dynamic.soname.unwrap_or_else(|| name.to_owned());
        let is_link = matches!(entry.kind, Kind::Symlink(_)) && is_development_link(name, &soname);
        let soname = if is_link { name.to_owned() } else { soname };
        let is_better = |(was_link, before): &(bool, &str)| {
            (!is_link && *was_link) || (is_link == *was_link && compare(before, name) == Ordering::Less)
        };
        if chosen.get(&soname).is_none_or(is_better) {
            chosen.insert(soname, (is_link, name));
        }
    }
    let path = |soname: &str, name: &str| {
        // Packages ship the link from soname to file; where one does not, `ldconfig` would make it.
        let by_soname = format!("{directory}/{soname}");
        if resolve(tree, &by_soname).is_some() { by_soname } else { format!("{directory}/{name}") }
    };
    chosen.into_iter().map(|(soname, (_, name))| Library { path: path(&soname, name), soname }).collect()
}

/// A plain name (not in a subdirectory) that looks like a library or the dynamic linker to `ldconfig`.
fn is_library_name(name: &str) -> bool {
    !name.contains('/') && (name.starts_with("lib") || name.starts_with("ld-")) && name.contains(".so")
}

/// `libx.so` for the link editor, entered under its own name; or the link whose name is the soname.
fn is_development_link(name: &str, soname: &str) -> bool {
    let has_version = name.strip_suffix(".so").is_none();
    name == soname || (!has_version && soname.starts_with(name))
}

/// glibc's `_dl_cache_libcmp`: digits compare as numbers, and come after all else.
fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    loop {
        match (one.first(), other.first()) {
            (None, _) | (_, None) => return one.len().cmp(&other.len()),
            (Some(left), Some(right)) => {
                let order = match (left.is_ascii_digit(), right.is_ascii_digit()) {
                    (true, true) => number(&mut one).cmp(&number(&mut other)),
                    (true, false) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) => {
                        let order = left.cmp(right);
                        one = &one[1..];
                        other = &other[1..];
                        order
                    }
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

/// Takes the digits at the front, as a key that orders as their value does, whatever their number.
fn number<'a>(text: &mut &'a [u8]) -> (usize, &'a [u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeroes = digits.iter().take_while(|digit| **digit == b'0').count();
    (digits.len() - zeroes, &digits[zeroes..])
}

/// `FLAG_X8664_LIB64`, `FLAG_AARCH64_LIB64`.
const fn arch_flag(arch: Arch) -> u32 {
    match arch {
        Arch::Amd64 => 0x0300,
        Arch::Arm64 => 0x0a00,
    }
}

/// Writes the cache of `libraries`, which are in the cache's order.
pub fn encode(libraries: &[Library], arch: Arch) -> Vec<u8> {
    let strings = Strings::of(libraries, HEADER_SIZE + libraries.len() * ENTRY_SIZE);
    let strings_end = HEADER_SIZE + libraries.len() * ENTRY_SIZE + strings.bytes.len();
    let extensions = strings_end.next_multiple_of(4);

    let mut cache = Vec::with_capacity(extensions + EXTENSION_HEADER_SIZE + GENERATOR.len());
    cache.extend_from_slice(MAGIC);
    put(&mut cache, word(libraries.len()));
    put(&mut cache, word(strings.bytes.len()));
    put(&mut cache, LITTLE_ENDIAN);
    put(&mut cache, word(extensions));
    cache.resize(HEADER_SIZE, 0);
    for library in libraries {
        put(&mut cache, LIBC6 | arch_flag(arch));
        put(&mut cache, strings.offset(&library.soname));
        put(&mut cache, strings.offset(&library.path));
        // No OS version, no hardware capability.
        cache.extend_from_slice(&[0; 12]);
    }
    cache.extend_from_slice(&strings.bytes);
    cache.resize(extensions, 0);
    put(&mut cache, EXTENSION_MAGIC);
    // One section: tag 0 (generator), no flags, where, how long.
    for field in [1, 0, 0, word(extensions + EXTENSION_HEADER_SIZE), word(GENERATOR.len())] {
        put(&mut cache, field);
    }
    cache.extend_from_slice(GENERATOR);
    cache
}

/// NUL-ended strings; one that ends another shares its bytes.
struct Strings<'a> {
    bytes: Vec<u8>,
    offsets: BTreeMap<&'a str, u32>,
}

impl<'a> Strings<'a> {
    /// Lays the names out from byte `start` of the file on.
    fn of(libraries: &'a [Library], start: usize) -> Self {
        let mut texts: Vec<&str> =
            libraries.iter().flat_map(|library| [library.path.as_str(), &library.soname]).collect();
        texts.sort_by_key(|text| Reverse(text.len()));
        let (mut bytes, mut offsets) = (Vec::new(), BTreeMap::new());
        for text in texts {
            if offsets.contains_key(text) {
                continue;
            }
            let offset = word(start + bytes.len());
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
            offsets.insert(text, offset);
            // The only ends that occur are file names.
            if let Some((folder, name)) = text.rsplit_once('/') {
                offsets.entry(name).or_insert(offset.saturating_add(word(folder.len() + 1)));
            }
        }
        Self { bytes, offsets }
    }

    fn offset(&self, text: &str) -> u32 {
        *self.offsets.get(text).expect("every name of the same libraries was laid out")
    }
}

/// A size as the format has it; a cache is far from 4 GiB.
fn word(size: usize) -> u32 {
    u32::try_from(size).expect("an ld.so.cache is smaller than 4 GiB")
}

fn put(cache: &mut Vec<u8>, value: u32) {
    cache.extend_from_slice(&value.to_le_bytes());
}
