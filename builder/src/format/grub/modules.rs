//! Modules: which are needed, in which order, and the area behind the kernel that they lie in.

use std::collections::{BTreeMap, BTreeSet};

use object::LittleEndian;
use object::elf::{EM_386, ET_REL, FileHeader32};
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::{Contents, GrubError, Platform};
use crate::units::Bytes;

/// `GRUB_MODULE_MAGIC`, "mimg".
const MAGIC: u32 = 0x676d_696d;
/// `struct grub_module_info32`: magic, offset of the first object, size of the area.
const AREA_HEADER: u32 = 12;
/// `struct grub_module_header`: type of the object, its size with this header.
const OBJECT_HEADER: u32 = 8;
/// Objects begin at multiples of a pointer's size.
const ALIGNMENT: usize = 4;
/// Far above all modules together, far below what would hurt.
const LARGEST: Bytes = Bytes(64 << 20);

/// What an object is (`OBJ_TYPE_*`).
#[derive(Clone, Copy, Debug)]
enum Kind {
    Module,
    Config,
    Prefix,
}

impl Kind {
    fn number(self) -> u32 {
        match self {
            Self::Module => 0,
            Self::Config => 2,
            Self::Prefix => 3,
        }
    }
}

/// The module area of a core.
pub(super) fn area(platform: &Platform<'_>, contents: &Contents<'_>) -> Result<Vec<u8>, GrubError> {
    let mut objects = Vec::new();
    let mut loaded = BTreeSet::new();
    for name in order(platform.dependencies, contents.modules)? {
        let unknown = || GrubError::Unknown { name: name.to_owned(), needed_by: None };
        let file = *platform.modules.get(name).ok_or_else(unknown)?;
        check(name, file, &loaded)?;
        loaded.insert(name);
        add(&mut objects, Kind::Module, file)?;
    }
    if let Some(config) = contents.config {
        add(&mut objects, Kind::Config, &terminated(config))?;
    }
    add(&mut objects, Kind::Prefix, &terminated(contents.prefix))?;
    let size = size_of(&objects, AREA_HEADER)?;
    let mut area: Vec<u8> = [MAGIC, AREA_HEADER, size].into_iter().flat_map(u32::to_le_bytes).collect();
    area.append(&mut objects);
    Ok(area)
}

fn terminated(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn add(objects: &mut Vec<u8>, kind: Kind, content: &[u8]) -> Result<(), GrubError> {
    let mut content = content.to_vec();
    content.resize(content.len().next_multiple_of(ALIGNMENT), 0);
    let size = size_of(&content, OBJECT_HEADER)?;
    objects.extend(kind.number().to_le_bytes());
    objects.extend(size.to_le_bytes());
    objects.append(&mut content);
    Ok(())
}

/// A length with its header, as the 32-bit number that GRUB reads.
fn size_of(content: &[u8], header: u32) -> Result<u32, GrubError> {
    let size = Bytes::of(content);
    let fits = u32::try_from(size.0).ok().filter(|_| size <= LARGEST);
    fits.and_then(|size| size.checked_add(header)).ok_or(GrubError::TooLarge {
        what: "the module area",
        size,
        limit: LARGEST,
    })
}

/// A module is a relocatable file for this machine, has the name of its file, and needs only what was loaded before.
fn check(name: &str, file: &[u8], loaded: &BTreeSet<&str>) -> Result<(), GrubError> {
    let file_name = || format!("{name}.mod");
    let corrupt = |source| GrubError::Elf { file: file_name(), source };
    let header = FileHeader32::<LittleEndian>::parse(file).map_err(corrupt)?;
    let endian = header.endian().map_err(corrupt)?;
    if header.e_type(endian) != ET_REL || header.e_machine(endian) != EM_386 {
        return Err(GrubError::Kind { file: file_name(), expected: "module for 32-bit x86" });
    }
    let sections = header.sections(endian, file).map_err(corrupt)?;
    let text = |section: &str| -> Result<String, GrubError> {
        let Some((_, found)) = sections.section_by_name(endian, section.as_bytes()) else {
            return Ok(String::new());
        };
        Ok(String::from_utf8_lossy(found.data(endian, file).map_err(corrupt)?).into_owned())
    };
    let found = text(".modname")?;
    let found = found.trim_end_matches('\0');
    if found != name {
        return Err(GrubError::Name { file: file_name(), found: found.to_owned() });
    }
    let needs = text(".moddeps")?;
    match needs.split('\0').find(|needs| !needs.is_empty() && !loaded.contains(needs)) {
        Some(needs) => Err(GrubError::Order { name: name.to_owned(), needs: needs.to_owned() }),
        None => Ok(()),
    }
}

/// The wanted modules and what they need, each behind what it needs.
fn order<'a>(dependencies: &'a str, wanted: &[&'a str]) -> Result<Vec<&'a str>, GrubError> {
    let mut order = Order { needs: read(dependencies)?, seen: BTreeSet::new(), done: Vec::new() };
    for name in wanted {
        order.add(name, None)?;
    }
    Ok(order.done)
}

fn read(dependencies: &str) -> Result<BTreeMap<&str, Vec<&str>>, GrubError> {
    let mut needs = BTreeMap::new();
    for (index, line) in dependencies.lines().enumerate() {
        let malformed = || GrubError::Line { number: index.saturating_add(1), line: line.to_owned() };
        let (name, others) =
            line.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(malformed)?;
        needs.insert(name, others.split_whitespace().collect());
    }
    Ok(needs)
}

struct Order<'a> {
    needs: BTreeMap<&'a str, Vec<&'a str>>,
    /// Also those that are not done yet, so that a circle ends.
    seen: BTreeSet<&'a str>,
    done: Vec<&'a str>,
}

impl<'a> Order<'a> {
    /// Depth first by a stack of our own: the list decides how deep it goes. The last of a module's needs comes
    /// first, as with `grub-mkimage`.
    fn add(&mut self, name: &'a str, needed_by: Option<&'a str>) -> Result<(), GrubError> {
        let mut stack = vec![(name, needed_by, false)];
        while let Some((name, needed_by, has_needs)) = stack.pop() {
            if has_needs {
                self.done.push(name);
                continue;
            }
            let needs = self.needs.get(name).ok_or_else(|| GrubError::Unknown {
                name: name.to_owned(),
                needed_by: needed_by.map(str::to_owned),
            })?;
            if self.seen.insert(name) {
                stack.push((name, needed_by, true));
                stack.extend(needs.iter().map(|needed| (*needed, Some(name), false)));
            }
        }
        Ok(())
    }
}
