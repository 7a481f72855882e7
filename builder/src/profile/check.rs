//! What spans several keys of one profile file, for all architectures.

use std::collections::HashMap;
use std::hash::Hash;

use super::raw::{RawFile, RawProfile};
use super::reserved::reserved;
use super::value::{Package, Unit};
use crate::diagnostic::{Located, Report, Span};

/// Records the faults that no single value shows.
pub(super) fn check(raw: &RawProfile, report: &Report) {
    for table in raw.packages.tables() {
        check_packages(table, report);
    }
    check_once(&raw.artifacts.install, report, |name| name.as_str());
    for table in raw.kernel.tables() {
        check_once(&table.initrd_modules, report, |module| &module.0);
        check_once(&table.load_modules, report, |module| &module.0);
    }
    for table in raw.firmware.tables() {
        check_once(&table.packages, report, |package| &package.0);
    }
    for Located { value, span } in raw.exclude.iter().flat_map(|exclusion| &exclusion.paths) {
        // A tree without its whole `usr` or `etc` is a slip, not a wish.
        if ["**", "usr/**", "usr", "etc", "etc/**", "*"].contains(&value.0.as_str()) {
            report.fault(span, format!("`{}` leaves no system", value.0));
        }
    }
    check_units(raw, report);
    check_files(&raw.files, report);
}

fn check_packages(table: &super::raw::RawPackages, report: &Report) {
    check_once(&table.install, report, |package| &package.0);
    check_once(&table.boot, report, |package| &package.0);
    check_once(&table.components, report, |component| &component.0);
    let wanted: HashMap<&Package, &Span> =
        table.install.iter().map(|item| (&item.value, &item.span)).collect();
    for (what, list) in [("drop", &table.drop), ("exclude", &table.exclude)] {
        for (Located { value, span }, _) in list {
            if let Some(wanted) = wanted.get(value) {
                let line = report.line(wanted);
                report.fault(span, format!("`{what}` names `{}`, which line {line} installs", value.0));
            }
        }
    }
}

/// Records every item of a list that stands in it twice.
fn check_once<T: Eq + Hash>(list: &[Located<T>], report: &Report, name: impl Fn(&T) -> &str) {
    let mut first: HashMap<&T, &Span> = HashMap::new();
    for Located { value, span } in list {
        if let Some(first) = first.get(value) {
            let line = report.line(first);
            report.fault(span, format!("`{}` is listed in line {line} already", name(value)));
        } else {
            first.insert(value, span);
        }
    }
}

fn check_units(raw: &RawProfile, report: &Report) {
    let mut told: HashMap<&Unit, (&str, &Span)> = HashMap::new();
    for (what, list) in
        [("enabled", &raw.units.enable), ("disabled", &raw.units.disable), ("masked", &raw.units.mask)]
    {
        for Located { value, span } in list {
            if let Some((first, at)) = told.get(value) {
                let line = report.line(at);
                report.fault(span, format!("`{}` is {first} in line {line} already", value.0));
            } else {
                told.insert(value, (what, span));
            }
        }
    }
}

fn check_files(files: &[RawFile], report: &Report) {
    for file in files {
        match (&file.text, &file.symlink) {
            (Some(_), Some(link)) => report.fault(&link.span, "a file has `text` or `symlink`, not both"),
            (None, None) => report.fault(&file.span, "a file needs `text` or `symlink`"),
            (None, Some(_)) => {
                if let Some(mode) = &file.mode {
                    report.fault(&mode.span, "a symbolic link has no `mode`");
                }
            }
            (Some(_), None) => {}
        }
        if let Some(Located { value, span }) = &file.symlink
            && value.is_empty()
        {
            report.fault(span, "a symbolic link needs a target");
        }
    }
    let mut first: HashMap<&str, &Span> = HashMap::new();
    for Located { value, span } in files.iter().filter_map(|file| file.path.as_ref()) {
        if let Some(first) = first.get(value.0.as_str()) {
            report.fault(span, format!("`{}` is given in line {} already", value.0, report.line(first)));
        } else {
            first.insert(&value.0, span);
        }
        if let Some(reserved) = reserved(&value.0) {
            report.fault_with_help(span, reserved.reason, reserved.help);
        }
    }
}
