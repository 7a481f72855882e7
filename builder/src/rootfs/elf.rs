//! Build gate: every ELF file of a tree finds the libraries it needs.
//!
//! Looked at are executables and shared libraries anywhere but below `usr/lib/modules`. Each program is
//! followed through its libraries as ld.so(8) does; so is each library that no program names. Not
//! modelled: `LD_*` variables, what `dlopen` asks for, `glibc-hwcaps` and symbol versions.

pub mod dynamic;
mod load;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use self::dynamic::{Dynamic, Machine};
use self::load::Loader;
use super::library;
use crate::tree::{Kind, Tree};
use crate::units::Arch;

/// One thing a file lacks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Lack {
    /// A library is in no directory where the file looks for it.
    Library {
        /// The file below the root.
        path: String,
        /// The library as the file names it.
        library: String,
        /// What was being loaded when it showed; the file itself, or a program that uses it.
        program: String,
        /// Where it was looked for.
        searched: Vec<String>,
    },
    /// The program's dynamic linker is not there.
    Interpreter {
        /// The program below the root.
        path: String,
        /// The dynamic linker.
        interpreter: String,
    },
    /// The file is for another machine.
    Machine {
        /// The file below the root.
        path: String,
        /// `e_machine` of its ELF header.
        found: u16,
        /// What the tree is for.
        expected: Arch,
    },
    /// The file is damaged.
    Damaged {
        /// The file below the root.
        path: String,
        /// What the ELF reader says.
        reason: object::read::Error,
    },
}

impl Lack {
    /// The file that lacks something, below the root.
    pub fn path(&self) -> &str {
        match self {
            Self::Library { path, .. }
            | Self::Interpreter { path, .. }
            | Self::Machine { path, .. }
            | Self::Damaged { path, .. } => path,
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library { path, library, program, searched } => {
                write!(formatter, "`{path}` needs `{library}`, which is not in {}", searched.join(":"))?;
                if path == program { Ok(()) } else { write!(formatter, " when `{program}` is loaded") }
            }
            Self::Interpreter { path, interpreter } => {
                write!(formatter, "`{path}` needs the dynamic linker `{interpreter}`, which is not there")
            }
            Self::Machine { path, found, expected } => {
                write!(formatter, "`{path}` is for ELF machine {found}, the image for {expected}")
            }
            Self::Damaged { path, reason } => write!(formatter, "`{path}` is no valid ELF file: {reason}"),
        }
    }
}

/// Files of the tree lack something; all of them, in path order.
#[derive(Debug, Error)]
#[error("{}", Listed(lacks))]
pub struct ElfError {
    /// What is lacking.
    pub lacks: Vec<Lack>,
}

struct Listed<'a>(&'a [Lack]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, lack) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            lack.fmt(formatter)?;
        }
        Ok(())
    }
}

/// Checks all ELF files of `tree`.
pub fn check(tree: &Tree, arch: Arch) -> Result<(), ElfError> {
    let mut lacks = Vec::new();
    let files = read_all(tree, arch, &mut lacks);
    let directories = library::directories(tree, arch);
    let loader = Loader { tree, files: &files, directories: &directories };
    for (path, dynamic) in &files {
        if let Some(interpreter) = &dynamic.interpreter
            && loader.find("", interpreter).is_none()
        {
            lacks.push(Lack::Interpreter { path: (*path).to_owned(), interpreter: interpreter.clone() });
        }
    }
    for ((path, library), (program, searched)) in missing_libraries(&loader) {
        let [path, library, program] = [path, library, program].map(str::to_owned);
        lacks.push(Lack::Library { path, library, program, searched });
    }
    if lacks.is_empty() {
        return Ok(());
    }
    lacks.sort_by(|one, other| one.path().cmp(other.path()));
    Err(ElfError { lacks })
}

/// All executables and libraries for `arch`; others and damaged ones are lacks.
fn read_all<'a>(tree: &'a Tree, arch: Arch, lacks: &mut Vec<Lack>) -> BTreeMap<&'a str, Dynamic> {
    let mut files = BTreeMap::new();
    for (path, entry) in tree.iter() {
        let Kind::File(content) = &entry.kind else { continue };
        if path.starts_with("usr/lib/modules/") {
            continue;
        }
        match dynamic::read(content) {
            Ok(Some(dynamic)) if dynamic.machine == Machine::of(arch) => {
                files.insert(path, dynamic);
            }
            Ok(Some(dynamic)) => {
                let found = dynamic.machine.number;
                lacks.push(Lack::Machine { path: path.to_owned(), found, expected: arch });
            }
            Ok(None) => {}
            Err(reason) => lacks.push(Lack::Damaged { path: path.to_owned(), reason }),
        }
    }
    files
}

/// By needing file and library: the program that meets the lack, and where was searched.
type Missing<'a> = BTreeMap<(&'a str, &'a str), (&'a str, Vec<String>)>;

/// What is not found when each program starts; and, for libraries that no program names, when one of them
/// is loaded by itself, as plug-ins are. A library may rely on what the file that needs it has loaded.
fn missing_libraries<'a>(loader: &Loader<'a>) -> Missing<'a> {
    let mut missing = Missing::new();
    let mut in_programs = BTreeSet::new();
    for (program, _) in loader.files.iter().filter(|(_, dynamic)| dynamic.interpreter.is_some()) {
        for need in loader.load(program) {
            match need.found {
                Some(path) => drop(in_programs.insert(path)),
                None => drop(missing.insert((need.path, need.library), (*program, need.searched))),
            }
        }
    }
    let (mut missing_alone, mut found) = (Missing::new(), BTreeSet::new());
    for (plugin, dynamic) in loader.files {
        if dynamic.interpreter.is_some() || in_programs.contains(plugin) {
            continue;
        }
        for need in loader.load(plugin) {
            match need.found {
                Some(_) => drop(found.insert((need.path, need.library))),
                None => drop(missing_alone.insert((need.path, need.library), (*plugin, need.searched))),
            }
        }
    }
    missing_alone.retain(|need, _| !found.contains(need));
    missing.extend(missing_alone);
    missing
}
