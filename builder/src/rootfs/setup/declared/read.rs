//! `[package.setup]` as it stands; an entry that lacks what it needs is recorded as a fault and left out.

use super::{Copy, Declared, Directory, Link, Permissions, TextFile};
use crate::diagnostic::{Located, Table};
use crate::profile::value::{Mode, Package, RootPath, Unit};

impl Declared {
    /// Reads the table of a review.
    pub(in crate::rootfs) fn read(table: &mut Table<'_>) -> Self {
        Self {
            sysusers: lines(table, "sysusers"),
            tmpfiles: lines(table, "tmpfiles"),
            enable: table.optional("enable").list::<Unit>().into_iter().map(|unit| unit.value.0).collect(),
            directory: all(table, "directory", |table| {
                let (path, mode, group) = (path(table, "path"), mode(table), text(table, "group"));
                Some(Directory { path: path?, mode, group })
            }),
            file: all(table, "file", |table| {
                let (path, text, mode) = (path(table, "path"), text(table, "text"), mode(table));
                Some(TextFile { path: path?, text: text.unwrap_or_default(), mode })
            }),
            copy: all(table, "copy", |table| {
                let (from, to) = (path(table, "from"), path(table, "to"));
                Some(Copy { from: from?, to: to? })
            }),
            link: all(table, "link", |table| {
                let (path, target) = (path(table, "path"), table.required("target").parsed());
                let unless = table.optional("unless").parsed::<Package>().map(|package| package.value.0);
                Some(Link { path: path?, target: target?.value, unless })
            }),
            mode: all(table, "mode", |table| {
                let (path, mode) = (path(table, "path"), mode(table));
                let (user, group) = (text(table, "user"), text(table, "group"));
                Some(Permissions { path: path?, mode, user, group })
            }),
        }
    }
}

fn all<T>(table: &mut Table<'_>, key: &'static str, read: impl FnMut(&mut Table<'_>) -> Option<T>) -> Vec<T> {
    table.optional(key).tables(read).into_iter().flatten().collect()
}

fn lines(table: &mut Table<'_>, key: &'static str) -> Vec<String> {
    table.optional(key).list().into_iter().map(|Located { value, .. }| value).collect()
}

fn path(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    table.required(key).parsed::<RootPath>().map(|path| path.value.0)
}

fn text(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    table.optional(key).parsed().map(|text| text.value)
}

/// Permission bits are written as in chmod(1): `"2755"`.
fn mode(table: &mut Table<'_>) -> Option<u16> {
    table.optional("mode").parsed::<Mode>().map(|mode| mode.value.0)
}
