//! Licences as a package's `copyright` file declares them, where it is one that machines can read.
//!
//! Format: <https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>. Its short names are not those of
//! SPDX; the ones that mean the same are translated, the others are kept as names.

use std::collections::BTreeSet;

/// How a `copyright` file begins that follows the format.
const FORMAT: &str = "packaging-manuals/copyright-format/1";

/// Debian's short name, and SPDX's identifier of exactly the same licence.
const KNOWN: [(&str, &str); 35] = [
    ("0BSD", "0BSD"),
    ("Apache-2", "Apache-2.0"),
    ("Apache-2.0", "Apache-2.0"),
    ("Artistic", "Artistic-1.0-Perl"),
    ("BSD-2-clause", "BSD-2-Clause"),
    ("BSD-3-clause", "BSD-3-Clause"),
    ("BSD-4-clause", "BSD-4-Clause"),
    ("BSL-1.0", "BSL-1.0"),
    ("CC0-1.0", "CC0-1.0"),
    ("CC-BY-4.0", "CC-BY-4.0"),
    ("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
    ("Expat", "MIT"),
    ("FSFAP", "FSFAP"),
    ("FSFUL", "FSFUL"),
    ("FSFULLR", "FSFULLR"),
    ("GFDL-1.3+", "GFDL-1.3-or-later"),
    ("GPL-1+", "GPL-1.0-or-later"),
    ("GPL-2", "GPL-2.0-only"),
    ("GPL-2+", "GPL-2.0-or-later"),
    ("GPL-3", "GPL-3.0-only"),
    ("GPL-3+", "GPL-3.0-or-later"),
    ("ISC", "ISC"),
    ("LGPL-2", "LGPL-2.0-only"),
    ("LGPL-2+", "LGPL-2.0-or-later"),
    ("LGPL-2.1", "LGPL-2.1-only"),
    ("LGPL-2.1+", "LGPL-2.1-or-later"),
    ("LGPL-3", "LGPL-3.0-only"),
    ("LGPL-3+", "LGPL-3.0-or-later"),
    ("MIT-CMU", "MIT-CMU"),
    ("MPL-2.0", "MPL-2.0"),
    ("OpenSSL", "OpenSSL"),
    ("Unicode-DFS-2016", "Unicode-DFS-2016"),
    ("Unlicense", "Unlicense"),
    ("X11", "X11"),
    ("Zlib", "Zlib"),
];

/// What is known of a package's licences.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Licences {
    /// SPDX expressions, all of which hold; sorted.
    pub known: BTreeSet<String>,
    /// Debian's names of licences for which SPDX has no identifier that surely means the same; sorted.
    pub named: BTreeSet<String>,
}

impl Licences {
    /// Reads a `copyright` file; one without the format says nothing.
    pub fn read(copyright: &str) -> Self {
        let mut licences = Self::default();
        let is_format = |line: &str| field(line, "Format").is_some_and(|value| value.contains(FORMAT));
        if !copyright.lines().take(10).any(is_format) {
            return licences;
        }
        for name in copyright.lines().filter_map(|line| field(line, "License")) {
            if name.is_empty() {
                continue;
            }
            match expression(name) {
                Some(expression) => licences.known.insert(expression),
                None => licences.named.insert(name.split_whitespace().collect::<Vec<_>>().join(" ")),
            };
        }
        licences
    }

    /// One SPDX expression for all; `None` unless every licence has one.
    pub fn expression(&self) -> Option<String> {
        if self.known.is_empty() || !self.named.is_empty() {
            return None;
        }
        let several = self.known.len() > 1;
        let terms = self
            .known
            .iter()
            .map(|term| if several && term.contains(' ') { format!("({term})") } else { term.clone() });
        Some(terms.collect::<Vec<_>>().join(" AND "))
    }
}

fn field<'line>(line: &'line str, name: &str) -> Option<&'line str> {
    let (field, value) = line.split_once(':')?;
    field.eq_ignore_ascii_case(name).then(|| value.trim())
}

/// Translates names joined by `or` or by `and`. Both at once bind by commas, exceptions by words: neither is guessed.
fn expression(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (names, operators): (Vec<_>, Vec<_>) =
        words.iter().enumerate().partition(|(index, _)| index % 2 == 0);
    let operator = operators.first().map_or("or", |(_, word)| **word);
    let joined = match operator {
        "or" => " OR ",
        "and" => " AND ",
        _ => return None,
    };
    if names.len() != operators.len().saturating_add(1)
        || operators.iter().any(|(_, word)| **word != operator)
    {
        return None;
    }
    let identifiers: Option<BTreeSet<&str>> = names.iter().map(|(_, name)| identifier(name)).collect();
    Some(identifiers?.into_iter().collect::<Vec<_>>().join(joined))
}

fn identifier(name: &str) -> Option<&'static str> {
    // `GPL-2.0+` is written as often as `GPL-2+`.
    let short = name.replace(".0", "");
    let is_meant = |debian: &str| debian.eq_ignore_ascii_case(name) || debian.eq_ignore_ascii_case(&short);
    KNOWN.iter().find(|(debian, _)| is_meant(debian)).map(|(_, spdx)| *spdx)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n";

    fn licences(lines: &[&str]) -> Licences {
        let stanzas: String =
            lines.iter().flat_map(|name| ["\nFiles: *\nLicense: ", name, "\n text\n"]).collect();
        Licences::read(&format!("{HEAD}{stanzas}"))
    }

    #[test]
    fn translates_what_means_the_same() {
        for (names, expression) in [
            (&["Expat"][..], Some("MIT")),
            (&["GPL-2.0+", "gpl-2+"], Some("GPL-2.0-or-later")),
            (
                &["GPL-1+ or Artistic", "BSD-3-clause"],
                Some("(Artistic-1.0-Perl OR GPL-1.0-or-later) AND BSD-3-Clause"),
            ),
            (&["GPL-2 and LGPL-2.1+"], Some("GPL-2.0-only AND LGPL-2.1-or-later")),
            (&["GPL-2+ with OpenSSL exception"], None),
            (&["GPL-2 or LGPL-2 and Expat"], None),
            (&["Expat", "public-domain"], None),
            (&[], None),
        ] {
            assert_eq!(licences(names).expression().as_deref(), expression, "{names:?}");
        }
        assert_eq!(licences(&["Expat", "public-domain"]).named, BTreeSet::from(["public-domain".to_owned()]));
    }

    #[test]
    fn believes_no_other_format() {
        assert_eq!(Licences::read("This is free.\n\nLicense: Expat\n"), Licences::default());
    }
}
