//! From files to a profile: one level of inheritance, one architecture.

use std::collections::BTreeMap;
use std::path::Path;

use super::artifact::{Artifact, Declared};
use super::check::check;
use super::raw::{
    RawArtifacts, RawExclusion, RawFile, RawKernel, RawPackages, RawProfile, RawRoot, RawUnits,
};
use super::value::{Package, Reason, RootPath, Unit};
use super::{AddedContent, AddedFile, Exclusion, Firmware, Kernel, Packages, Profile, Reasoned, Root, Units};
use crate::cluster::DnsLabel;
use crate::diagnostic::{Faults, Located, Report, Span, listed};
use crate::format::erofs::{Compression, CompressionError};
use crate::settings::{self, Kind, LoadError};
use crate::spelling::did_you_mean;
use crate::units::Arch;

/// Permission bits of a file that names none.
const MODE: u16 = 0o644;

impl Profile {
    /// Loads the profile called `name` for `arch`: the file beside the cluster file in `directory`, else
    /// the embedded one. Faults are those of the file and of the one it inherits from.
    pub fn load(name: &str, arch: Arch, directory: &Path) -> Result<Self, LoadError> {
        let own = settings::load(Kind::Profile, name, directory)?;
        let report = Report::new(&own.shown, &own.text);
        let (declared, mut others) = split(Declared::load(directory)?);
        let raw = report.read(RawProfile::read);
        let base = match raw.as_ref().and_then(|raw| raw.inherits.as_ref()) {
            Some(inherits) => inherited(inherits, name, arch, &report, directory, declared.as_ref())?,
            None => Ok(Some(empty(arch))),
        };
        let (base, of_base) = split(base);
        others.splice(0..0, of_base);
        let profile = raw.and_then(|raw| {
            check(&raw, &report);
            overlay(base??, raw, name, &report, declared.as_ref())
        });
        match Faults::merged(report.into_faults().into_iter().chain(others)) {
            Some(faults) => Err(faults.into()),
            None => Ok(profile.expect("a profile without faults has every required key")),
        }
    }
}

/// The value, or its faults beside those of others.
fn split<T>(result: Result<T, Faults>) -> (Option<T>, Vec<Faults>) {
    match result {
        Ok(value) => (Some(value), Vec::new()),
        Err(faults) => (None, vec![faults]),
    }
}

/// What a profile starts from that inherits nothing.
fn empty(arch: Arch) -> Profile {
    let kernel = Kernel {
        package: String::new(),
        command_line: Vec::new(),
        initrd_modules: Vec::new(),
        load_modules: Vec::new(),
    };
    Profile {
        name: String::new(),
        arch,
        description: String::new(),
        debug: false,
        packages: Packages::default(),
        artifacts: Vec::new(),
        kernel,
        root: Root::default(),
        firmware: Firmware::default(),
        files: Vec::new(),
        exclude: Vec::new(),
        units: Units::default(),
    }
}

/// The profile that `inherits` names; `Ok(Ok(None))` after a fault recorded at that key, `Ok(Err(_))`
/// with the faults of its own file.
fn inherited(
    inherits: &Located<DnsLabel>,
    name: &str,
    arch: Arch,
    report: &Report,
    directory: &Path,
    declared: Option<&Declared>,
) -> Result<Result<Option<Profile>, Faults>, LoadError> {
    let Located { value, span } = inherits;
    if value.as_str() == name {
        report.fault(span, "a profile can't inherit from itself");
        return Ok(Ok(None));
    }
    let Some(file) = settings::find(Kind::Profile, value.as_str(), directory)? else {
        let known = settings::names(Kind::Profile, directory)?;
        let names = || known.iter().map(String::as_str).filter(|known| *known != name);
        let help = did_you_mean(value.as_str(), names()).map_or_else(
            || format!("known are {}", listed(names())),
            |near| format!("did you mean `{near}`?"),
        );
        report.fault_with_help(span, format!("there is no profile `{value}`"), help);
        return Ok(Ok(None));
    };
    let own = Report::new(&file.shown, &file.text);
    let raw = own.read(RawProfile::read);
    if let Some(grandparent) = raw.as_ref().and_then(|raw| raw.inherits.as_ref()) {
        let reason = format!(
            "`{value}` inherits from `{}` itself; profiles inherit over one level",
            grandparent.value
        );
        report.fault(span, reason);
        return Ok(Ok(None));
    }
    let profile = raw.and_then(|raw| {
        check(&raw, &own);
        overlay(empty(arch), raw, value.as_str(), &own, declared)
    });
    Ok(own.finish(profile).map(Some))
}

