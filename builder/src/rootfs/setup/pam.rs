//! PAM's common files, as pam-auth-update(8) of libpam-runtime makes them on a first installation.
//!
//! Profiles in `/usr/share/pam-configs` that are `Default: yes` are sorted by priority; their modules
//! go into the "Primary" and "Additional" blocks of the templates in `/usr/share/pam`, where `end` in
//! a jump becomes the number of lines left in the block.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use thiserror::Error;

use super::{SetupError, Work, text, words};
use crate::tree::{Metadata, Tree};

const PROFILES: &str = "usr/share/pam-configs";

/// Common files and the field that fills them.
const FILES: [(&str, &str); 5] = [
    ("auth", "Auth"),
    ("account", "Account"),
    ("password", "Password"),
    ("session", "Session"),
    ("session-noninteractive", "Session-noninteractive"),
];

const PRIMARY: &str = "# here are the per-package modules (the \"Primary\" block)";
const FALLBACK: &str = "# here's the fallback if no module succeeds";
const ADDITIONAL: &str = "# and here are more per-package modules (the \"Additional\" block)";
const END: &str = "# end of pam-auth-update config";

/// Why PAM's common files cannot be made.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum PamError {
    /// A profile has text before its first field.
    #[error("line {line} of profile `{profile}` belongs to no field")]
    Stray {
        /// File name of the profile.
        profile: String,
        /// Line number from 1.
        line: usize,
    },
    /// A priority is no number.
    #[error("profile `{profile}` has priority `{found}`, which is no number")]
    Priority {
        /// File name of the profile.
        profile: String,
        /// Its priority.
        found: String,
    },
    /// A template lacks a marker line.
    #[error("template `{template}` has no line `{marker}`")]
    Marker {
        /// Path below the root.
        template: String,
        /// Marker that is not there.
        marker: &'static str,
    },
}

/// A file of `/usr/share/pam-configs`: fields by name.
#[derive(Debug)]
struct Profile {
    name: String,
    priority: i64,
    fields: BTreeMap<String, String>,
}

