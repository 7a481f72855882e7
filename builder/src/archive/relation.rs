//! Relations between packages: Depends, Provides, Conflicts and their like (Debian Policy 7.1).

use std::fmt;

use super::version::{Version, VersionError};

/// One relation to a package: `name[:qualifier] [(operator version)] [[architectures]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Relation<'a> {
    /// Name of a real or virtual package.
    pub name: &'a str,
    /// Architecture qualifier after the name.
    pub qualifier: Qualifier<'a>,
    /// Restriction of the version.
    pub constraint: Option<Constraint<'a>>,
    /// Restriction of the architectures for which the relation holds; empty: all.
    pub architectures: Vec<&'a str>,
}

/// What follows a name after a colon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Qualifier<'a> {
    /// Nothing: the architecture of the package that has the relation.
    None,
    /// `:any`: every architecture, if the target is `Multi-Arch: allowed`.
    Any,
    /// `:native`: the architecture of the system.
    Native,
    /// A named architecture.
    Named(&'a str),
}

/// A version restriction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Constraint<'a> {
    /// How to compare.
    pub operator: Operator,
    /// What to compare with.
    pub version: Version<'a>,
}

/// How a version is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`, also the obsolete `<`
    EarlierOrEqual,
    /// `=`
    Exactly,
    /// `>=`, also the obsolete `>`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// Why the text of a relation field is wrong, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("field {field} at byte {position}")]
pub struct RelationError {
    /// Name of the field, e.g. `Depends`.
    pub field: &'static str,
    /// Offset in the field's value, in bytes.
    pub position: usize,
    /// What is wrong there.
    #[source]
    pub fault: RelationFault,
}

/// What is wrong in a relation.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RelationFault {
    /// No package name of Policy 5.6.1 where one is needed.
    #[error("`{found}` is no package name")]
    Name {
        /// What stands there.
        found: String,
    },
    /// An unknown comparison.
    #[error("`{found}` begins with none of <<, <=, =, >=, >>")]
    Operator {
        /// What stands in the parentheses.
        found: String,
    },
    /// A parenthesis or bracket that is never closed.
    #[error("`{open}` is never closed")]
    Unclosed {
        /// The opening character.
        open: char,
    },
    /// A wrong version.
    #[error(transparent)]
    Version(VersionError),
    /// Text after the end of a relation.
    #[error("`{found}` follows a complete relation")]
    Trailing {
        /// What stands there.
        found: String,
    },
    /// `|` where only single packages may stand.
    #[error("alternatives are not allowed here")]
    Alternatives,
    /// A provided version with another comparison than `=`.
    #[error("a provided version needs `=`, not `{operator}`")]
    ProvidedVersion {
        /// The comparison that was given.
        operator: Operator,
    },
}

impl Relation<'_> {
    /// Whether the relation holds on an architecture: `[amd64]`, `[!amd64]`, `[linux-any]`, `[any]`.
    pub fn holds_on(&self, architecture: &str) -> bool {
        let matches = |pattern: &str| {
            pattern == architecture || matches!(pattern, "any" | "linux-any") || {
                pattern.strip_prefix("any-") == Some(architecture)
            }
        };
        let Some(first) = self.architectures.first() else {
            return true;
        };
        if first.starts_with('!') {
            !self.architectures.iter().any(|pattern| matches(pattern.trim_start_matches('!')))
        } else {
            self.architectures.iter().any(|pattern| matches(pattern))
        }
    }
}

impl Constraint<'_> {
    /// Whether a version lies within the restriction.
    pub fn admits(&self, version: &Version<'_>) -> bool {
        let order = version.cmp(&self.version);
        match self.operator {
            Operator::Earlier => order.is_lt(),
            Operator::EarlierOrEqual => order.is_le(),
            Operator::Exactly => order.is_eq(),
            Operator::LaterOrEqual => order.is_ge(),
            Operator::Later => order.is_gt(),
        }
    }
}

/// Reads a field such as Depends: comma-separated groups of alternatives.
///
/// Empty groups are skipped, as dpkg does; an empty field gives no groups.
pub fn parse_groups<'a>(
    field: &'static str,
    value: &'a str,
) -> Result<Vec<Vec<Relation<'a>>>, RelationError> {
    let offset_of = |part: &'a str| part.as_ptr().addr() - value.as_ptr().addr();
    value
        .split(',')
        .filter(|group| !group.trim().is_empty())
        .map(|group| {
            group
                .split('|')
                .map(|text| {
                    parse_relation(text).map_err(|(at, fault)| RelationError {
                        field,
                        position: offset_of(text) + at,
                        fault,
                    })
                })
                .collect()
        })
        .collect()
}