/// Lays one file over `base`: lists append, single values replace. Without `declared`, whose file has faults
/// then, nothing is said about artifacts.
fn overlay(
    base: Profile,
    raw: RawProfile,
    name: &str,
    report: &Report,
    declared: Option<&Declared>,
) -> Option<Profile> {
    let Profile {
        arch,
        debug,
        mut packages,
        mut artifacts,
        mut kernel,
        root,
        mut firmware,
        files,
        mut exclude,
        units,
        ..
    } = base;
    for layer in raw.packages.layers(arch) {
        add_packages(&mut packages, layer, report);
    }
    if let Some(declared) = declared {
        add_artifacts(&mut artifacts, &raw.artifacts, arch, report, declared);
    }
    for layer in raw.kernel.layers(arch) {
        add_kernel(&mut kernel, layer);
    }
    for layer in raw.firmware.layers(arch) {
        append(&mut firmware.packages, layer.packages.into_iter().map(|package| package.value.0));
    }
    if kernel.package.is_empty() {
        report.fault(&(0..0), format!("the profile names no `kernel.package` for {arch}"));
    }
    for added in raw.exclude {
        exclude.push(exclusion(added)?);
    }
    Some(Profile {
        name: name.to_owned(),
        arch,
        description: raw.description?.value.0,
        debug: raw.debug.map_or(debug, |debug| debug.value),
        packages,
        artifacts,
        kernel,
        root: add_root(root, raw.root, report),
        firmware,
        files: add_files(files, raw.files, report)?,
        exclude,
        units: add_units(units, raw.units),
    })
}

fn add_packages(packages: &mut Packages, raw: RawPackages, report: &Report) {
    let known: Vec<String> = packages.install.clone();
    for Located { value: Package(name), span } in raw.remove {
        if known.contains(&name) {
            packages.install.retain(|package| *package != name);
            continue;
        }
        let reason = format!("`{name}` is not inherited, so there is nothing to remove");
        match did_you_mean(&name, known.iter().map(String::as_str)) {
            Some(near) => report.fault_with_help(&span, reason, format!("did you mean `{near}`?")),
            None => report.fault(&span, reason),
        }
    }
    append(&mut packages.components, raw.components.into_iter().map(|component| component.value.0));
    append(&mut packages.install, raw.install.into_iter().map(|package| package.value.0));
    append(&mut packages.boot, raw.boot.into_iter().map(|package| package.value.0));
    add_reasoned(&mut packages.drop, raw.drop);
    add_reasoned(&mut packages.exclude, raw.exclude);
    // Asked for by an overlay: what the base drops is wanted after all.
    packages.drop.retain(|dropped| !packages.install.contains(&dropped.name));
}

/// Sorted by name. Unlike a package, what is removed need not be inherited, for it is known by its declaration:
/// who replaces a shipped profile can still use those that inherit from it.
fn add_artifacts(
    artifacts: &mut Vec<Artifact>,
    raw: &RawArtifacts,
    arch: Arch,
    report: &Report,
    declared: &Declared,
) {
    for name in &raw.remove {
        declared.check_name(name, report);
        artifacts.retain(|artifact| artifact.name != name.value.as_str());
    }
    for name in &raw.install {
        artifacts.extend(declared.find(name, arch, report));
    }
    artifacts.sort_by(|one, other| one.name.cmp(&other.name));
    // What is inherited and installed again is the same.
    artifacts.dedup();
}

