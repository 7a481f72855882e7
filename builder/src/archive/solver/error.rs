//! Why no packages can be chosen, as the chain that leads from the request to the fact.

use std::fmt;

use crate::archive::index::Package;
use crate::archive::relation::RelationError;
use crate::archive::version::VersionError;

/// Why packages cannot be indexed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UniverseError {
    /// A version that is none.
    #[error("package {package}")]
    Version {
        /// Package name.
        package: String,
        /// What is wrong.
        #[source]
        source: VersionError,
    },
    /// A relation field that cannot be read.
    #[error("package {package} {version}")]
    Relation {
        /// Package name.
        package: String,
        /// Its version.
        version: String,
        /// What is wrong.
        #[source]
        source: RelationError,
    },
    /// Packages of two architectures.
    #[error("package {package} is for {found} among packages for {expected}")]
    Architecture {
        /// Package name.
        package: String,
        /// Architecture of the packages before it.
        expected: String,
        /// Its own.
        found: String,
    },
}

impl UniverseError {
    pub(super) fn relation(package: &Package, source: RelationError) -> Self {
        Self::Relation { package: package.name.clone(), version: package.version.clone(), source }
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SolveError {
    /// A requested name that no index has.
    #[error("{origin} wants {name}, which no index has{}", suggestion(nearest.as_deref()))]
    Unknown {
        /// Who asked.
        origin: String,
        /// The name.
        name: String,
        /// The most similar known name, if one is similar.
        nearest: Option<String>,
    },
    /// A requested name that is only provided.
    #[error("{origin} wants {name}, which is only provided, by {}", providers.join(", "))]
    Virtual {
        /// Who asked.
        origin: String,
        /// The name.
        name: String,
        /// Packages that provide it, sorted.
        providers: Vec<String>,
    },
    /// A name that is both requested and excluded.
    #[error("{origin} both wants and excludes {name}")]
    Excluded {
        /// Who asked.
        origin: String,
        /// The name.
        name: String,
    },
    /// A dependency that nothing can satisfy.
    #[error("{chain} → {}", join(gaps, ", "))]
    Unsatisfiable {
        /// From the request to the dependency.
        chain: Chain,
        /// Why each of its alternatives is of no use, in their order.
        gaps: Vec<Gap>,
    },
    /// Two packages that are both needed and exclude each other.
    #[error(transparent)]
    Conflict(Box<Conflict>),
}

/// Two packages that are both needed and exclude each other.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{refusing} → {refusal}, but {refused}{}", self.match_suffix())]
pub struct Conflict {
    /// From the request to the package that refuses the other.
    pub refusing: Chain,
    /// The refusal: `a conflicts with b (<< 2)`.
    pub refusal: Link,
    /// From the request to the refused package.
    pub refused: Chain,
    /// Why the refusal means that package.
    pub reason: Match,
}

/// Why a refusal means a package.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Match {
    /// By its name alone.
    Name,
    /// By its version.
    Version {
        /// Package name.
        name: String,
        /// Its newest version.
        newest: String,
        /// Suite of that version.
        suite: String,
    },
    /// By what it provides.
    Provides {
        /// Package name.
        name: String,
        /// The provided name.
        provided: String,
    },
}

impl Conflict {
    fn match_suffix(&self) -> String {
        match &self.reason {
            Match::Name => String::new(),
            Match::Version { name, newest, suite } => format!(" → {name} {newest} is the newest in {suite}"),
            Match::Provides { name, provided } => format!(" → {name} provides {provided}"),
        }
    }
}

/// The way from a request to a package: who wants the first one, and each dependency on the way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// Who asked.
    pub origin: String,
    /// The requested package.
    pub requested: String,
    /// Dependencies on the way, in order.
    pub links: Vec<Link>,
}

/// One relation of one package: `a depends on b | c (>= 2)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// The package that has the relation.
    pub package: String,
    /// `depends on`, `pre-depends on`, `conflicts with`, `breaks`.
    pub verb: &'static str,
    /// The relation as its field has it.
    pub relation: String,
}

/// Why an alternative of a dependency is of no use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Gap {
    /// Nothing has or provides the name.
    Unknown {
        /// The name.
        name: String,
    },
    /// The newest version does not fit.
    Version {
        /// Package name.
        name: String,
        /// Its newest version.
        newest: String,
        /// Suite of that version.
        suite: String,
    },
    /// Packages provide the name, but in no version that fits, or not for every architecture.
    Provided {
        /// The name.
        name: String,
        /// Packages that provide it, sorted.
        providers: Vec<String>,
    },
    /// The name has a candidate, but not for the architecture that the relation asks for.
    Architecture {
        /// The relation.
        relation: String,
    },
    /// Everything that would fit is excluded.
    Excluded {
        /// Who excluded.
        origin: String,
        /// The excluded packages that would fit.
        names: Vec<String>,
    },
}

impl fmt::Display for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} wants {}", self.origin, self.requested)?;
        self.links.iter().try_for_each(|link| write!(formatter, " → {link}"))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.package, self.verb, self.relation)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(formatter, "no package is or provides {name}"),
            Self::Version { name, newest, suite } => {
                write!(formatter, "{name} {newest} is the newest in {suite}")
            }
            Self::Provided { name, providers } => {
                write!(formatter, "{} provides {name} in no version that fits", providers.join(", "))
            }
            Self::Architecture { relation } => {
                write!(formatter, "no package satisfies {relation} on this architecture")
            }
            Self::Excluded { origin, names } => write!(formatter, "{origin} excludes {}", names.join(", ")),
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn join(items: &[impl ToString], separator: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
