//! Reads what one module file says about itself.

use std::collections::HashSet;

use object::LittleEndian;
use object::elf::{ET_REL, FileHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _, SectionTable, Sym as _, SymbolTable};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::{Deserialize, Serialize};

use super::{KmodError, decompress, module_name};

type Header = FileHeader64<LittleEndian>;

/// One entry of `__versions`: a checksum of 8 bytes, then the symbol's name, padded with NUL.
const VERSION_SIZE: usize = 64;
const VERSION_NAME: usize = 8;

/// A module file and what it says about itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// Path below the directory of the release: `kernel/fs/erofs/erofs.ko.xz`.
    pub path: String,
    /// What is in it.
    pub info: ModuleInfo,
}

impl Module {
    /// The path without the ending of its packing, as `modules.order` has it.
    pub fn unpacked_path(&self) -> &str {
        self.path.rfind(".ko").and_then(|end| self.path.get(..end.saturating_add(3))).unwrap_or(&self.path)
    }
}

/// Contents of a module that matter for loading it. Lists are in the order of the file.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// Name it goes by: the file's, with `_` for `-`.
    pub name: String,
    /// Patterns of the devices and services it is for.
    pub aliases: Vec<String>,
    /// Names of the modules whose symbols it uses, as the kernel's build found them.
    pub depends: Vec<String>,
    /// Modules to be loaded around it, `pre: a b post: c`.
    pub softdeps: Vec<String>,
    /// Modules it may load by itself later on.
    pub weakdeps: Vec<String>,
    /// Files below `/usr/lib/firmware` it may ask for.
    pub firmware: Vec<String>,
    /// Symbols it gives to other modules.
    pub exports: Vec<String>,
    /// Symbols it needs from the kernel or other modules.
    pub imports: Vec<String>,
}

/// Reads the module file `bytes`, packed as the ending of `path` says.
pub fn read_module(path: &str, bytes: &[u8]) -> Result<Module, KmodError> {
    let data = decompress(path, bytes)?;
    let file = File::parse(path, &data)?;
    let mut info = ModuleInfo {
        name: module_name(path),
        exports: file.exports()?,
        imports: file.imports()?,
        ..ModuleInfo::default()
    };
    for record in file.strings(".modinfo")?.ok_or_else(|| file.lacks(".modinfo"))? {
        let Some((key, value)) = record.split_once('=') else { continue };
        let list = match key {
            "depends" => {
                info.depends.extend(value.split(',').filter(|name| !name.is_empty()).map(str::to_owned));
                continue;
            }
            "alias" => &mut info.aliases,
            "softdep" => &mut info.softdeps,
            "weakdep" => &mut info.weakdeps,
            "firmware" => &mut info.firmware,
            _ => continue,
        };
        list.push(value.to_owned());
    }
    Ok(Module { path: path.to_owned(), info })
}

/// Reads many modules on all processors; the result is in the order given.
pub fn read_modules<'a, I>(files: I) -> Result<Vec<Module>, KmodError>
where
    I: IntoIterator<Item = (&'a str, &'a [u8])>,
{
    let files: Vec<_> = files.into_iter().collect();
    files.into_par_iter().map(|(path, bytes)| read_module(path, bytes)).collect()
}

/// A parsed ELF file and where it came from, for errors.
struct File<'a> {
    path: &'a str,
    data: &'a [u8],
    sections: SectionTable<'a, Header>,
    symbols: SymbolTable<'a, Header>,
}

