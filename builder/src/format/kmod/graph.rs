//! Which module needs which, found by symbols as depmod does it.

use std::collections::HashMap;

use super::bucket::{self, position};
use super::{KmodError, Module};

/// Modules in depmod's order with their dependencies.
pub(super) struct Graph<'a> {
    /// Modules by `modules.order`, then those it does not name.
    pub(super) modules: Vec<&'a Module>,
    /// Owner of each exported symbol, as an index into `modules`.
    pub(super) symbols: HashMap<&'a str, usize>,
    /// Direct dependencies of each module in the order of their first use.
    direct: Vec<Vec<usize>>,
    /// Place of each module in a topological sort, users first.
    sorted: Vec<usize>,
}

impl<'a> Graph<'a> {
    /// Resolves the symbols of `modules`; `order` is the text of `modules.order`.
    pub(super) fn new<I>(modules: I, order: &str) -> Result<Self, KmodError>
    where
        I: IntoIterator<Item = &'a Module>,
    {
        let modules = ordered(modules.into_iter().collect(), order)?;
        let mut symbols = HashMap::new();
        for (index, module) in modules.iter().enumerate() {
            for symbol in &module.info.exports {
                // As in depmod, the last of several owners has it.
                symbols.insert(symbol.as_str(), index);
            }
        }
        let direct: Vec<_> = modules.iter().map(|module| owners(module, &symbols)).collect();
        let sorted = sort(&modules, &direct)?;
        Ok(Self { modules, symbols, direct, sorted })
    }

    /// Everything `module` needs, in the order of `modules.dep`: each before what it needs itself.
    pub(super) fn dependencies(&self, module: usize) -> Vec<usize> {
        let mut seen = vec![false; self.modules.len()];
        let mut found = Vec::new();
        let mut open = self.direct[module].clone();
        while let Some(next) = open.pop() {
            if !std::mem::replace(&mut seen[next], true) {
                found.push(next);
                open.extend(&self.direct[next]);
            }
        }
        found.sort_by_key(|index| self.sorted[*index]);
        found
    }
}

/// depmod's order: `modules.order` first, the rest by the walk through its table of names.
fn ordered<'a>(mut modules: Vec<&'a Module>, order: &str) -> Result<Vec<&'a Module>, KmodError> {
    modules.sort_by_key(|module| position(&module.info.name, bucket::MODULES));
    for pair in modules.windows(2) {
        if let [first, second] = pair
            && first.info.name == second.info.name
        {
            return Err(KmodError::Duplicate {
                name: first.info.name.clone(),
                first: first.path.clone(),
                second: second.path.clone(),
            });
        }
    }
    let mut places = HashMap::new();
    for (place, line) in order.lines().enumerate() {
        places.entry(line).or_insert(place);
    }
    modules.sort_by_key(|module| places.get(module.unpacked_path()).copied().unwrap_or(usize::MAX));
    Ok(modules)
}

/// The modules whose symbols `module` uses. Symbols of the kernel itself have no owner here.
fn owners(module: &Module, symbols: &HashMap<&str, usize>) -> Vec<usize> {
    let mut owners = Vec::new();
    for symbol in &module.info.imports {
        // Old 64-bit PowerPC only, but depmod strips the dot everywhere.
        let symbol = symbol.strip_prefix('.').unwrap_or(symbol);
        if let Some(owner) = symbols.get(symbol)
            && !owners.contains(owner)
        {
            owners.push(*owner);
        }
    }
    owners
}

/// Topological sort with depmod's choice among the possible ones: a stack of modules without users.
fn sort(modules: &[&Module], direct: &[Vec<usize>]) -> Result<Vec<usize>, KmodError> {
    let mut users = vec![0_usize; modules.len()];
    for dependency in direct.iter().flatten() {
        users[*dependency] = users[*dependency].saturating_add(1);
    }
    let mut roots: Vec<usize> = (0..modules.len()).filter(|index| users[*index] == 0).collect();
    let mut sorted = vec![usize::MAX; modules.len()];
    let mut place = 0_usize;
    while let Some(module) = roots.pop() {
        sorted[module] = place;
        place = place.saturating_add(1);
        for dependency in &direct[module] {
            users[*dependency] = users[*dependency].saturating_sub(1);
            if users[*dependency] == 0 {
                roots.push(*dependency);
            }
        }
    }
    let mut circle: Vec<String> = modules
        .iter()
        .zip(&sorted)
        .filter(|(_, place)| **place == usize::MAX)
        .map(|(module, _)| module.info.name.clone())
        .collect();
    circle.sort();
    if circle.is_empty() { Ok(sorted) } else { Err(KmodError::Cycle { modules: circle }) }
}
