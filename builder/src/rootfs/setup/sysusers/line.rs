//! One line of sysusers.d(5).

use thiserror::Error;

use crate::rootfs::setup::words;

/// What is wrong with a line.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum Fault {
    /// The type is none of `u`, `u!`, `g`, `m`, `r`.
    #[error("`{found}` is no type of sysusers.d")]
    Type {
        /// First field.
        found: String,
    },
    /// There are too few or too many fields.
    #[error("{found} fields, where type `{kind}` has {least} to {most}")]
    Fields {
        /// Type of the line.
        kind: String,
        /// Fields found.
        found: usize,
        /// Least fields of the type.
        least: usize,
        /// Most fields of the type.
        most: usize,
    },
    /// A name that useradd(8) would refuse.
    #[error("`{found}` is no user or group name")]
    Name {
        /// The name.
        found: String,
    },
    /// The ID field is no number, range, group or `-`.
    #[error("`{found}` is no ID")]
    Id {
        /// The field.
        found: String,
    },
    /// A specifier whose value is not known when an image is built.
    #[error("specifier `{found}` has no value in an image")]
    Specifier {
        /// `%` and the letter.
        found: String,
    },
    /// A path as ID: its owner would have to be looked up on the node.
    #[error("ID from the owner of `{path}` is not supported")]
    Path {
        /// The path.
        path: String,
    },
    /// A quoted field does not end.
    #[error("a quote is not closed")]
    Quote,
}

/// A parsed line and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// User or group; for a range the field itself.
    pub(super) name: String,
    /// What is asked for.
    pub(super) item: Item,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Item {
    User { id: Id, gecos: String, home: String, shell: String, is_locked: bool },
    Group { gid: Option<u32> },
    Member { group: String },
    Range { low: u32, high: u32 },
}

/// The ID field of a `u` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Id {
    /// `-`
    Any,
    /// `7`
    Number(u32),
    /// `4:65534`, `-:65534`
    WithGroupNumber { uid: Option<u32>, gid: u32 },
    /// `4:nogroup`, `-:nogroup`
    WithGroup { uid: Option<u32>, group: String },
}

impl Id {
    pub(super) fn uid(&self) -> Option<u32> {
        match self {
            Self::Any => None,
            Self::Number(uid) => Some(*uid),
            Self::WithGroupNumber { uid, .. } | Self::WithGroup { uid, .. } => *uid,
        }
    }
}

/// Reads the text of one file; the error is the line's number from 1 and its fault.
pub fn parse(text: &str) -> Result<Vec<Line>, (usize, Fault)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(index, line)| parse_line(line).map_err(|fault| (index + 1, fault)))
        .collect()
}

fn parse_line(line: &str) -> Result<Line, Fault> {
    let fields = words::split(line).ok_or(Fault::Quote)?;
    let fields = fields.iter().map(|field| expand(field)).collect::<Result<Vec<_>, _>>()?;
    let kind = fields.first().map(String::as_str).unwrap_or_default();
    // A lone `-` means the default, whatever the field.
    let field = |index: usize| match fields.get(index).map(String::as_str) {
        None | Some("-") => "",
        Some(text) => text,
    };
    let count = |least: usize, most: usize| match fields.len() {
        found if found < least || found > most => {
            Err(Fault::Fields { kind: kind.to_owned(), found, least, most })
        }
        _ => Ok(()),
    };
    let item = match kind {
        "u" | "u!" => {
            count(2, 6)?;
            Item::User {
                id: parse_id(field(2))?,
                gecos: field(3).to_owned(),
                home: field(4).to_owned(),
                shell: field(5).to_owned(),
                is_locked: kind == "u!",
            }
        }
        "g" => {
            count(2, 6)?;
            Item::Group { gid: optional_number(field(2))? }
        }
        "m" => {
            count(3, 6)?;
            Item::Member { group: name(field(2))? }
        }
        "r" => {
            count(3, 6)?;
            let (low, high) = field(2).split_once('-').unwrap_or((field(2), field(2)));
            Item::Range { low: number(low)?, high: number(high)? }
        }
        other => return Err(Fault::Type { found: other.to_owned() }),
    };
    let name = if kind == "r" { field(1).to_owned() } else { name(field(1))? };
    Ok(Line { name, item })
}

/// Replaces `%%`; every other specifier speaks of the machine that runs, which is not this one.
fn expand(field: &str) -> Result<String, Fault> {
    let mut expanded = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('%') {
        expanded.push_str(before);
        let Some(tail) = after.strip_prefix('%') else {
            let letter = after.chars().next().map(String::from).unwrap_or_default();
            return Err(Fault::Specifier { found: format!("%{letter}") });
        };
        expanded.push('%');
        rest = tail;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn parse_id(field: &str) -> Result<Id, Fault> {
    if field.starts_with('/') {
        return Err(Fault::Path { path: field.to_owned() });
    }
    match field.split_once(':') {
        None => Ok(optional_number(field)?.map_or(Id::Any, Id::Number)),
        Some((uid, group)) => {
            let uid = optional_number(if uid == "-" { "" } else { uid })?;
            match group.parse() {
                Ok(gid) => Ok(Id::WithGroupNumber { uid, gid }),
                Err(_) => Ok(Id::WithGroup { uid, group: name(group)? }),
            }
        }
    }
}

fn optional_number(field: &str) -> Result<Option<u32>, Fault> {
    if field.is_empty() { Ok(None) } else { number(field).map(Some) }
}

fn number(field: &str) -> Result<u32, Fault> {
    field.parse().map_err(|_| Fault::Id { found: field.to_owned() })
}

/// systemd's strict rule: a letter or `_` first, then letters, digits, `_` and `-`; at most 31.
fn name(field: &str) -> Result<String, Fault> {
    let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let is_other = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let is_name = field.starts_with(is_first) && field.chars().all(is_other) && field.len() <= 31;
    if is_name { Ok(field.to_owned()) } else { Err(Fault::Name { found: field.to_owned() }) }
}
