//! Single values of a profile, each with its own rule.

use std::str::FromStr;

use globset::GlobBuilder;
use thiserror::Error;

/// Declares a newtype over `String` whose form the given function checks.
macro_rules! checked {
    ($(#[$meta:meta])* $name:ident, $check:ident, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub(crate) struct $name(pub(crate) String);

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if $check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(ValueError::Form { text: text.to_owned(), what: $what })
                }
            }
        }
    };
}

/// Why a text is no value of its kind.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum ValueError {
    /// Not of the form.
    #[error("`{text}` is no {what}")]
    Form {
        /// The text.
        text: String,
        /// What it should be.
        what: &'static str,
    },
    /// A reason is for people.
    #[error("the reason is empty")]
    NoReason,
    /// No glob.
    #[error("`{text}` is no path pattern: {reason}")]
    Glob {
        /// The text.
        text: String,
        /// The glob parser's words.
        reason: String,
    },
}

checked! {
    /// A Debian package name (policy, 5.6.1).
    Package, is_package, "Debian package name such as `openssh-server`"
}

checked! {
    /// A component of Debian's archive beside `main`.
    Component, is_component, "component beside `main`: `contrib`, `non-free` or `non-free-firmware`"
}

checked! {
    /// A kernel module's name, without path and suffix.
    Module, is_module, "kernel module name such as `virtio_blk`"
}

checked! {
    /// A systemd unit's name with its suffix (systemd.unit(5)).
    Unit, is_unit, "systemd unit name such as `ssh.service`"
}

checked! {
    /// A path below the root, without leading slash.
    RootPath, is_root_path, "path below the root such as `etc/motd`, without leading slash and `..`"
}

checked! {
    /// One kernel argument.
    Argument, is_argument, "single kernel argument such as `panic=10`"
}

checked! {
    /// A project's own version of a download.
    Release, is_release, "version such as `v1.36.4+k3s1`, without spaces"
}

checked! {
    /// Where a download is published.
    DownloadUrl, is_download_url, "http or https URL without user and password"
}

/// A reason, never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reason(pub(crate) String);

/// A path pattern below the root.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Pattern(pub(crate) String);

/// Permission bits, written in octal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mode(pub(crate) u16);

fn is_package(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
}

fn is_component(text: &str) -> bool {
    ["contrib", "non-free", "non-free-firmware"].contains(&text)
}

fn is_module(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) && text.len() < 56
}

fn is_unit(text: &str) -> bool {
    const SUFFIXES: [&str; 8] =
        ["service", "socket", "target", "timer", "mount", "automount", "path", "slice"];
    text.rsplit_once('.').is_some_and(|(name, suffix)| {
        !name.is_empty()
            && SUFFIXES.contains(&suffix)
            && text.len() < 256
            && name.chars().all(|c| c.is_ascii_alphanumeric() || r":-_.\@".contains(c))
    })
}

fn is_root_path(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Spaces are allowed inside double quotes, as the kernel reads them.
fn is_argument(text: &str) -> bool {
    let mut is_quoted = false;
    for character in text.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            c if c.is_control() || !c.is_ascii() => return false,
            ' ' if !is_quoted => return false,
            _ => {}
        }
    }
    !text.is_empty() && !is_quoted
}

fn is_release(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !"`\"\\".contains(c))
}

fn is_download_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    })
}

impl FromStr for Reason {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() { Err(ValueError::NoReason) } else { Ok(Self(text.to_owned())) }
    }
}

impl FromStr for Pattern {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_root_path(text) {
            let what =
                "path pattern below the root such as `usr/share/doc/**`, without leading slash and `..`";
            return Err(ValueError::Form { text: text.to_owned(), what });
        }
        GlobBuilder::new(text)
            .literal_separator(true)
            .build()
            .map(|_| Self(text.to_owned()))
            .map_err(|error| ValueError::Glob { text: text.to_owned(), reason: error.kind().to_string() })
    }
}

impl FromStr for Mode {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_octal =
            (3..=5).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        is_octal
            .then(|| u16::from_str_radix(text, 8).ok())
            .flatten()
            .filter(|mode| *mode <= 0o7777)
            .map(Self)
            .ok_or_else(|| ValueError::Form { text: text.to_owned(), what: "mode such as `0644`" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_the_form_of_each_value() {
        for (text, is_fine) in [("libc6", true), ("g++-14", true), ("X", false), ("a", false), ("a_b", false)]
        {
            assert_eq!(text.parse::<Package>().is_ok(), is_fine, "{text}");
        }
        for (text, is_fine) in [
            ("getty@.service", true),
            ("ssh.service", true),
            ("ssh", false),
            (".timer", false),
            ("a/b.service", false),
        ] {
            assert_eq!(text.parse::<Unit>().is_ok(), is_fine, "{text}");
        }
        for (text, is_fine) in
            [("panic=10", true), ("dyndbg=\"file a +p\"", true), ("a b", false), ("\"a", false)]
        {
            assert_eq!(text.parse::<Argument>().is_ok(), is_fine, "{text}");
        }
        for (text, mode) in [
            ("0644", Some(0o644)),
            ("755", Some(0o755)),
            ("4755", Some(0o4755)),
            ("9", None),
            ("17777", None),
        ] {
            assert_eq!(text.parse::<Mode>().ok().map(|mode| mode.0), mode, "{text}");
        }
        for (text, is_fine) in
            [("usr/share/doc/**", true), ("/usr", false), ("a/../b", false), ("a/[", false)]
        {
            assert_eq!(text.parse::<Pattern>().is_ok(), is_fine, "{text}");
        }
    }
}
