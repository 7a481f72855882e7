//! The search: depth first in apt's order, with conflict-directed backjumping.

use std::collections::{BTreeSet, HashMap};

use super::Request;
use super::closure::{Closure, Need};
use super::error::{Chain, Conflict, Link, Match, SolveError};
use super::universe::{Id, Refusal, Universe};

/// State of a search. Everything chosen or blocked since a choice can be taken back.
#[derive(Debug)]
pub(super) struct Search<'s, 'a> {
    universe: &'s Universe<'a>,
    request: &'s Request<'s>,
    closure: &'s Closure<'s, 'a>,
    chosen: HashMap<Id, Chosen>,
    /// Chosen packages that refuse a candidate and the relations by which they do, by candidate.
    refused_by: HashMap<Id, Vec<(Id, &'s Refusal<'a>)>>,
    trail: Vec<Step>,
    /// What is left to do, the next on top: a chosen package and the position of its next need.
    agenda: Vec<(Id, usize)>,
    choices: Vec<Choice>,
}

/// Why a package was chosen.
#[derive(Debug)]
struct Chosen {
    /// Package and position of the need that it satisfies; none if requested.
    needed_by: Option<(Id, usize)>,
    /// Choices without which it would not have been chosen, as positions in [`Search::choices`].
    support: BTreeSet<usize>,
}

#[derive(Debug)]
enum Step {
    Chose(Id),
    Refused(Id),
}

/// A need with several options.
#[derive(Debug)]
struct Choice {
    needed_by: (Id, usize),
    /// Options not tried yet, the next on top.
    untried: Vec<Id>,
    trail: usize,
    agenda: Vec<(Id, usize)>,
    /// Earlier choices that have a part in the failure of the options so far.
    blame: BTreeSet<usize>,
    /// How the first option failed: what is shown if all fail.
    failure: Option<SolveError>,
}

/// A dead end: the choices that led there, and how to tell people.
struct DeadEnd {
    blame: BTreeSet<usize>,
    failure: SolveError,
}

/// A chosen package and a candidate of which one refuses the other.
struct Clash<'s, 'a> {
    chosen: Id,
    refuser: Id,
    refusal: &'s Refusal<'a>,
    refused: Id,
}

impl<'s, 'a> Search<'s, 'a> {
    pub(super) fn new(
        universe: &'s Universe<'a>,
        request: &'s Request<'s>,
        closure: &'s Closure<'s, 'a>,
    ) -> Self {
        Self {
            universe,
            request,
            closure,
            chosen: HashMap::new(),
            refused_by: HashMap::new(),
            trail: Vec::new(),
            agenda: Vec::new(),
            choices: Vec::new(),
        }
    }

    /// Chooses what is requested and all it needs.
    pub(super) fn run(mut self, requested: &[Id]) -> Result<Vec<Id>, SolveError> {
        for id in requested {
            if let Some(clash) = self.find_clash(*id) {
                return Err(self.describe(&clash, *id, None));
            }
            self.choose(*id, Chosen { needed_by: None, support: BTreeSet::new() });
        }
        self.agenda = requested.iter().rev().map(|id| (*id, 0)).collect();
        while let Some((id, position)) = self.agenda.pop() {
            let closure = self.closure;
            let Some(need) = closure.needs(id).get(position) else {
                continue;
            };
            self.agenda.push((id, position + 1));
            if need.options.iter().any(|option| self.chosen.contains_key(option)) {
                continue;
            }
            if let Err(dead_end) = self.satisfy((id, position), need) {
                self.jump_back(dead_end)?;
            }
        }
        Ok(self.chosen.into_keys().collect())
    }

    /// Takes the first option that clashes with nothing chosen.
    fn satisfy(&mut self, needed_by: (Id, usize), need: &Need<'_, '_>) -> Result<(), DeadEnd> {
        let mut blame = self.support_of(needed_by.0);
        let mut untried = Vec::new();
        let mut first_clash = None;
        for option in &need.options {
            match self.find_clash(*option) {
                None => untried.push(*option),
                Some(clash) => {
                    blame.extend(self.support_of(clash.chosen));
                    first_clash.get_or_insert((clash, *option));
                }
            }
        }
        untried.reverse();
        let failure = first_clash.map(|(clash, option)| self.describe(&clash, option, Some(needed_by)));
        match (untried.pop(), failure) {
            (Some(option), _) if untried.is_empty() => {
                self.choose(option, Chosen { needed_by: Some(needed_by), support: blame });
                self.agenda.push((option, 0));
            }
            (Some(option), failure) => {
                let choice = Choice {
                    needed_by,
                    untried,
                    trail: self.trail.len(),
                    agenda: self.agenda.clone(),
                    blame,
                    failure,
                };
                self.choices.push(choice);
                self.take(option, needed_by);
            }
            (None, Some(failure)) => return Err(DeadEnd { blame, failure }),
            (None, None) => unreachable!("a need without options makes its package hopeless, never chosen"),
        }
        Ok(())
    }

