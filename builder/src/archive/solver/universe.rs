//! The packages to choose from, indexed by name and by what they provide.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::Request;
use super::error::{SolveError, UniverseError};
use crate::archive::index::Package;
use crate::archive::relation::{
    Qualifier, Relation, RelationError, parse_groups, parse_list, parse_provides,
};
use crate::archive::version::Version;
use crate::spelling::did_you_mean;

/// Packages of one architecture and `all`, with the newest version of each name as its candidate.
///
/// Providers of one name are ordered as apt orders them: the package of that very name, then Essential
/// ones, then by Priority, then the one whose name the indices mention last for the first time (apt gives
/// names their numbers as it reads, and prefers the higher number). The last rule is why the order of the
/// packages matters, and why Recommends, Suggests, Replaces and Enhances are read although never followed.
#[derive(Debug)]
pub struct Universe<'a> {
    architecture: &'a str,
    /// Sorted by name.
    candidates: Vec<Candidate<'a>>,
    names: HashMap<&'a str, Name<'a>>,
}

/// A candidate's place in [`Universe::candidates`]; ordered as the names are.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Id(usize);

/// The newest version of a package.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) package: &'a Package,
    pub(super) version: Version<'a>,
    /// Pre-Depends, then Depends: apt's order.
    pub(super) dependencies: Vec<Dependency<'a>>,
    /// Conflicts, then Breaks.
    pub(super) refusals: Vec<Refusal<'a>>,
    /// Emptied into [`Universe::names`].
    provides: Vec<Relation<'a>>,
    priority: u8,
    rank: usize,
}

/// Alternatives of which one must be chosen.
#[derive(Debug)]
pub(super) struct Dependency<'a> {
    pub(super) verb: &'static str,
    pub(super) alternatives: Vec<Relation<'a>>,
}

/// A relation that nothing chosen may satisfy.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) verb: &'static str,
    pub(super) relation: Relation<'a>,
}

#[derive(Debug, Default)]
struct Name<'a> {
    candidate: Option<Id>,
    providers: Vec<(Id, Option<Version<'a>>)>,
}

impl<'a> Universe<'a> {
    /// Indexes packages, in the order in which apt would read them: suite after suite, as each index has them.
    pub fn new(packages: &'a [Package]) -> Result<Self, UniverseError> {
        let architecture = find_architecture(packages)?;
        let newest = newest_versions(packages)?;
        let mut ranks = Ranks::with_capacity(packages.len());
        let mut candidates = Vec::with_capacity(newest.len());
        for package in packages {
            let wrong = |source| UniverseError::relation(package, source);
            let fields = Fields::parse(package).map_err(wrong)?;
            ranks.mention_all(&fields).map_err(wrong)?;
            if let Some((_, version)) =
                newest.get(package.name.as_str()).filter(|(newest, _)| std::ptr::eq(*newest, package))
            {
                candidates.push(Candidate::new(fields, *version, architecture));
            }
        }
        candidates.sort_unstable_by_key(|candidate| candidate.package.name.as_str());
        let mut names = HashMap::<&str, Name<'_>>::with_capacity(candidates.len().saturating_mul(2));
        for (index, candidate) in candidates.iter_mut().enumerate() {
            let id = Id(index);
            candidate.rank = ranks.of(&candidate.package.name);
            names.entry(&candidate.package.name).or_default().candidate = Some(id);
            for provided in candidate.provides.drain(..) {
                let version = provided.constraint.map(|constraint| constraint.version);
                names.entry(provided.name).or_default().providers.push((id, version));
            }
        }
        Ok(Self { architecture, candidates, names })
    }

    pub(super) fn candidate(&self, id: Id) -> &Candidate<'a> {
        &self.candidates[id.0]
    }

    /// The candidate of a name, satisfying or not.
    pub(super) fn named(&self, name: &str) -> Option<Id> {
        self.names.get(name)?.candidate
    }

    /// Names of the packages that provide a name, sorted.
    pub(super) fn providers(&self, name: &str) -> Vec<String> {
        let providers = self.names.get(name).map(|name| name.providers.as_slice()).unwrap_or_default();
        let mut names: Vec<_> =
            providers.iter().map(|(id, _)| self.candidate(*id).package.name.clone()).collect();
        names.dedup();
        names
    }

    /// Candidates that satisfy a relation, in apt's order of preference.
    pub(super) fn targets(&self, relation: &Relation<'_>) -> Vec<Id> {
        let Some(name) = self.names.get(relation.name) else {
            return Vec::new();
        };
        if matches!(relation.qualifier, Qualifier::Named(architecture) if architecture != self.architecture) {
            return Vec::new();
        }
        let is_any = relation.qualifier == Qualifier::Any;
        let admits = |version: Option<&Version<'_>>| match (&relation.constraint, version) {
            (None, _) => true,
            (Some(constraint), Some(version)) => constraint.admits(version),
            (Some(_), None) => false,
        };
        let real = name.candidate.filter(|id| admits(Some(&self.candidate(*id).version)));
        let provided =
            name.providers.iter().filter(|(_, version)| admits(version.as_ref())).map(|(id, _)| *id);
        let mut targets: Vec<_> = real
            .into_iter()
            .chain(provided)
            .filter(|id| !is_any || self.candidate(*id).package.multi_arch == "allowed")
            .collect();
        targets.sort_by_cached_key(|id| {
            let candidate = self.candidate(*id);
            // To apt, `name:any` is a virtual package of its own, which no real package has as its name.
            let is_namesake = !is_any && candidate.package.name == relation.name;
            (!is_namesake, !candidate.package.essential, candidate.priority, Reverse(candidate.rank))
        });
        targets.dedup();
        targets
    }

    /// The candidate of a requested name.
    pub(super) fn requested(&self, name: &str, request: &Request<'_>) -> Result<Id, SolveError> {
        let origin = || request.origin.to_owned();
        if request.exclude.iter().any(|excluded| excluded == name) {
            return Err(SolveError::Excluded { origin: origin(), name: name.to_owned() });
        }
        if let Some(id) = self.named(name) {
            return Ok(id);
        }
        let providers = self.providers(name);
        if providers.is_empty() {
            let known = self.candidates.iter().map(|candidate| candidate.package.name.as_str());
            let nearest = did_you_mean(name, known).map(str::to_owned);
            Err(SolveError::Unknown { origin: origin(), name: name.to_owned(), nearest })
        } else {
            Err(SolveError::Virtual { origin: origin(), name: name.to_owned(), providers })
        }
    }
}