/// Reads a field without alternatives, such as Conflicts.
pub fn parse_list<'a>(field: &'static str, value: &'a str) -> Result<Vec<Relation<'a>>, RelationError> {
    if let Some(position) = value.find('|') {
        return Err(RelationError { field, position, fault: RelationFault::Alternatives });
    }
    Ok(parse_groups(field, value)?.into_iter().flatten().collect())
}

/// Reads Provides: a list whose versions are exact.
pub fn parse_provides(value: &str) -> Result<Vec<Relation<'_>>, RelationError> {
    const FIELD: &str = "Provides";
    let relations = parse_list(FIELD, value)?;
    for relation in &relations {
        if let Some(Constraint { operator, .. }) = relation.constraint
            && operator != Operator::Exactly
        {
            let position = relation.name.as_ptr().addr() - value.as_ptr().addr();
            let fault = RelationFault::ProvidedVersion { operator };
            return Err(RelationError { field: FIELD, position, fault });
        }
    }
    Ok(relations)
}

type Fault = (usize, RelationFault);

/// Reads one relation; faults carry the offset in `text`.
fn parse_relation(text: &str) -> Result<Relation<'_>, Fault> {
    let at = |rest: &str| text.len() - rest.len();
    let rest = text.trim_start();
    let end = rest.find(|character: char| character.is_ascii_whitespace() || "([:".contains(character));
    let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
    if !is_package_name(name) {
        let found = text.trim().to_owned();
        return Err((at(rest) - name.len(), RelationFault::Name { found }));
    }
    let (qualifier, rest) = parse_qualifier(rest);
    if qualifier == Qualifier::Named("") {
        return Err((at(rest), RelationFault::Name { found: text.trim().to_owned() }));
    }
    let rest = rest.trim_start();
    let (constraint, rest) = match take_enclosed(rest, '(', ')').map_err(|fault| (at(rest), fault))? {
        Some((inner, after)) => {
            let inner_at = at(rest) + 1;
            let constraint = parse_constraint(inner).map_err(|fault| (inner_at, fault))?;
            (Some(constraint), after.trim_start())
        }
        None => (None, rest),
    };
    let (architectures, rest) = match take_enclosed(rest, '[', ']').map_err(|fault| (at(rest), fault))? {
        Some((inner, after)) => (inner.split_ascii_whitespace().collect(), after.trim_start()),
        None => (Vec::new(), rest),
    };
    if rest.is_empty() {
        Ok(Relation { name, qualifier, constraint, architectures })
    } else {
        Err((at(rest), RelationFault::Trailing { found: rest.trim_end().to_owned() }))
    }
}

/// Package names by Policy 5.6.1, and upper case and `_` that dpkg tolerates in virtual names.
fn is_package_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
}

fn parse_qualifier(rest: &str) -> (Qualifier<'_>, &str) {
    let Some(after) = rest.strip_prefix(':') else {
        return (Qualifier::None, rest);
    };
    let end = after.find(|character: char| !(character.is_ascii_alphanumeric() || character == '-'));
    let (qualifier, rest) = after.split_at(end.unwrap_or(after.len()));
    match qualifier {
        "any" => (Qualifier::Any, rest),
        "native" => (Qualifier::Native, rest),
        named => (Qualifier::Named(named), rest),
    }
}

fn take_enclosed(rest: &str, open: char, close: char) -> Result<Option<(&str, &str)>, RelationFault> {
    match rest.strip_prefix(open) {
        Some(after) => after.split_once(close).map(Some).ok_or(RelationFault::Unclosed { open }),
        None => Ok(None),
    }
}

fn parse_constraint(inner: &str) -> Result<Constraint<'_>, RelationFault> {
    const OPERATORS: [(&str, Operator); 7] = [
        ("<<", Operator::Earlier),
        ("<=", Operator::EarlierOrEqual),
        (">=", Operator::LaterOrEqual),
        (">>", Operator::Later),
        ("=", Operator::Exactly),
        ("<", Operator::EarlierOrEqual),
        (">", Operator::LaterOrEqual),
    ];
    let inner = inner.trim();
    let (operator, version) = OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((*operator, inner.strip_prefix(sign)?)))
        .ok_or_else(|| RelationFault::Operator { found: inner.to_owned() })?;
    let version = Version::parse(version.trim_start()).map_err(RelationFault::Version)?;
    Ok(Constraint { operator, version })
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Exactly => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        })
    }
}

