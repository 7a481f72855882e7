//! Unit names and `[Install]` sections (systemd.unit(5)).

use super::UnitsError;

/// A unit's name in its parts: `getty@tty1.service`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct UnitName {
    /// `getty`
    prefix: String,
    /// `Some("tty1")`; empty for a template.
    instance: Option<String>,
    /// `service`
    kind: String,
}

const KINDS: [&str; 11] = [
    "service",
    "socket",
    "target",
    "device",
    "mount",
    "automount",
    "swap",
    "timer",
    "path",
    "slice",
    "scope",
];

impl UnitName {
    pub(super) fn parse(name: &str) -> Result<Self, UnitsError> {
        let wrong = || UnitsError::Name { name: name.to_owned() };
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || ":-_.\\@".contains(letter);
        let (stem, kind) = name.rsplit_once('.').ok_or_else(wrong)?;
        if !KINDS.contains(&kind) || stem.is_empty() || stem.starts_with('@') || !name.chars().all(is_letter)
        {
            return Err(wrong());
        }
        let (prefix, instance) = match stem.split_once('@') {
            Some((prefix, instance)) => (prefix, Some(instance.to_owned())),
            None => (stem, None),
        };
        Ok(Self { prefix: prefix.to_owned(), instance, kind: kind.to_owned() })
    }

    /// `getty@tty1.service`
    pub(super) fn full(&self) -> String {
        match &self.instance {
            Some(instance) => format!("{}@{instance}.{}", self.prefix, self.kind),
            None => format!("{}.{}", self.prefix, self.kind),
        }
    }

    /// Name of the file that describes it: an instance's is its template's.
    pub(super) fn file(&self) -> String {
        if self.instance.is_some() { self.template() } else { self.full() }
    }

    /// `getty@.service`
    pub(super) fn template(&self) -> String {
        format!("{}@.{}", self.prefix, self.kind)
    }

    pub(super) fn is_template(&self) -> bool {
        self.instance.as_deref() == Some("")
    }

    pub(super) fn instantiate(&self, instance: &str) -> Self {
        Self { instance: Some(instance.to_owned()), ..self.clone() }
    }

    pub(super) fn with_instance_of(&self, other: &Self) -> Self {
        Self { instance: other.instance.clone().or_else(|| self.instance.clone()), ..self.clone() }
    }

    /// Replaces the specifiers that follow from the name alone.
    pub(super) fn expand(&self, value: &str) -> Result<String, UnitsError> {
        let mut expanded = String::with_capacity(value.len());
        let mut letters = value.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                expanded.push(letter);
                continue;
            }
            match letters.next() {
                Some('i') => expanded.push_str(self.instance.as_deref().unwrap_or_default()),
                Some('p') => expanded.push_str(&self.prefix),
                Some('j') => expanded.push_str(self.prefix.rsplit('-').next().unwrap_or_default()),
                Some('n') => expanded.push_str(&self.full()),
                Some('N') => {
                    let full = self.full();
                    expanded.push_str(full.strip_suffix(&format!(".{}", self.kind)).unwrap_or(&full));
                }
                Some('%') => expanded.push('%'),
                _ => {
                    return Err(UnitsError::Specifier { unit: self.full(), value: value.to_owned() });
                }
            }
        }
        Ok(expanded)
    }
}

/// The `[Install]` section.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Install {
    pub(super) alias: Vec<String>,
    pub(super) also: Vec<String>,
    pub(super) wanted_by: Vec<String>,
    pub(super) required_by: Vec<String>,
    pub(super) upheld_by: Vec<String>,
    pub(super) default_instance: Option<String>,
}

impl Install {
    /// Adds what the text of a unit file or drop-in says; an empty value clears the list.
    pub(super) fn read(&mut self, text: &str) {
        let joined = text.replace("\\\n", " ");
        let mut is_install = false;
        for line in joined.lines().map(str::trim) {
            if line.starts_with('[') {
                is_install = line == "[Install]";
            }
            let Some((key, value)) =
                line.split_once('=').filter(|_| is_install && !line.starts_with(['#', ';']))
            else {
                continue;
            };
            let list = match key.trim_end() {
                "Alias" => &mut self.alias,
                "Also" => &mut self.also,
                "WantedBy" => &mut self.wanted_by,
                "RequiredBy" => &mut self.required_by,
                "UpheldBy" => &mut self.upheld_by,
                "DefaultInstance" => {
                    self.default_instance = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
                    continue;
                }
                _ => continue,
            };
            if value.trim().is_empty() {
                list.clear();
            }
            list.extend(value.split_whitespace().map(str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_continuations_and_resets() {
        let mut install = Install::default();
        install.read("[Unit]\nAlias=no.service\n[Install]\n# Also=x.service\nWantedBy=a.target \\\n b.target\nWantedBy=c.target\n");
        assert_eq!(install.wanted_by, ["a.target", "b.target", "c.target"]);
        assert!(install.alias.is_empty() && install.also.is_empty());
        install.read("[Install]\nWantedBy=\nWantedBy=d.target\nDefaultInstance=tty1\n");
        assert_eq!(install.wanted_by, ["d.target"]);
        assert_eq!(install.default_instance.as_deref(), Some("tty1"));
    }

    #[test]
    fn expands_specifiers_of_the_name() {
        let name = UnitName::parse("wg-quick@wg0.service").unwrap();
        let cases = [
            ("%i.target", "wg0.target"),
            ("%p", "wg-quick"),
            ("%j", "quick"),
            ("%n", "wg-quick@wg0.service"),
            ("%N%%", "wg-quick@wg0%"),
        ];
        for (value, expected) in cases {
            assert_eq!(name.expand(value).unwrap(), expected);
        }
        let fault = name.expand("%H.target").unwrap_err();
        assert_eq!(
            fault.to_string(),
            "`%H.target` in `[Install]` of `wg-quick@wg0.service` has a specifier without value in an image"
        );
    }

    #[test]
    fn refuses_what_is_no_unit() {
        for name in ["ssh", "ssh.conf", ".service", "@x.service", "a/b.service", "a b.service"] {
            assert_eq!(UnitName::parse(name), Err(UnitsError::Name { name: name.to_owned() }));
        }
    }
}