    /// Takes an option of the newest choice.
    fn take(&mut self, option: Id, needed_by: (Id, usize)) {
        let support = BTreeSet::from([self.choices.len() - 1]);
        self.choose(option, Chosen { needed_by: Some(needed_by), support });
        self.agenda.push((option, 0));
    }

    /// Goes back to the newest choice to blame that has an option left, and takes it.
    fn jump_back(&mut self, dead_end: DeadEnd) -> Result<(), SolveError> {
        let DeadEnd { mut blame, mut failure } = dead_end;
        while let Some(level) = blame.pop_last() {
            self.choices.truncate(level + 1);
            let Some(mut choice) = self.choices.pop() else { break };
            self.undo_to(choice.trail);
            choice.blame.append(&mut blame);
            let first_failure = choice.failure.take().unwrap_or(failure);
            if let Some(option) = choice.untried.pop() {
                self.agenda.clone_from(&choice.agenda);
                let needed_by = choice.needed_by;
                self.choices.push(Choice { failure: Some(first_failure), ..choice });
                self.take(option, needed_by);
                return Ok(());
            }
            blame = choice.blame;
            failure = first_failure;
        }
        Err(failure)
    }

    fn choose(&mut self, id: Id, chosen: Chosen) {
        let universe = self.universe;
        if self.chosen.insert(id, chosen).is_some() {
            return; // requested twice
        }
        self.trail.push(Step::Chose(id));
        for refusal in &universe.candidate(id).refusals {
            for refused in universe.targets(&refusal.relation) {
                self.refused_by.entry(refused).or_default().push((id, refusal));
                self.trail.push(Step::Refused(refused));
            }
        }
    }

    fn undo_to(&mut self, length: usize) {
        for step in self.trail.drain(length..).rev() {
            match step {
                Step::Chose(id) => {
                    self.chosen.remove(&id);
                }
                Step::Refused(id) => {
                    self.refused_by.entry(id).or_default().pop();
                }
            }
        }
    }

    /// Finds a chosen package that cannot be together with a candidate. Nothing refuses itself.
    fn find_clash(&self, candidate: Id) -> Option<Clash<'s, 'a>> {
        let universe = self.universe;
        let mut refusers = self.refused_by.get(&candidate).into_iter().flatten();
        if let Some(&(refuser, refusal)) = refusers.find(|(refuser, _)| *refuser != candidate) {
            return Some(Clash { chosen: refuser, refuser, refusal, refused: candidate });
        }
        universe.candidate(candidate).refusals.iter().find_map(|refusal| {
            let mut targets = universe.targets(&refusal.relation).into_iter();
            let refused = targets.find(|id| *id != candidate && self.chosen.contains_key(id))?;
            Some(Clash { chosen: refused, refuser: candidate, refusal, refused })
        })
    }

    fn support_of(&self, id: Id) -> BTreeSet<usize> {
        self.chosen.get(&id).map(|chosen| chosen.support.clone()).unwrap_or_default()
    }

    /// Tells a clash with the ways to both packages.
    fn describe(&self, clash: &Clash<'_, '_>, candidate: Id, needed_by: Option<(Id, usize)>) -> SolveError {
        let chain_to = |id| if id == candidate { self.chain_to(id, needed_by) } else { self.chain_of(id) };
        let Clash { refusal, .. } = clash;
        let package = self.universe.candidate(clash.refused).package;
        let name = package.name.clone();
        let reason = if package.name != refusal.relation.name {
            Match::Provides { name, provided: refusal.relation.name.to_owned() }
        } else if refusal.relation.constraint.is_some() {
            Match::Version { name, newest: package.version.clone(), suite: package.suite.clone() }
        } else {
            Match::Name
        };
        SolveError::Conflict(Box::new(Conflict {
            refusing: chain_to(clash.refuser),
            refusal: Link {
                package: self.universe.candidate(clash.refuser).package.name.clone(),
                verb: refusal.verb,
                relation: refusal.relation.to_string(),
            },
            refused: chain_to(clash.refused),
            reason,
        }))
    }

    fn chain_of(&self, id: Id) -> Chain {
        self.chain_to(id, self.chosen.get(&id).and_then(|chosen| chosen.needed_by))
    }

    /// The way from the request to a package that was or would be chosen for a need.
    fn chain_to(&self, id: Id, mut needed_by: Option<(Id, usize)>) -> Chain {
        let name = |id| self.universe.candidate(id).package.name.clone();
        let mut links = Vec::new();
        let mut first = id;
        while let Some((package, position)) = needed_by {
            if let Some(need) = self.closure.needs(package).get(position) {
                links.push(need.dependency.link_of(&name(package)));
            }
            first = package;
            needed_by = self.chosen.get(&package).and_then(|chosen| chosen.needed_by);
        }
        links.reverse();
        Chain { origin: self.request.origin.to_owned(), requested: name(first), links }
    }
}
