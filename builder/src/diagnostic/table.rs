//! Reading a TOML table key by key, recording every fault and going on.
//!
//! A key that is absent or wrong reads as `None`; whoever needs it goes on without it. Asking for a
//! key makes it known: what remains when the table has been read is unknown, and so a fault.

mod free;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Located, Report};
use super::{Span, listed};
use crate::spelling::did_you_mean;

/// A table that is being read.
#[derive(Debug)]
pub(crate) struct Table<'file> {
    report: &'file Report,
    /// Dotted path as it stands in a header; empty for the file itself.
    path: String,
    /// One of a list of tables, `[[node]]`.
    is_listed: bool,
    /// Where the table begins: its header, or the first byte of the file.
    span: Span,
    entries: &'file DeTable<'file>,
    known: Vec<&'static str>,
}

/// IP addresses of one or both versions.
pub(crate) trait Address: FromStr {
    /// What the parser takes, with an article.
    const FORM: &'static str;

    /// Parses `text` or records what it is not.
    fn read(key: &str, text: &str, span: &Span, report: &Report) -> Option<Located<Self>> {
        let value = text.parse().ok();
        if value.is_none() {
            report.fault(span, format!("`{key}` must be {}, not `{text}`", Self::FORM));
        }
        Some(Located { value: value?, span: span.clone() })
    }
}

impl Address for Ipv4Addr {
    const FORM: &'static str = "an IPv4 address";
}

impl Address for IpAddr {
    const FORM: &'static str = "an IP address";
}

/// A key of a table, asked for.
#[derive(Debug)]
pub(crate) struct Entry<'file> {
    report: &'file Report,
    path: String,
    key: &'static str,
    value: Option<&'file Spanned<DeValue<'file>>>,
}

impl<'file> Table<'file> {
    /// Lets `read` take the file's root table apart.
    pub(super) fn read_root<T>(
        report: &'file Report,
        entries: &'file DeTable<'file>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        Self { report, path: String::new(), is_listed: false, span: 0..0, entries, known: Vec::new() }
            .read(read)
    }

    /// Lets `read` take the table apart, then records the keys it did not ask for.
    fn read<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = read(&mut self);
        self.refuse_unknown_keys();
        value
    }

    /// Where the table begins.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// A key that may be absent.
    pub(crate) fn optional(&mut self, key: &'static str) -> Entry<'file> {
        self.known.push(key);
        Entry { report: self.report, path: self.path.clone(), key, value: self.entries.get(key) }
    }

    /// A key that must be there.
    pub(crate) fn required(&mut self, key: &'static str) -> Entry<'file> {
        let entry = self.optional(key);
        if entry.value.is_none() {
            self.report.fault(&self.span, format!("{} lacks the key `{key}`", self.title()));
        }
        entry
    }

    /// A table that must be there, shown with its brackets when it is missing.
    pub(crate) fn required_table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Table<'file>) -> T,
    ) -> Option<T> {
        let entry = self.optional(key);
        if entry.value.is_none() {
            self.report.fault(&self.span, format!("{} lacks the table `[{}]`", self.title(), entry.path()));
        }
        entry.table(read)
    }

    fn title(&self) -> String {
        match (self.path.as_str(), self.is_listed) {
            ("", _) => "the file".to_owned(),
            (path, true) => format!("`[[{path}]]`"),
            (path, false) => format!("`[{path}]`"),
        }
    }

    fn refuse_unknown_keys(&self) {
        for key in self.entries.keys() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let place = if self.path.is_empty() { String::new() } else { format!(" in {}", self.title()) };
            let help = did_you_mean(name, self.known.iter().copied()).map_or_else(
                || format!("known keys are {}", listed(self.known.iter().copied())),
                |near| format!("did you mean `{near}`?"),
            );
            self.report.fault_with_help(&key.span(), format!("unknown key `{name}`{place}"), help);
        }
    }
}

