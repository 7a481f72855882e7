//! Which systemd units start: links as `systemctl enable` makes them, decided at build time only.
//!
//! A unit is enabled when a package's generated section enables it (`dh_installsystemd`), a review or a
//! setup step says so, unless a preset file of the tree disables it; the profile has the last word.

mod file;
mod preset;

use std::collections::BTreeSet;

use thiserror::Error;

use super::{SetupError, Work, configuration, declared};
use crate::rootfs::DebInfo;
use crate::tree::{Kind, Tree, TreeError};
use file::{Install, UnitName};
use preset::Presets;

const CONFIGURED: &str = "etc/systemd/system";
const SHIPPED: &str = "usr/lib/systemd/system";

/// Why units cannot be enabled.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum UnitsError {
    /// The profile or a review names a unit that is not in the root.
    #[error("unit `{unit}` is enabled by {by}, but not in the root")]
    Unknown {
        /// Unit name.
        unit: String,
        /// Who wants it enabled.
        by: String,
    },
    /// A name is no unit name.
    #[error("`{name}` is no unit name")]
    Name {
        /// The name.
        name: String,
    },
    /// An `[Install]` value holds a specifier that has no value at build time.
    #[error("`{value}` in `[Install]` of `{unit}` has a specifier without value in an image")]
    Specifier {
        /// Unit name.
        unit: String,
        /// The value as written.
        value: String,
    },
    /// A preset file has a line that is none.
    #[error("line {line} of preset file `{file}` is neither enable, disable nor ignore")]
    Preset {
        /// Path below the root.
        file: String,
        /// Line number from 1.
        line: usize,
    },
    /// A link has no place.
    #[error("a link for unit `{unit}` has no place")]
    Place {
        /// Unit name.
        unit: String,
        /// Why.
        source: TreeError,
    },
}

pub(super) fn link(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    let profile = &work.context.profile.units;
    let presets = Presets::parse(&configuration(tree, "systemd/system-preset", ".preset"))?;
    let refused: BTreeSet<&str> = profile.disable.iter().chain(&profile.mask).map(String::as_str).collect();
    let mut enabling = Enabling { tree, refused: &refused, done: BTreeSet::new() };

    let generated = work.context.debs.iter().flat_map(generated);
    let reviewed = declared::reviews(work).flat_map(|review| {
        review.setup.enable.iter().map(move |unit| (unit.clone(), format!("the review of `{}`", review.name)))
    });
    for (unit, by) in generated.chain(reviewed) {
        if presets.allow(&unit) {
            enabling.enable(&unit, &by)?;
        }
    }
    for unit in &work.own_units {
        enabling.enable(unit, "setup")?;
    }
    for unit in &profile.enable {
        enabling.enable(unit, "the profile")?;
    }
    for unit in &profile.mask {
        mask(tree, unit)?;
    }
    Ok(())
}

/// Units that the generated sections of a package's postinst enable on installation.
///
/// `dh_installsystemd --no-enable` writes a section too, in which all is guarded by the unit having
/// been installed before.
fn generated(deb: &DebInfo) -> Vec<(String, String)> {
    const COMMAND: &str = "deb-systemd-helper enable '";
    let Some(script) = deb.scripts.get("postinst") else { return Vec::new() };
    let script = String::from_utf8_lossy(script);
    let sections = script.split("# Automatically added by ").skip(1);
    sections
        .filter(|section| {
            section.starts_with("dh_installsystemd/") || section.starts_with("dh_systemd_enable/")
        })
        .filter_map(|section| section.split("# End automatically added section").next())
        .filter(|section| !section.contains("deb-systemd-helper debian-installed"))
        .flat_map(|section| section.lines())
        .filter_map(|line| line.trim().strip_prefix(COMMAND)?.split_once('\''))
        .map(|(unit, _)| (unit.to_owned(), format!("package `{}`", deb.name)))
        .collect()
}

fn mask(tree: &mut Tree, unit: &str) -> Result<(), UnitsError> {
    UnitName::parse(unit)?;
    place(tree, unit, &format!("{CONFIGURED}/{unit}"), "/dev/null")
}