impl<'a> File<'a> {
    fn parse(path: &'a str, data: &'a [u8]) -> Result<Self, KmodError> {
        let corrupt = |source| KmodError::Elf { path: path.to_owned(), source };
        let unsupported = || KmodError::Unsupported { path: path.to_owned() };
        // Class and byte order are bytes 4 and 5 (ELF gABI, e_ident): 2 is 64-bit, 1 is little-endian.
        if let Some([0x7f, b'E', b'L', b'F', class, order]) = data.get(..6)
            && (*class, *order) != (2, 1)
        {
            return Err(unsupported());
        }
        let header = Header::parse(data).map_err(corrupt)?;
        if header.e_type.get(LittleEndian) != ET_REL {
            return Err(unsupported());
        }
        let sections = header.sections(LittleEndian, data).map_err(corrupt)?;
        let symbols = sections.symbols(LittleEndian, data, object::elf::SHT_SYMTAB).map_err(corrupt)?;
        let file = Self { path, data, sections, symbols };
        if file.symbols.is_empty() { Err(file.lacks(".symtab")) } else { Ok(file) }
    }

    fn lacks(&self, section: &'static str) -> KmodError {
        KmodError::Section { path: self.path.to_owned(), section }
    }

    fn corrupt(&self, source: object::read::Error) -> KmodError {
        KmodError::Elf { path: self.path.to_owned(), source }
    }

    fn text(&self, section: &'static str, bytes: &'a [u8]) -> Result<&'a str, KmodError> {
        str::from_utf8(bytes).map_err(|_| KmodError::Text { path: self.path.to_owned(), section })
    }

    fn section(&self, name: &str) -> Result<Option<&'a [u8]>, KmodError> {
        self.sections
            .section_by_name(LittleEndian, name.as_bytes())
            .map(|(_, section)| section.data(LittleEndian, self.data).map_err(|source| self.corrupt(source)))
            .transpose()
    }

    /// The non-empty NUL-terminated strings of a section.
    fn strings(&self, section: &'static str) -> Result<Option<Vec<&'a str>>, KmodError> {
        let Some(data) = self.section(section)? else { return Ok(None) };
        data.split(|byte| *byte == 0)
            .filter(|string| !string.is_empty())
            .map(|string| self.text(section, string))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Exported symbols by their checksums `__crc_<symbol>`; kernels without `CONFIG_MODVERSIONS` have
    /// their names in `__ksymtab_strings` only.
    fn exports(&self) -> Result<Vec<String>, KmodError> {
        let mut names = Vec::new();
        for symbol in self.symbols.iter().skip(1) {
            let name =
                symbol.name(LittleEndian, self.symbols.strings()).map_err(|source| self.corrupt(source))?;
            if let Some(name) = name.strip_prefix(b"__crc_") {
                names.push(self.text(".strtab", name)?.to_owned());
            }
        }
        if names.is_empty() {
            let strings = self.strings("__ksymtab_strings")?.unwrap_or_default();
            names = strings.into_iter().map(str::to_owned).collect();
        }
        Ok(names)
    }

    /// Undefined symbols, then what `__versions` names beyond them: a module may depend on a symbol
    /// for its layout only.
    fn imports(&self) -> Result<Vec<String>, KmodError> {
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        for symbol in self.symbols.iter().skip(1).filter(|symbol| symbol.is_undefined(LittleEndian)) {
            let name =
                symbol.name(LittleEndian, self.symbols.strings()).map_err(|source| self.corrupt(source))?;
            if !name.is_empty() {
                seen.insert(name);
                names.push(self.text(".strtab", name)?.to_owned());
            }
        }
        let versions = self.section("__versions")?.unwrap_or_default();
        for entry in versions.chunks(VERSION_SIZE) {
            let name = entry.get(VERSION_NAME..).and_then(before_nul);
            let malformed = || KmodError::Text { path: self.path.to_owned(), section: "__versions" };
            let name = name.ok_or_else(malformed)?;
            if !seen.contains(name) {
                names.push(self.text("__versions", name)?.to_owned());
            }
        }
        Ok(names)
    }
}

/// What stands before the first NUL, of which there must be one.
fn before_nul(bytes: &[u8]) -> Option<&[u8]> {
    bytes.iter().position(|byte| *byte == 0).map(|end| &bytes[..end])
}