/// Writes the relation as a control file has it, without architecture restrictions.
impl fmt::Display for Relation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)?;
        match self.qualifier {
            Qualifier::None => {}
            Qualifier::Any => formatter.write_str(":any")?,
            Qualifier::Native => formatter.write_str(":native")?,
            Qualifier::Named(architecture) => write!(formatter, ":{architecture}")?,
        }
        match &self.constraint {
            Some(Constraint { operator, version }) => write!(formatter, " ({operator} {version})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(groups: &[Vec<Relation<'_>>]) -> Vec<String> {
        let join =
            |group: &Vec<Relation<'_>>| group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        groups.iter().map(join).collect()
    }

    #[test]
    fn reads_every_form_of_a_relation() {
        for (value, expected) in [
            ("", vec![]),
            ("a", vec!["a"]),
            ("a,b ,, c,", vec!["a", "b", "c"]),
            ("a|b | c (>= 1:2~3-4)", vec!["a | b | c (>= 1:2~3-4)"]),
            ("a(<<1),b ( = 2 ),c (<= 3), d(>>4)", vec!["a (<< 1)", "b (= 2)", "c (<= 3)", "d (>> 4)"]),
            ("a (< 1), b (> 2)", vec!["a (<= 1)", "b (>= 2)"]),
            (
                "python3:any (>= 3.13), gcc:native, libc6:i386",
                vec!["python3:any (>= 3.13)", "gcc:native", "libc6:i386"],
            ),
            ("a\n , b\t(>= 1)", vec!["a", "b (>= 1)"]),
        ] {
            assert_eq!(shown(&parse_groups("Depends", value).unwrap()), expected, "{value}");
        }
    }

    #[test]
    fn restricts_relations_to_architectures() {
        for (value, on_amd64, on_arm64) in [
            ("a", true, true),
            ("a [amd64]", true, false),
            ("a (>= 1) [armhf arm64]", false, true),
            ("a [!amd64 !armhf]", false, true),
            ("a [linux-any]", true, true),
            ("a [any-arm64]", false, true),
        ] {
            let relations = parse_list("Depends", value).unwrap();
            assert_eq!(relations[0].holds_on("amd64"), on_amd64, "{value}");
            assert_eq!(relations[0].holds_on("arm64"), on_arm64, "{value}");
        }
    }

    #[test]
    fn says_where_a_relation_is_wrong() {
        let chain = |error: RelationError| format!("{error}: {}", error.fault);
        for (value, message) in [
            ("a, |b", "field Depends at byte 3: `` is no package name"),
            ("a, b$", "field Depends at byte 3: `b$` is no package name"),
            ("a, b:", "field Depends at byte 5: `b:` is no package name"),
            ("a, b (>= 1", "field Depends at byte 5: `(` is never closed"),
            ("a [amd64", "field Depends at byte 2: `[` is never closed"),
            ("a | b (~ 1)", "field Depends at byte 7: `~ 1` begins with none of <<, <=, =, >=, >>"),
            ("a (>= 1_0)", "field Depends at byte 3: version `1_0` has `_` at byte 1"),
            ("a (>= )", "field Depends at byte 3: version `` has no upstream part"),
            ("a, b (>= 1) c", "field Depends at byte 12: `c` follows a complete relation"),
            ("a <!nocheck>", "field Depends at byte 2: `<!nocheck>` follows a complete relation"),
        ] {
            assert_eq!(chain(parse_groups("Depends", value).unwrap_err()), message, "{value}");
        }
        let alternatives = parse_list("Breaks", "a, b | c").unwrap_err();
        assert_eq!(chain(alternatives), "field Breaks at byte 5: alternatives are not allowed here");
        let provided = parse_provides("a (= 1), b (>= 2)").unwrap_err();
        assert_eq!(chain(provided), "field Provides at byte 9: a provided version needs `=`, not `>=`");
    }

    #[test]
    fn admits_versions_by_operator() {
        for (relation, admitted) in [
            ("a (<< 2)", [true, false, false]),
            ("a (<= 2)", [true, true, false]),
            ("a (= 2)", [false, true, false]),
            ("a (>= 2)", [false, true, true]),
            ("a (>> 2)", [false, false, true]),
        ] {
            let relations = parse_list("Depends", relation).unwrap();
            let constraint = relations[0].constraint.unwrap();
            let found = ["1", "2", "3"].map(|version| constraint.admits(&Version::parse(version).unwrap()));
            assert_eq!(found, admitted, "{relation}");
        }
    }
}
