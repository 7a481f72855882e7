//! What must be loaded for a few wanted modules, in which order.

use std::collections::{HashMap, HashSet};

use super::graph::Graph;
use super::indexes::builtin_aliases;
use super::{KmodError, Module, module_name};
use crate::spelling::did_you_mean;

/// The `wanted` modules with everything they need, each after what it needs: dependencies by symbol
/// and softdeps, `pre` before and `post` after the module that names them.
///
/// Names are module names (`-` and `_` are the same) or exact aliases (`crc32c`); an alias brings
/// every module that has it, as modprobe loads all of them. What `builtin` or the aliases in
/// `builtin_modinfo` name is in the kernel and needs no file. A softdep that names nothing at all is
/// passed over as modprobe does, a wanted name is an error.
pub fn closure<'a>(
    modules: &'a [Module],
    builtin: &str,
    builtin_modinfo: &[u8],
    wanted: &[String],
) -> Result<Vec<&'a Module>, KmodError> {
    let graph = Graph::new(modules, "")?;
    let names = Names::new(&graph, builtin, builtin_modinfo)?;
    let mut walk = Walk { graph: &graph, names: &names, seen: HashSet::new(), order: Vec::new() };
    for name in wanted {
        let Some(found) = names.find(name) else {
            return Err(KmodError::Unknown { name: name.clone(), nearest: names.nearest(name) });
        };
        for module in found {
            walk.visit(*module);
        }
    }
    Ok(walk.order)
}

/// What names lead to; an empty list means that the kernel has it built in.
struct Names {
    modules: HashMap<String, Vec<usize>>,
}

impl Names {
    fn new(graph: &Graph<'_>, builtin: &str, builtin_modinfo: &[u8]) -> Result<Self, KmodError> {
        let mut aliases: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, module) in graph.modules.iter().enumerate() {
            for alias in &module.info.aliases {
                let found = aliases.entry(alias.replace('-', "_")).or_default();
                if !found.contains(&index) {
                    found.push(index);
                }
            }
        }
        for (_, alias) in builtin_aliases(builtin_modinfo)? {
            aliases.entry(alias.replace('-', "_")).or_default();
        }
        let mut modules = aliases;
        modules.extend(builtin.lines().map(|line| (module_name(line), Vec::new())));
        modules.extend(
            graph.modules.iter().enumerate().map(|(index, module)| (module.info.name.clone(), vec![index])),
        );
        Ok(Self { modules })
    }

    fn find(&self, name: &str) -> Option<&[usize]> {
        self.modules.get(&name.replace('-', "_")).map(Vec::as_slice)
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let known = self.modules.keys().map(String::as_str);
        did_you_mean(&name.replace('-', "_"), known).map(str::to_owned)
    }
}

struct Walk<'w, 'a> {
    graph: &'w Graph<'a>,
    names: &'w Names,
    seen: HashSet<usize>,
    order: Vec<&'a Module>,
}

impl Walk<'_, '_> {
    /// Adds `module` and what belongs around it. A circle of softdeps ends at what was seen before.
    fn visit(&mut self, module: usize) {
        if !self.seen.insert(module) {
            return;
        }
        let softdeps = &self.graph.modules[module].info.softdeps;
        let (before, after): (Vec<_>, Vec<_>) =
            softdeps.iter().flat_map(|text| softdep(text)).partition(|(when, _)| *when == When::Before);
        self.visit_names(&before);
        // Deepest first: `modules.dep` lists each module before what it needs.
        for dependency in self.graph.dependencies(module).into_iter().rev() {
            self.visit(dependency);
        }
        self.order.push(self.graph.modules[module]);
        self.visit_names(&after);
    }

    fn visit_names(&mut self, names: &[(When, &str)]) {
        let names_of = self.names;
        for (_, name) in names {
            for module in names_of.find(name).unwrap_or_default() {
                self.visit(*module);
            }
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum When {
    Before,
    After,
}

/// The names in `pre: a b post: c`; what comes before the first keyword means nothing (modprobe.d(5)).
fn softdep(text: &str) -> Vec<(When, &str)> {
    let mut when = None;
    let mut names = Vec::new();
    for word in text.split_whitespace() {
        match word {
            "pre:" => when = Some(When::Before),
            "post:" => when = Some(When::After),
            name => names.extend(when.map(|when| (when, name))),
        }
    }
    names
}
