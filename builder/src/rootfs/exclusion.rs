//! Which paths of packages stay out of the image: the globs of a profile's `exclude`.
//!
//! `*` and `?` stay within one path component, `**` crosses them. A path stays out when a rule's
//! `paths` match it and the same rule's `except` does not.

use std::sync::atomic::{AtomicBool, Ordering};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use thiserror::Error;

use crate::profile::Exclusion;

/// Why a pattern cannot be used.
#[derive(Debug, Error)]
pub enum ExclusionError {
    /// The pattern is no glob.
    #[error("`{pattern}` is no pattern")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What the glob parser says.
        source: globset::Error,
    },
    /// The pattern can match nothing, since paths are below the root.
    #[error("pattern `{pattern}` begins or ends with a slash, paths below the root do not")]
    Slash {
        /// The pattern.
        pattern: String,
    },
    /// The patterns together are too many or too long.
    #[error("the patterns cannot be combined")]
    Set {
        /// What the glob compiler says.
        source: globset::Error,
    },
}

/// Compiled exclusions. Remembers which patterns were of use; safe to ask from several threads.
#[derive(Debug, Default)]
pub struct Exclusions {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    paths: Patterns,
    except: Patterns,
}

#[derive(Debug)]
struct Patterns {
    set: GlobSet,
    texts: Vec<String>,
    has_matched: Vec<AtomicBool>,
}

impl Exclusions {
    /// Compiles a profile's rules.
    pub fn new(rules: &[Exclusion]) -> Result<Self, ExclusionError> {
        let compile = |rule: &Exclusion| {
            Ok(Rule { paths: Patterns::new(&rule.paths)?, except: Patterns::new(&rule.except)? })
        };
        Ok(Self { rules: rules.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// Says whether `path`, below the root without leading slash, stays out of the image.
    pub fn excludes(&self, path: &str) -> bool {
        let mut is_excluded = false;
        // All rules are asked, not only up to the first that matches: which are unused must not
        // depend on their order.
        for rule in &self.rules {
            is_excluded |= rule.paths.matches(path) && !rule.except.matches(path);
        }
        is_excluded
    }

    /// Patterns that have matched no path so far, in the profile's order: most likely a misspelling,
    /// or something the packages no longer ship.
    pub fn unused(&self) -> Vec<&str> {
        self.rules.iter().flat_map(|rule| rule.paths.unused().chain(rule.except.unused())).collect()
    }
}

impl Patterns {
    fn new(texts: &[String]) -> Result<Self, ExclusionError> {
        let mut builder = GlobSetBuilder::new();
        for text in texts {
            if text.starts_with('/') || text.ends_with('/') {
                return Err(ExclusionError::Slash { pattern: text.clone() });
            }
            let glob = GlobBuilder::new(text)
                .literal_separator(true)
                .build()
                .map_err(|source| ExclusionError::Pattern { pattern: text.clone(), source })?;
            builder.add(glob);
        }
        Ok(Self {
            set: builder.build().map_err(|source| ExclusionError::Set { source })?,
            texts: texts.to_vec(),
            has_matched: texts.iter().map(|_| AtomicBool::new(false)).collect(),
        })
    }

    fn matches(&self, path: &str) -> bool {
        let matches = self.set.matches(path);
        for index in &matches {
            // Relaxed: only read after the threads that unpack have been joined.
            self.has_matched[*index].store(true, Ordering::Relaxed);
        }
        !matches.is_empty()
    }

    fn unused(&self) -> impl Iterator<Item = &str> {
        self.texts
            .iter()
            .zip(&self.has_matched)
            .filter(|(_, has_matched)| !has_matched.load(Ordering::Relaxed))
            .map(|(text, _)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(paths: &[&str], except: &[&str]) -> Exclusion {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Exclusion { paths: own(paths), except: own(except), reason: "not read on a node".to_owned() }
    }

    #[test]
    fn one_star_stays_within_a_component_and_two_cross() {
        let exclusions =
            Exclusions::new(&[rule(&["usr/share/doc/**", "etc/cron.*", "usr/lib/*/gconv/*.so"], &[])])
                .unwrap();
        for (path, expected) in [
            ("usr/share/doc/bash", true),
            ("usr/share/doc/bash/copyright", true),
            ("usr/share/doc", false),
            ("usr/share/docs/x", false),
            ("etc/cron.daily", true),
            ("etc/cron.daily/man-db", false),
            ("usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", true),
            ("usr/lib/a/b/gconv/UTF-16.so", false),
        ] {
            assert_eq!(exclusions.excludes(path), expected, "{path}");
        }
    }

    #[test]
    fn an_exception_spares_only_from_its_own_rule() {
        let exclusions = Exclusions::new(&[
            rule(&["usr/share/locale/**"], &["usr/share/locale/locale.alias"]),
            rule(&["**/*.alias"], &[]),
        ])
        .unwrap();
        assert!(exclusions.excludes("usr/share/locale/locale.alias"), "the second rule has no exception");
        let exclusions =
            Exclusions::new(&[rule(&["usr/share/locale/**"], &["usr/share/locale/locale.alias"])]).unwrap();
        assert!(!exclusions.excludes("usr/share/locale/locale.alias"));
        assert!(exclusions.excludes("usr/share/locale/de/LC_MESSAGES/bash.mo"));
    }

    #[test]
    fn tells_which_patterns_matched_nothing() {
        let exclusions =
            Exclusions::new(&[rule(&["usr/share/man/**", "usr/share/mann/**"], &["usr/share/man/keep"])])
                .unwrap();
        assert!(exclusions.excludes("usr/share/man/man1/ls.1.gz"));
        assert_eq!(exclusions.unused(), ["usr/share/mann/**", "usr/share/man/keep"]);
    }

    #[test]
    fn refuses_patterns_that_cannot_match() {
        for pattern in ["/usr/share/doc/**", "usr/share/doc/"] {
            let fault = Exclusions::new(&[rule(&[pattern], &[])]).unwrap_err();
            assert_eq!(
                fault.to_string(),
                format!("pattern `{pattern}` begins or ends with a slash, paths below the root do not")
            );
        }
        let fault = Exclusions::new(&[rule(&["usr/[a"], &[])]).unwrap_err();
        assert_eq!(fault.to_string(), "`usr/[a` is no pattern");
    }
}