impl<'file> Entry<'file> {
    fn path(&self) -> String {
        if self.path.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.path, self.key) }
    }

    fn below(&self, entries: &'file DeTable<'file>, span: Span, is_listed: bool) -> Table<'file> {
        Table { report: self.report, path: self.path(), is_listed, span, entries, known: Vec::new() }
    }

    /// Whether the key is there, with whatever value.
    pub(crate) const fn is_given(&self) -> bool {
        self.value.is_some()
    }

    fn wrong_type(&self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = article(value.get_ref());
        self.report.fault(&value.span(), format!("`{}` must be {expected}, not {found}", self.key));
    }

    /// A string in the form that `T` demands.
    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(self) -> Option<Located<T>> {
        let value = self.value?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(value, "a string");
            return None;
        };
        parse(self.report, text, value.span())
    }

    /// An IP address; its parser's own message names neither form nor text.
    pub(crate) fn address<T: Address>(self) -> Option<Located<T>> {
        let key = self.key;
        let report = self.report;
        let Located { value, span } = self.parsed::<String>()?;
        T::read(key, &value, &span, report)
    }

    /// A list of IP addresses. Absent is empty.
    pub(crate) fn addresses<T: Address>(self) -> Vec<Located<T>> {
        let key = self.key;
        let report = self.report;
        self.list::<String>()
            .iter()
            .filter_map(|text| T::read(key, &text.value, &text.span, report))
            .collect()
    }

    /// A list of strings, each in the form that `T` demands. Absent is empty.
    pub(crate) fn list<T: FromStr<Err: fmt::Display>>(self) -> Vec<Located<T>> {
        let Some(value) = self.value else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(value, "a list of strings");
            return Vec::new();
        };
        let mut list = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => list.extend(parse(self.report, text, item.span())),
                None => self.wrong_type(item, "a list of strings"),
            }
        }
        list
    }

    /// A list of names of things, each a `what` and one of `known`. Absent is empty.
    pub(crate) fn names(self, what: &str, known: &[&str]) -> Vec<Located<String>> {
        let report = self.report;
        let (right, wrong): (Vec<_>, Vec<_>) =
            self.list::<String>().into_iter().partition(|name| known.contains(&name.value.as_str()));
        for Located { value, span } in wrong {
            let help = did_you_mean(&value, known.iter().copied()).map_or_else(
                || format!("known are {}", listed(known.iter().copied())),
                |near| format!("did you mean `{near}`?"),
            );
            report.fault_with_help(&span, format!("there is no {what} `{value}`"), help);
        }
        right
    }

    /// One of the strings in `choices`, as what it stands for.
    pub(crate) fn choice<T: Copy>(self, choices: &[(&'static str, T)]) -> Option<Located<T>> {
        let value = self.value?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(value, "a string");
            return None;
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(Located { value: *choice, span: value.span() });
        }
        let names = || choices.iter().map(|(name, _)| *name);
        let reason = format!("`{}` must be one of {}, not `{text}`", self.key, listed(names()));
        match did_you_mean(text, names()) {
            Some(near) => {
                self.report.fault_with_help(&value.span(), reason, format!("did you mean `{near}`?"));
            }
            None => self.report.fault(&value.span(), reason),
        }
        None
    }

    /// One of the integers in `choices`.
    pub(crate) fn choice_of_integers(self, choices: &[u32]) -> Option<Located<u32>> {
        let (key, report) = (self.key, self.report);
        let Located { value, span } = self.integer(i128::MIN, i128::MAX)?;
        if let Some(choice) = choices.iter().find(|choice| i128::from(**choice) == value) {
            return Some(Located { value: *choice, span });
        }
        let known: Vec<_> = choices.iter().map(ToString::to_string).collect();
        report.fault(&span, format!("`{key}` must be {}, not {value}", known.join(" or ")));
        None
    }

    /// An integer from `least` to `most`.
    pub(crate) fn integer<T>(self, least: T, most: T) -> Option<Located<T>>
    where
        T: TryFrom<i128> + PartialOrd + fmt::Display + Copy,
    {
        let value = self.value?;
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value, "an integer");
            return None;
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| (&least..=&most).contains(&number));
        if number.is_none() {
            let expected =
                if least == most { least.to_string() } else { format!("an integer from {least} to {most}") };
            self.report.fault(&value.span(), format!("`{}` must be {expected}, not {integer}", self.key));
        }
        Some(Located { value: number?, span: value.span() })
    }

    /// `true` or `false`.
    pub(crate) fn boolean(self) -> Option<Located<bool>> {
        let value = self.value?;
        let DeValue::Boolean(boolean) = value.get_ref() else {
            self.wrong_type(value, "`true` or `false`");
            return None;
        };
        Some(Located { value: *boolean, span: value.span() })
    }

    /// A table, read by `read`.
    pub(crate) fn table<T>(self, read: impl FnOnce(&mut Table<'file>) -> T) -> Option<T> {
        let value = self.value?;
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_type(value, "a table");
            return None;
        };
        Some(self.below(entries, value.span(), false).read(read))
    }

    /// A list of tables (`[[node]]`), each read by `read`. Absent is empty.
    pub(crate) fn tables<T>(self, mut read: impl FnMut(&mut Table<'file>) -> T) -> Vec<T> {
        let Some(value) = self.value else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(value, "a list of tables");
            return Vec::new();
        };
        let mut list = Vec::new();
        for item in items {
            match item.get_ref().as_table() {
                Some(entries) => list.push(self.below(entries, item.span(), true).read(&mut read)),
                None => self.wrong_type(item, "a list of tables"),
            }
        }
        list
    }

    /// A table whose keys are free. Absent is empty.
    pub(crate) fn map<K, V>(self) -> Vec<(Located<K>, Located<V>)>
    where
        K: FromStr<Err: fmt::Display>,
        V: FromStr<Err: fmt::Display>,
    {
        let Some(value) = self.value else { return Vec::new() };
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_type(value, "a table of strings");
            return Vec::new();
        };
        let mut list = Vec::new();
        for (key, value) in entries {
            let name = parse(self.report, key.get_ref(), key.span());
            match value.get_ref().as_str() {
                Some(text) => list.extend(name.zip(parse(self.report, text, value.span()))),
                None => self.wrong_type(value, "a table of strings"),
            }
        }
        list
    }
}

fn parse<T: FromStr<Err: fmt::Display>>(report: &Report, text: &str, span: Span) -> Option<Located<T>> {
    match text.parse() {
        Ok(value) => Some(Located { value, span }),
        Err(reason) => {
            report.fault(&span, reason);
            None
        }
    }
}

const fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