/// Appends what is not there yet.
fn append(list: &mut Vec<String>, more: impl Iterator<Item = String>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// A later reason replaces an earlier one; sorted by name.
fn add_reasoned(list: &mut Vec<Reasoned>, more: Vec<(Located<Package>, Located<Reason>)>) {
    let more = more.into_iter().map(|(name, reason)| (name.value.0, reason.value.0));
    let all: BTreeMap<String, String> =
        list.drain(..).map(|reasoned| (reasoned.name, reasoned.reason)).chain(more).collect();
    list.extend(all.into_iter().map(|(name, reason)| Reasoned { name, reason }));
}

fn add_kernel(kernel: &mut Kernel, raw: RawKernel) {
    if let Some(package) = raw.package {
        kernel.package = package.value.0;
    }
    // Kernel arguments may repeat on purpose: `console=` twice means two consoles.
    kernel.command_line.extend(raw.command_line.into_iter().map(|argument| argument.value.0));
    append(&mut kernel.initrd_modules, raw.initrd_modules.into_iter().map(|module| module.value.0));
    append(&mut kernel.load_modules, raw.load_modules.into_iter().map(|module| module.value.0));
}

/// Another algorithm brings its own defaults, for a level of one says nothing about the other.
fn add_root(base: Root, raw: RawRoot, report: &Report) -> Root {
    let mut compression = match raw.compression {
        Some(Located { value, .. }) => value.map(Compression::from),
        None => base.compression,
    };
    let mut change =
        |span: &Span, with: &dyn Fn(Compression) -> Result<Compression, CompressionError>| match compression
            .map(with)
        {
            Some(Ok(changed)) => compression = Some(changed),
            Some(Err(error)) => report.fault(span, error),
            None => report.fault(span, "nothing is compressed, so there is nothing to set"),
        };
    if let Some(Located { value, span }) = raw.level {
        change(&span, &|compression| compression.with_level(value));
    }
    if let Some(Located { value, span }) = raw.cluster_size {
        change(&span, &|compression| compression.with_cluster_size(value.0));
    }
    Root { compression }
}

fn exclusion(raw: RawExclusion) -> Option<Exclusion> {
    let patterns = |list: Vec<Located<super::value::Pattern>>| {
        list.into_iter().map(|pattern| pattern.value.0).collect::<Vec<_>>()
    };
    Some(Exclusion { paths: patterns(raw.paths), except: patterns(raw.except), reason: raw.reason?.value.0 })
}

/// A file of the same path replaces; sorted by path.
fn add_files(base: Vec<AddedFile>, raw: Vec<RawFile>, report: &Report) -> Option<Vec<AddedFile>> {
    let mut all: BTreeMap<String, AddedFile> =
        base.into_iter().map(|file| (file.path.clone(), file)).collect();
    for file in raw {
        let content = match (file.text, file.symlink) {
            (Some(text), None) => {
                AddedContent::File { text: text.value, mode: file.mode.map_or(MODE, |mode| mode.value.0) }
            }
            (None, Some(target)) => AddedContent::Symlink { target: target.value },
            _ => return None,
        };
        let Located { value: RootPath(path), span } = file.path?;
        let origin = report.origin(&span);
        all.insert(path.clone(), AddedFile { path, content, origin });
    }
    Some(all.into_values().collect())
}

/// An overlay's word on a unit replaces the base's, whatever list that stood in.
fn add_units(base: Units, raw: RawUnits) -> Units {
    let names = |list: Vec<Located<Unit>>| list.into_iter().map(|unit| unit.value.0).collect::<Vec<_>>();
    let (enable, disable, mask) = (names(raw.enable), names(raw.disable), names(raw.mask));
    let is_told = |unit: &String| enable.contains(unit) || disable.contains(unit) || mask.contains(unit);
    let merged = |base: Vec<String>, own: &[String]| {
        let mut list: Vec<String> = base.into_iter().filter(|unit| !is_told(unit)).collect();
        append(&mut list, own.iter().cloned());
        list
    };
    Units {
        enable: merged(base.enable, &enable),
        disable: merged(base.disable, &disable),
        mask: merged(base.mask, &mask),
    }
}
