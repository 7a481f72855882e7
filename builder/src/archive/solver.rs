//! Chooses packages: what `apt-get install --no-install-recommends` chooses on an empty system.
//!
//! Every name has one candidate, its newest version over all suites. Dependencies are followed depth
//! first in the order of the fields, alternatives in their order, and the providers of one alternative in
//! apt's order ([`universe::Universe`]); a dependency that something chosen satisfies chooses nothing.
//! Unlike apt, whose first pass leaves repairs to a second, a conflict takes the search back to the last
//! choice that took part in it, so that an answer is found whenever there is one.
//!
//! Nothing is implied: neither Essential packages nor Recommends.

mod closure;
mod error;
mod search;
mod universe;

#[cfg(test)]
mod tests;

pub use error::{Chain, Conflict, Gap, Link, Match, SolveError, UniverseError};
pub use universe::Universe;

use super::index::Package;

/// What to choose packages for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// Names of real packages that must be chosen; the order is apt's command line.
    pub install: &'r [String],
    /// Names on which every dependency counts as satisfied, also through what the package provides; not
    /// chosen for a dependency.
    pub drop: &'r [String],
    /// Names that are never chosen.
    pub exclude: &'r [String],
    /// Who asks, for messages: a profile's name.
    pub origin: &'r str,
}

/// Chooses the packages of a request, sorted by name.
pub fn solve<'a>(universe: &Universe<'a>, request: &Request<'_>) -> Result<Vec<&'a Package>, SolveError> {
    let requested = request
        .install
        .iter()
        .map(|name| universe.requested(name, request))
        .collect::<Result<Vec<_>, _>>()?;
    let closure = closure::Closure::of(universe, request, &requested)?;
    let mut chosen = search::Search::new(universe, request, &closure).run(&requested)?;
    chosen.sort_unstable();
    Ok(chosen.into_iter().map(|id| universe.candidate(id).package).collect())
}
