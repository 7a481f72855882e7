//! systemd.preset(5): the first rule that matches a unit decides.

use globset::{Glob, GlobMatcher};

use super::UnitsError;

/// Rules of all preset files, in the order of the files' names.
#[derive(Debug)]
pub(super) struct Presets {
    rules: Vec<(GlobMatcher, bool)>,
}

impl Presets {
    pub(super) fn parse(files: &[(&str, &str)]) -> Result<Self, UnitsError> {
        let mut rules = Vec::new();
        for (file, text) in files {
            for (index, line) in text.lines().enumerate() {
                let wrong = || UnitsError::Preset { file: (*file).to_owned(), line: index + 1 };
                let mut words = line.split_whitespace();
                let verb = match words.next() {
                    None => continue,
                    Some(word) if word.starts_with(['#', ';']) => continue,
                    Some(word) => word,
                };
                let is_enabled = match verb {
                    "enable" => true,
                    "disable" => false,
                    "ignore" => continue,
                    _ => return Err(wrong()),
                };
                let pattern = words.next().ok_or_else(wrong)?;
                let glob = Glob::new(pattern).map_err(|_| wrong())?;
                rules.push((glob.compile_matcher(), is_enabled));
            }
        }
        Ok(Self { rules })
    }

    /// Whether a unit that its package enables may stay so; without a rule it may.
    pub(super) fn allow(&self, unit: &str) -> bool {
        self.rules.iter().find(|(glob, _)| glob.is_match(unit)).is_none_or(|(_, is_enabled)| *is_enabled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_match_decides() {
        let files = [
            ("10.preset", "# own\ndisable e2scrub*\n"),
            ("90.preset", "enable e2scrub_all.timer\ndisable *.socket\n"),
        ];
        let presets = Presets::parse(&files).unwrap();
        for (unit, expected) in [("e2scrub_all.timer", false), ("a.socket", false), ("ssh.service", true)] {
            assert_eq!(presets.allow(unit), expected, "{unit}");
        }
    }

    #[test]
    fn names_the_line_that_is_no_rule() {
        let fault = Presets::parse(&[("x.preset", "\nstart a.service\n")]).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "line 2 of preset file `x.preset` is neither enable, disable nor ignore"
        );
    }
}
