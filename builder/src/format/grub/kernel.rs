//! `kernel.img`: an ELF program, laid out as it lies in memory.

use object::LittleEndian;
use object::elf::{EM_386, ET_EXEC, FileHeader32, SHF_ALLOC, SHT_NOBITS};
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::GrubError;
use crate::units::Bytes;

/// Where the decompressor jumps to (`GRUB_KERNEL_I386_PC_LINK_ADDR`).
pub(super) const START: u32 = 0x9000;
/// The scratch area of GRUB's disk code begins here.
const END: u32 = 0x6_8000;
const FILE: &str = "kernel.img";

/// The kernel's memory from [`START`] to the end of its data. `.bss` is not in it: GRUB takes its modules from
/// there, and clears it afterwards.
pub(super) fn lay_out(file: &[u8]) -> Result<Vec<u8>, GrubError> {
    let corrupt = |source| GrubError::Elf { file: FILE.to_owned(), source };
    let header = FileHeader32::<LittleEndian>::parse(file).map_err(corrupt)?;
    let endian = header.endian().map_err(corrupt)?;
    if header.e_type(endian) != ET_EXEC || header.e_machine(endian) != EM_386 {
        return Err(GrubError::Kind { file: FILE.to_owned(), expected: "program for 32-bit x86" });
    }
    let sections = header.sections(endian, file).map_err(corrupt)?;
    let mut memory = Vec::new();
    let mut first = u32::MAX;
    for section in sections.iter().filter(|section| section.sh_flags(endian) & SHF_ALLOC != 0) {
        let (address, size) = (section.sh_addr(endian), section.sh_size(endian));
        let place = place(address, size)?;
        if section.sh_type(endian) != SHT_NOBITS {
            if memory.len() < place.end {
                memory.resize(place.end, 0);
            }
            let content = section.data(endian, file).map_err(corrupt)?;
            memory[place].copy_from_slice(content);
        }
        first = first.min(address);
    }
    if first != START {
        return Err(GrubError::Start { found: first, expected: START });
    }
    Ok(memory)
}

/// Where a section lies in the kernel's memory.
fn place(address: u32, size: u32) -> Result<std::ops::Range<usize>, GrubError> {
    let outside = GrubError::Place { address, size: Bytes(size.into()), range: (START, END) };
    let end = address.checked_add(size).filter(|end| *end <= END);
    match (address.checked_sub(START), end.and_then(|end| end.checked_sub(START))) {
        (Some(from), Some(to)) => match (usize::try_from(from), usize::try_from(to)) {
            (Ok(from), Ok(to)) => Ok(from..to),
            _ => Err(outside),
        },
        _ => Err(outside),
    }
}