fn place(tree: &mut Tree, unit: &str, path: &str, target: &str) -> Result<(), UnitsError> {
    tree.symlink(path, target).map_err(|source| UnitsError::Place { unit: unit.to_owned(), source })
}

struct Enabling<'run> {
    tree: &'run mut Tree,
    /// Units that the profile disables or masks.
    refused: &'run BTreeSet<&'run str>,
    done: BTreeSet<String>,
}

impl Enabling<'_> {
    /// Makes the links of `unit` and of what it names in `Also=`.
    fn enable(&mut self, unit: &str, by: &str) -> Result<(), UnitsError> {
        let mut pending = vec![(unit.to_owned(), by.to_owned())];
        while let Some((unit, by)) = pending.pop() {
            let name = UnitName::parse(&unit)?;
            let is_refused =
                self.refused.contains(unit.as_str()) || self.refused.contains(name.template().as_str());
            if is_refused || !self.done.insert(unit.clone()) {
                continue;
            }
            let Some((path, install)) = self.load(&name) else {
                return Err(UnitsError::Unknown { unit, by });
            };
            for also in &install.also {
                let also = name.expand(also)?;
                // A unit may name itself, and ones that another package brings.
                if find(self.tree, &UnitName::parse(&also)?).is_some() {
                    pending.push((also, format!("`Also=` of `{unit}`")));
                }
            }
            self.link(&name, &path, &install)?;
        }
        Ok(())
    }

    fn load(&self, name: &UnitName) -> Option<(String, Install)> {
        let path = find(self.tree, name)?;
        let mut install = Install::default();
        for file in std::iter::once(path.clone()).chain(self.drop_ins(name)) {
            if let Some(text) = self.tree.file(&file).and_then(|text| std::str::from_utf8(text).ok()) {
                install.read(text);
            }
        }
        Some((path, install))
    }

    fn drop_ins(&self, name: &UnitName) -> Vec<String> {
        let folders = [SHIPPED, CONFIGURED].map(|base| format!("{base}/{}.d", name.file()));
        let files = folders.iter().flat_map(|folder| self.tree.below(folder)).map(|(path, _)| path);
        files.filter(|path| path.strip_suffix(".conf").is_some()).map(str::to_owned).collect()
    }

    fn link(&mut self, name: &UnitName, path: &str, install: &Install) -> Result<(), UnitsError> {
        let target = format!("/{path}");
        for alias in &install.alias {
            // An instance's alias is the same instance of the alias's template.
            let alias = match UnitName::parse(&name.expand(alias)?)? {
                template if template.is_template() => template.with_instance_of(name),
                plain => plain,
            };
            if alias != *name {
                place(self.tree, &name.full(), &format!("{CONFIGURED}/{}", alias.full()), &target)?;
            }
        }
        // A template by itself starts nothing: its default instance does.
        let member = match &install.default_instance {
            Some(instance) if name.is_template() => name.instantiate(&name.expand(instance)?),
            _ => name.clone(),
        };
        let wants = [
            ("wants", &install.wanted_by),
            ("requires", &install.required_by),
            ("upholds", &install.upheld_by),
        ];
        for (suffix, parents) in wants {
            for parent in parents {
                let parent = member.expand(parent)?;
                UnitName::parse(&parent)?;
                let link = format!("{CONFIGURED}/{parent}.{suffix}/{}", member.full());
                place(self.tree, &name.full(), &link, &target)?;
            }
        }
        Ok(())
    }
}

/// Path of the unit's file: a file of its own in `/etc` hides the shipped one; an instance without
/// one has its template's.
fn find(tree: &Tree, name: &UnitName) -> Option<String> {
    let files = [name.full(), name.file()];
    files.iter().flat_map(|file| [CONFIGURED, SHIPPED].map(|base| format!("{base}/{file}"))).find_map(
        |path| {
            match &tree.get(&path)?.kind {
                Kind::File(_) => Some(path),
                // A shipped alias stands for the unit it leads to.
                Kind::Symlink(target) => {
                    declared::resolve(tree, &path, target).filter(|path| tree.file(path).is_some())
                }
                Kind::Directory => None,
            }
        },
    )
}

#[cfg(test)]
mod tests;