impl Profile {
    fn parse(name: &str, text: &str) -> Result<Self, PamError> {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut current: Option<String> = None;
        for (index, line) in text.lines().enumerate() {
            let header = line
                .split_once(':')
                .filter(|(field, _)| !field.is_empty() && !field.contains(char::is_whitespace));
            if let Some((field, value)) = header {
                let field = field.strip_suffix("-Final").unwrap_or(field).to_owned();
                fields.insert(field.clone(), value.trim().to_owned());
                current = Some(field);
            } else if !line.trim().is_empty() {
                let Some(field) = current.as_ref().and_then(|field| fields.get_mut(field)) else {
                    return Err(PamError::Stray { profile: name.to_owned(), line: index + 1 });
                };
                if !field.is_empty() {
                    field.push('\n');
                }
                field.push_str(line.trim());
            }
        }
        // A profile that is not for interactive sessions alone is for the others too.
        if fields.get("Session-Interactive-Only").is_none_or(|only| only != "yes") {
            for suffix in ["-Type", "", "-Initial"] {
                if let Some(value) = fields.get(&format!("Session{suffix}")).cloned() {
                    fields.insert(format!("Session-noninteractive{suffix}"), value);
                }
            }
        }
        let found = fields.get("Priority").map_or("0", String::as_str);
        let priority = found
            .parse()
            .map_err(|_| PamError::Priority { profile: name.to_owned(), found: found.to_owned() })?;
        Ok(Self { name: name.to_owned(), priority, fields })
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Module lines for `field`; the first module of a block may have its own.
    fn modules(&self, field: &str, is_first: bool) -> Vec<&str> {
        let initial = self.field(&format!("{field}-Initial")).filter(|_| is_first);
        initial.or_else(|| self.field(field)).unwrap_or_default().lines().collect()
    }
}

pub(super) fn make(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    if !work.has_package("libpam-runtime") {
        return Ok(());
    }
    let mut profiles = Vec::new();
    let paths: Vec<String> = tree.below(PROFILES).map(|(path, _)| path.to_owned()).collect();
    for path in &paths {
        let name = &path[PROFILES.len() + 1..];
        let profile = Profile::parse(name, text(tree, path, "pam")?)?;
        if profile.field("Default") == Some("yes") {
            profiles.push(profile);
        }
    }
    let profiles = enabled(profiles);
    for (file, field) in FILES {
        let template = format!("usr/share/pam/common-{file}");
        let common = fill(&template, text(tree, &template, "pam")?, &profiles, field)?;
        tree.write(&format!("etc/pam.d/common-{file}"), Metadata::FILE, common)?;
    }
    Ok(())
}

/// Sorts by falling priority, equal ones by falling name; drops those that an earlier one excludes.
fn enabled(mut profiles: Vec<Profile>) -> Vec<Profile> {
    profiles.sort_by_key(|profile| Reverse((profile.priority, profile.name.clone())));
    let mut chosen: Vec<Profile> = Vec::new();
    for profile in profiles {
        let excludes = |one: &Profile, other: &Profile| {
            one.field("Conflicts").is_some_and(|list| list.split(", ").any(|name| name == other.name))
        };
        if !chosen.iter().any(|other| excludes(other, &profile) || excludes(&profile, other)) {
            chosen.push(profile);
        }
    }
    chosen
}

fn fill(template: &str, text: &str, profiles: &[Profile], field: &str) -> Result<String, PamError> {
    let missing = |marker| PamError::Marker { template: template.to_owned(), marker };
    let (head, rest) = split_after(text, PRIMARY).ok_or_else(|| missing(PRIMARY))?;
    let (_, rest) = split_before(rest, FALLBACK).ok_or_else(|| missing(FALLBACK))?;
    let (fallback, rest) = split_after(rest, ADDITIONAL).ok_or_else(|| missing(ADDITIONAL))?;
    let (_, tail) = split_before(rest, END).ok_or_else(|| missing(END))?;
    let primary = block(profiles, field, "Primary");
    let additional = block(profiles, field, "Additional");
    Ok(format!("{head}{primary}{fallback}{additional}{tail}"))
}

fn split_after<'text>(text: &'text str, marker: &str) -> Option<(&'text str, &'text str)> {
    let end = text.find(marker)? + marker.len();
    let end = text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1);
    Some(text.split_at(end))
}

fn split_before<'text>(text: &'text str, marker: &str) -> Option<(&'text str, &'text str)> {
    Some(text.split_at(text.find(marker)?))
}

fn block(profiles: &[Profile], field: &str, kind: &str) -> String {
    let management = field.to_lowercase().replace("-noninteractive", "");
    let of_kind = profiles.iter().filter(|profile| profile.field(&format!("{field}-Type")) == Some(kind));
    let lines: Vec<&str> =
        of_kind.enumerate().flat_map(|(index, profile)| profile.modules(field, index == 0)).collect();
    if lines.is_empty() && kind == "Primary" {
        return format!("{management}\t[default=1]\t\t\tpam_permit.so\n");
    }
    // A jump over n lines ends behind the block; in the last block there is nothing behind it.
    let last = usize::from(kind == "Additional");
    words::lines(lines.iter().enumerate().map(|(index, line)| {
        let jump = lines.len() - index - last.min(lines.len() - index);
        format!("{management}\t{}", module_line(line, jump))
    }))
}

/// Replaces `end` in control and module path by the jump, and sets options apart by single spaces.
fn module_line(line: &str, jump: usize) -> String {
    let control_end = if line.starts_with('[') {
        line.find(']').map_or(line.len(), |end| end + 1)
    } else {
        line.find(char::is_whitespace).unwrap_or(line.len())
    };
    let after = &line[control_end..];
    let gap = after.len() - after.trim_start().len();
    let module = after.split_whitespace().next().unwrap_or_default();
    let (head, options) = line.split_at(control_end + gap + module.len());
    let options: Vec<&str> = options.split_whitespace().collect();
    format!("{} {}", head.replace("end", &jump.to_string()), options.join(" "))
}

#[cfg(test)]
mod tests;
