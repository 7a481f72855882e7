//! The node programs `firstboot` and `stage0`: inputs of a bundle, known by digest and compiler.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use object::read::elf::{ElfFile64, FileHeader as _};
use object::{LittleEndian, Object as _, ObjectSection as _};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::environment;
use crate::units::{self, Arch, Sha256};

/// Both programs of one architecture.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Makes an image a node; `/usr/bin/firstboot`.
    pub firstboot: Bytes,
    /// The initrd's `/init`.
    pub stage0: Bytes,
}

/// What the manifest says of a program.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramFacts {
    /// Size of the file.
    pub size: units::Bytes,
    /// Digest of the file.
    pub sha256: Sha256,
    /// Compilers that say so in the file's `.comment`, e.g. `rustc version 1.95.0 …`.
    pub compilers: Vec<String>,
}

/// Why there are no node programs.
#[derive(Debug, Error)]
pub enum ProgramsError {
    /// No folder has them.
    #[error("no node programs for {arch}; looked in {}", shown(looked_in))]
    NotFound {
        /// For which architecture.
        arch: Arch,
        /// Folders that were looked in.
        looked_in: Vec<PathBuf>,
    },
    /// A program can't be read.
    #[error("reading node program `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program is no static executable for the architecture.
    #[error("`{}` is {found}, not a static 64-bit program for {arch}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// For which architecture.
        arch: Arch,
        /// What it is.
        found: &'static str,
    },
}

fn shown(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| format!("`{}`", folder.display())).collect::<Vec<_>>().join(", ")
}

impl Programs {
    /// Finds the programs for `arch`: in the folder that the environment names, below the
    /// installation's `lib/imgbuild/`, or in the target folder that holds `imgbuild` itself.
    pub fn find(arch: Arch) -> Result<Self, ProgramsError> {
        let looked_in = folders(arch);
        let has_both =
            |folder: &&PathBuf| folder.join("firstboot").is_file() && folder.join("stage0").is_file();
        match looked_in.iter().find(has_both) {
            Some(folder) => Self::load(folder, arch),
            None => Err(ProgramsError::NotFound { arch, looked_in }),
        }
    }

    /// Reads both programs from `folder` and checks that they are what a node can run.
    pub fn load(folder: &Path, arch: Arch) -> Result<Self, ProgramsError> {
        Ok(Self {
            firstboot: read(&folder.join("firstboot"), arch)?,
            stage0: read(&folder.join("stage0"), arch)?,
        })
    }
}

fn folders(arch: Arch) -> Vec<PathBuf> {
    let named =
        std::env::var_os(environment::PROGRAMS).map(|folder| PathBuf::from(folder).join(arch.debian()));
    let program = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    let beside = program.as_deref().and_then(Path::parent);
    // <prefix>/bin/imgbuild, <prefix>/lib/imgbuild/<arch>.
    let installed =
        beside.and_then(Path::parent).map(|prefix| prefix.join("lib/imgbuild").join(arch.debian()));
    // In a checkout, `imgbuild` lies in target/<triple>/release: what `make nodes` made for both
    // architectures, then what cargo compiled beside it.
    let release = match arch {
        Arch::Amd64 => "x86_64-unknown-linux-gnu/release",
        Arch::Arm64 => "aarch64-unknown-linux-gnu/release",
    };
    let target = beside.and_then(Path::parent).and_then(Path::parent);
    let built =
        target.into_iter().flat_map(|target| [target.join("nodes").join(release), target.join(release)]);
    named.into_iter().chain(installed).chain(built).collect()
}

fn read(path: &Path, arch: Arch) -> Result<Bytes, ProgramsError> {
    let data = fs::read(path).map_err(|source| ProgramsError::Read { path: path.to_owned(), source })?;
    let wrong = |found| ProgramsError::Kind { path: path.to_owned(), arch, found };
    let file = ElfFile64::<LittleEndian>::parse(data.as_slice()).map_err(|_| wrong("no 64-bit ELF file"))?;
    let machine = match arch {
        Arch::Amd64 => object::elf::EM_X86_64,
        Arch::Arm64 => object::elf::EM_AARCH64,
    };
    if file.elf_header().e_machine(LittleEndian) != machine {
        return Err(wrong("for another processor"));
    }
    let is_dynamic = |header: &object::elf::ProgramHeader64<LittleEndian>| {
        header.p_type.get(LittleEndian) == object::elf::PT_INTERP
    };
    if file.elf_program_headers().iter().any(is_dynamic) {
        return Err(wrong("dynamically linked"));
    }
    Ok(data.into())
}

impl ProgramFacts {
    /// The facts of a program.
    pub fn of(program: &Bytes) -> Self {
        let comment = ElfFile64::<LittleEndian>::parse(program.as_ref())
            .ok()
            .and_then(|file| file.section_by_name(".comment")?.data().ok().map(<[u8]>::to_vec))
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&comment);
        let mut compilers: Vec<String> =
            text.split('\0').filter(|text| !text.is_empty()).map(str::to_owned).collect();
        compilers.sort();
        compilers.dedup();
        Self { size: units::Bytes::of(program), sha256: Sha256::of(program), compilers }
    }
}
