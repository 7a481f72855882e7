//! Everything a request could reach, without what can never be chosen because a dependency is missing.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::Request;
use super::error::{Chain, Gap, Link, SolveError};
use super::universe::{Dependency, Id, Universe};
use crate::archive::relation::{Qualifier, Relation};

/// Reachable candidates and what each of them still needs.
#[derive(Debug)]
pub(super) struct Closure<'u, 'a> {
    needs: HashMap<Id, Vec<Need<'u, 'a>>>,
}

/// A dependency that nothing dropped satisfies.
#[derive(Debug)]
pub(super) struct Need<'u, 'a> {
    pub(super) dependency: &'u Dependency<'a>,
    /// Candidates that would satisfy it, in the order in which to try them.
    pub(super) options: Vec<Id>,
}

impl<'u, 'a> Closure<'u, 'a> {
    /// Follows every alternative of every dependency, then prunes.
    pub(super) fn of(
        universe: &'u Universe<'a>,
        request: &Request<'_>,
        requested: &[Id],
    ) -> Result<Self, SolveError> {
        let dropped: HashSet<&str> = request.drop.iter().map(String::as_str).collect();
        let excluded: HashSet<&str> = request.exclude.iter().map(String::as_str).collect();
        let mut needs = BTreeMap::<Id, Vec<Need<'u, 'a>>>::new();
        let mut pending = requested.to_vec();
        while let Some(id) = pending.pop() {
            if needs.contains_key(&id) {
                continue;
            }
            let found: Vec<_> = universe
                .candidate(id)
                .dependencies
                .iter()
                .filter_map(|dependency| find_options(universe, dependency, &dropped, &excluded))
                .collect();
            pending.extend(found.iter().flat_map(|need| &need.options));
            needs.insert(id, found);
        }
        let hopeless = find_hopeless(&needs);
        if let Some(id) = requested.iter().find(|id| hopeless.contains_key(id)) {
            return Err(explain(universe, request, &needs, &hopeless, *id));
        }
        for need in needs.values_mut().flatten() {
            need.options.retain(|id| !hopeless.contains_key(id));
        }
        Ok(Self { needs: needs.into_iter().collect() })
    }

    /// What a candidate needs, in the order of its fields.
    pub(super) fn needs(&self, id: Id) -> &[Need<'u, 'a>] {
        self.needs.get(&id).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The options of a dependency, or nothing if something dropped satisfies it.
fn find_options<'u, 'a>(
    universe: &'u Universe<'a>,
    dependency: &'u Dependency<'a>,
    dropped: &HashSet<&str>,
    excluded: &HashSet<&str>,
) -> Option<Need<'u, 'a>> {
    let name_of = |id: &Id| universe.candidate(*id).package.name.as_str();
    let mut options = Vec::new();
    for relation in &dependency.alternatives {
        let targets = universe.targets(relation);
        if dropped.contains(relation.name) || targets.iter().any(|id| dropped.contains(name_of(id))) {
            return None;
        }
        for id in targets {
            if !options.contains(&id) && !excluded.contains(name_of(&id)) {
                options.push(id);
            }
        }
    }
    Some(Need { dependency, options })
}

/// Candidates with a need that no other than hopeless candidates could satisfy, and that need's position.
fn find_hopeless(needs: &BTreeMap<Id, Vec<Need<'_, '_>>>) -> BTreeMap<Id, usize> {
    let mut wanted_by = HashMap::<Id, Vec<(Id, usize)>>::new();
    let mut open = HashMap::<(Id, usize), usize>::new();
    let mut hopeless = BTreeMap::new();
    let mut pending = VecDeque::new();
    for (id, needs) in needs {
        for (position, need) in needs.iter().enumerate() {
            open.insert((*id, position), need.options.len());
            for option in &need.options {
                wanted_by.entry(*option).or_default().push((*id, position));
            }
            if need.options.is_empty() && !hopeless.contains_key(id) {
                hopeless.insert(*id, position);
                pending.push_back(*id);
            }
        }
    }
    while let Some(lost) = pending.pop_front() {
        for key in wanted_by.get(&lost).into_iter().flatten() {
            let Some(left) = open.get_mut(key) else { continue };
            *left = left.saturating_sub(1);
            if *left == 0 && !hopeless.contains_key(&key.0) {
                hopeless.insert(key.0, key.1);
                pending.push_back(key.0);
            }
        }
    }
    hopeless
}

/// Follows the first option of each hopeless need down to one that has no option at all.
///
/// Ends, because a candidate becomes hopeless only after all options of the need it is recorded with.
fn explain(
    universe: &Universe<'_>,
    request: &Request<'_>,
    needs: &BTreeMap<Id, Vec<Need<'_, '_>>>,
    hopeless: &BTreeMap<Id, usize>,
    requested: Id,
) -> SolveError {
    let mut chain = Chain {
        origin: request.origin.to_owned(),
        requested: universe.candidate(requested).package.name.clone(),
        links: Vec::new(),
    };
    let mut gaps = Vec::new();
    let mut current = Some(requested);
    while let Some(id) = current {
        let need = hopeless.get(&id).and_then(|position| needs.get(&id)?.get(*position));
        let Some(need) = need else { break };
        chain.links.push(need.dependency.link_of(&universe.candidate(id).package.name));
        current = need.options.first().copied();
        if current.is_none() {
            let describe = |relation| describe_gap(universe, request, relation);
            gaps = need.dependency.alternatives.iter().map(describe).collect();
        }
    }
    SolveError::Unsatisfiable { chain, gaps }
}

fn describe_gap(universe: &Universe<'_>, request: &Request<'_>, relation: &Relation<'_>) -> Gap {
    let name = relation.name.to_owned();
    let fitting = universe.targets(relation);
    if !fitting.is_empty() {
        let names = fitting.iter().map(|id| universe.candidate(*id).package.name.clone()).collect();
        return Gap::Excluded { origin: request.origin.to_owned(), names };
    }
    let unqualified = Relation { qualifier: Qualifier::None, ..relation.clone() };
    if !universe.targets(&unqualified).is_empty() {
        return Gap::Architecture { relation: relation.to_string() };
    }
    if let Some(id) = universe.named(relation.name) {
        let package = universe.candidate(id).package;
        return Gap::Version { name, newest: package.version.clone(), suite: package.suite.clone() };
    }
    let providers = universe.providers(relation.name);
    if providers.is_empty() { Gap::Unknown { name } } else { Gap::Provided { name, providers } }
}

impl Dependency<'_> {
    /// The dependency as a link of a chain.
    pub(super) fn link_of(&self, package: &str) -> Link {
        let relations: Vec<_> = self.alternatives.iter().map(ToString::to_string).collect();
        Link { package: package.to_owned(), verb: self.verb, relation: relations.join(" | ") }
    }
}