impl<'a> Candidate<'a> {
    fn new(fields: Fields<'a>, version: Version<'a>, architecture: &str) -> Self {
        let holds = |relation: &Relation<'_>| relation.holds_on(architecture);
        let dependencies = [("pre-depends on", fields.pre_depends), ("depends on", fields.depends)]
            .into_iter()
            .flat_map(|(verb, groups)| groups.into_iter().map(move |group| (verb, group)))
            .map(|(verb, mut alternatives)| {
                alternatives.retain(holds);
                Dependency { verb, alternatives }
            })
            .filter(|dependency| !dependency.alternatives.is_empty())
            .collect();
        let refusals = [("conflicts with", fields.conflicts), ("breaks", fields.breaks)]
            .into_iter()
            .flat_map(|(verb, relations)| {
                relations.into_iter().map(move |relation| Refusal { verb, relation })
            })
            .filter(|refusal| holds(&refusal.relation))
            .collect();
        let package = fields.package;
        let priority = match package.priority.as_str() {
            "" => 0,
            "required" => 1,
            "important" => 2,
            "standard" => 3,
            "optional" => 4,
            _ => 5,
        };
        Self { package, version, dependencies, refusals, provides: fields.provides, priority, rank: 0 }
    }
}

/// The relation fields that count.
struct Fields<'a> {
    package: &'a Package,
    pre_depends: Vec<Vec<Relation<'a>>>,
    depends: Vec<Vec<Relation<'a>>>,
    conflicts: Vec<Relation<'a>>,
    breaks: Vec<Relation<'a>>,
    provides: Vec<Relation<'a>>,
}

impl<'a> Fields<'a> {
    fn parse(package: &'a Package) -> Result<Self, RelationError> {
        Ok(Self {
            package,
            pre_depends: parse_groups("Pre-Depends", &package.pre_depends)?,
            depends: parse_groups("Depends", &package.depends)?,
            conflicts: parse_list("Conflicts", &package.conflicts)?,
            breaks: parse_list("Breaks", &package.breaks)?,
            provides: parse_provides(&package.provides)?,
        })
    }
}

/// Names numbered by their first mention.
struct Ranks<'a>(HashMap<&'a str, usize>);

impl<'a> Ranks<'a> {
    fn with_capacity(packages: usize) -> Self {
        Self(HashMap::with_capacity(packages.saturating_mul(2)))
    }

    /// Takes up a package's own name, then those in its relation fields, in apt's order of the fields.
    fn mention_all(&mut self, fields: &Fields<'a>) -> Result<(), RelationError> {
        let package = fields.package;
        self.mention(&package.name);
        let needed = [&fields.pre_depends, &fields.depends];
        needed.into_iter().flatten().flatten().for_each(|relation| self.mention_relation(relation));
        let refused = [&fields.conflicts, &fields.breaks];
        refused.into_iter().flatten().for_each(|relation| self.mention_relation(relation));
        for (field, value) in [
            ("Recommends", &package.recommends),
            ("Suggests", &package.suggests),
            ("Replaces", &package.replaces),
            ("Enhances", &package.enhances),
        ] {
            let groups = parse_groups(field, value)?;
            groups.iter().flatten().for_each(|relation| self.mention_relation(relation));
        }
        fields.provides.iter().for_each(|relation| self.mention_relation(relation));
        Ok(())
    }

    fn mention_relation(&mut self, relation: &Relation<'a>) {
        // A name with a qualifier is another name to apt.
        if relation.qualifier == Qualifier::None {
            self.mention(relation.name);
        }
    }

    fn mention(&mut self, name: &'a str) {
        let next = self.0.len();
        self.0.entry(name).or_insert(next);
    }

    fn of(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// The one architecture besides `all`; empty if there is none.
fn find_architecture(packages: &[Package]) -> Result<&str, UniverseError> {
    let mut specific = packages.iter().filter(|package| package.arch != "all");
    let Some(first) = specific.next() else {
        return Ok("");
    };
    match specific.find(|package| package.arch != first.arch) {
        None => Ok(&first.arch),
        Some(other) => Err(UniverseError::Architecture {
            package: other.name.clone(),
            expected: first.arch.clone(),
            found: other.arch.clone(),
        }),
    }
}

/// The newest version of each name; of equal ones the first.
fn newest_versions(packages: &[Package]) -> Result<HashMap<&str, (&Package, Version<'_>)>, UniverseError> {
    let mut newest = HashMap::<&str, (&Package, Version<'_>)>::with_capacity(packages.len());
    for package in packages {
        let version = Version::parse(&package.version)
            .map_err(|source| UniverseError::Version { package: package.name.clone(), source })?;
        newest
            .entry(&package.name)
            .and_modify(|known| {
                if version > known.1 {
                    *known = (package, version);
                }
            })
            .or_insert((package, version));
    }
    Ok(newest)
}
