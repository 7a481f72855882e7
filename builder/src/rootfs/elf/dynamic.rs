//! What an ELF file asks of the dynamic linker.

use object::Endianness;
use object::elf::{
    DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, ELFCLASS64, ET_DYN, ET_EXEC,
    FileHeader32, FileHeader64,
};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};

use crate::units::Arch;

/// Class and machine: libraries and programs go together where these are equal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Machine {
    /// Whether addresses have 64 bits.
    pub is_64: bool,
    /// `e_machine` of the ELF header.
    pub number: u16,
}

impl Machine {
    /// The machine that `arch` runs natively.
    pub const fn of(arch: Arch) -> Self {
        let number = match arch {
            Arch::Amd64 => object::elf::EM_X86_64,
            Arch::Arm64 => object::elf::EM_AARCH64,
        };
        Self { is_64: true, number }
    }
}

/// The parts of an executable or shared library that concern the dynamic linker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dynamic {
    /// What it runs on.
    pub machine: Machine,
    /// Its dynamic linker, for programs.
    pub interpreter: Option<String>,
    /// Whether it has a dynamic section at all; a static program has none.
    pub is_dynamic: bool,
    /// Libraries it needs, in order.
    pub needed: Vec<String>,
    /// The name other files need it by.
    pub soname: Option<String>,
    /// `DT_RUNPATH`: directories searched for what this file needs, `$ORIGIN` unexpanded.
    pub runpath: Vec<String>,
    /// `DT_RPATH`, which counts only without a `DT_RUNPATH`: also for what its libraries need.
    pub rpath: Vec<String>,
}

/// Reads an executable or shared library; none for anything else, e.g. object files and core dumps.
pub fn read(content: &[u8]) -> Result<Option<Dynamic>, object::read::Error> {
    match content {
        [0x7f, b'E', b'L', b'F', class, ..] if *class == ELFCLASS64 => {
            read_class::<FileHeader64<Endianness>>(content)
        }
        [0x7f, b'E', b'L', b'F', ..] => read_class::<FileHeader32<Endianness>>(content),
        _ => Ok(None),
    }
}

fn read_class<Header: FileHeader<Endian = Endianness>>(
    content: &[u8],
) -> Result<Option<Dynamic>, object::read::Error> {
    let header = Header::parse(content)?;
    let endian = header.endian()?;
    if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
        return Ok(None);
    }
    let machine = Machine { is_64: header.is_class_64(), number: header.e_machine(endian) };
    let mut dynamic = Dynamic {
        machine,
        interpreter: None,
        is_dynamic: false,
        needed: Vec::new(),
        soname: None,
        runpath: Vec::new(),
        rpath: Vec::new(),
    };
    let segments = header.program_headers(endian, content)?;
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, content)? {
            dynamic.interpreter = Some(String::from_utf8_lossy(interpreter).into_owned());
        }
        if let Some(entries) = segment.dynamic(endian, content)? {
            dynamic.is_dynamic = true;
            let entries: Vec<(u64, u64)> = entries
                .iter()
                .map(|entry| (entry.d_tag(endian).into(), entry.d_val(endian).into()))
                .take_while(|(tag, _)| *tag != u64::from(DT_NULL))
                .collect();
            let value =
                |wanted: u32| entries.iter().find(|(tag, _)| *tag == u64::from(wanted)).map(|entry| entry.1);
            let (address, size) = (value(DT_STRTAB).unwrap_or(0), value(DT_STRSZ).unwrap_or(0));
            // Without strings all names are empty, and a library without a name is found nowhere.
            let strings = segments
                .iter()
                .find_map(|segment| segment.data_range(endian, content, address, size).ok().flatten())
                .unwrap_or_default();
            dynamic.fill(&entries, strings);
        }
    }
    Ok(Some(dynamic))
}

impl Dynamic {
    fn fill(&mut self, entries: &[(u64, u64)], strings: &[u8]) {
        let all = |wanted: u32| {
            entries
                .iter()
                .filter(move |(tag, _)| *tag == u64::from(wanted))
                .map(|(_, value)| text(strings, *value))
        };
        self.needed = all(DT_NEEDED).collect();
        self.soname = all(DT_SONAME).next();
        let folders = |tag| {
            let path: String = all(tag).next().unwrap_or_default();
            path.split(':').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        self.runpath = folders(DT_RUNPATH);
        if self.runpath.is_empty() {
            self.rpath = folders(DT_RPATH);
        }
    }
}

/// The string at `offset`; empty where that lies outside, which then is found in no directory.
fn text(strings: &[u8], offset: u64) -> String {
    let rest = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..)).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    String::from_utf8_lossy(&rest[..end]).into_owned()
}
