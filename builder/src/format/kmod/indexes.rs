//! The files that depmod writes, by name.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::bucket::{self, position};
use super::graph::Graph;
use super::index::Index;
use super::{KmodError, Module, module_name};

/// Makes every index file of one release from its `modules` and the files that come with the kernel:
/// `modules.order`, `modules.builtin` and `modules.builtin.modinfo`.
///
/// The result maps file names in the directory of the release to contents, equal to what `depmod`
/// of kmod 34 writes. Modules that `modules.order` does not name come last.
pub fn indexes(
    modules: &[Module],
    order: &str,
    builtin: &str,
    builtin_modinfo: &[u8],
) -> Result<BTreeMap<String, Vec<u8>>, KmodError> {
    let graph = Graph::new(modules, order)?;
    let (dependencies, dependencies_index) = dependencies(&graph)?;
    let (symbols, symbols_index) = symbols(&graph)?;
    let softdeps = listed(&graph, "Soft dependencies", "softdep", |module| &module.info.softdeps);
    let weakdeps = listed(&graph, "Weak dependencies", "weakdep", |module| &module.info.weakdeps);
    let files = [
        ("modules.alias", aliases(&graph).into_bytes()),
        ("modules.alias.bin", aliases_index(&graph)?),
        ("modules.builtin.alias.bin", builtin_aliases_index(builtin_modinfo)?),
        ("modules.builtin.bin", builtin_index(builtin)?),
        ("modules.dep", dependencies.into_bytes()),
        ("modules.dep.bin", dependencies_index),
        ("modules.devname", device_names(&graph).into_bytes()),
        ("modules.softdep", softdeps.into_bytes()),
        ("modules.symbols", symbols.into_bytes()),
        ("modules.symbols.bin", symbols_index),
        ("modules.weakdep", weakdeps.into_bytes()),
    ];
    Ok(files.into_iter().map(|(name, content)| (name.to_owned(), content)).collect())
}

/// The priority of a module's values: its place, so that the first in order wins.
fn priority(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn dependencies(graph: &Graph<'_>) -> Result<(String, Vec<u8>), KmodError> {
    let mut text = String::new();
    let mut index = Index::default();
    for (place, module) in graph.modules.iter().enumerate() {
        let mut line = format!("{}:", module.path);
        for dependency in graph.dependencies(place) {
            line.push(' ');
            line.push_str(&graph.modules[dependency].path);
        }
        index.insert(&module.info.name, &line, priority(place))?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok((text, index.to_bytes()?))
}

fn aliases(graph: &Graph<'_>) -> String {
    let mut text = String::from("# Aliases extracted from modules themselves.\n");
    for module in &graph.modules {
        for alias in &module.info.aliases {
            push_line(&mut text, format_args!("alias {alias} {}", module.info.name));
        }
    }
    text
}

fn aliases_index(graph: &Graph<'_>) -> Result<Vec<u8>, KmodError> {
    let mut index = Index::default();
    for (place, module) in graph.modules.iter().enumerate() {
        for alias in &module.info.aliases {
            index.insert(&normalized(&module.info.name, alias)?, &module.info.name, priority(place))?;
        }
    }
    index.to_bytes()
}

/// A text file of one kind of `.modinfo` record.
fn listed(graph: &Graph<'_>, title: &str, word: &str, records: fn(&Module) -> &[String]) -> String {
    let mut text = format!("# {title} extracted from modules themselves.\n");
    for module in &graph.modules {
        for record in records(module) {
            push_line(&mut text, format_args!("{word} {} {record}", module.info.name));
        }
    }
    text
}

fn symbols(graph: &Graph<'_>) -> Result<(String, Vec<u8>), KmodError> {
    let mut symbols: Vec<_> = graph.symbols.iter().collect();
    symbols.sort_by_key(|(symbol, _)| position(symbol, bucket::SYMBOLS));
    let mut text = String::from("# Aliases for symbols, used by symbol_request().\n");
    let mut index = Index::default();
    for (symbol, owner) in symbols {
        let name = &graph.modules[*owner].info.name;
        push_line(&mut text, format_args!("alias symbol:{symbol} {name}"));
        index.insert(&format!("symbol:{symbol}"), name, priority(*owner))?;
    }
    Ok((text, index.to_bytes()?))
}

fn builtin_index(builtin: &str) -> Result<Vec<u8>, KmodError> {
    let mut index = Index::default();
    for line in builtin.lines() {
        if !line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(KmodError::BuiltinLine { line: line.to_owned() });
        }
        index.insert(&module_name(line), "", 0)?;
    }
    index.to_bytes()
}

fn builtin_aliases_index(modinfo: &[u8]) -> Result<Vec<u8>, KmodError> {
    let mut index = Index::default();
    for (module, alias) in builtin_aliases(modinfo)? {
        index.insert(&normalized(module, alias)?, module, 0)?;
    }
    index.to_bytes()
}

/// Module and alias of each alias record in `modules.builtin.modinfo`.
pub(super) fn builtin_aliases(modinfo: &[u8]) -> Result<Vec<(&str, &str)>, KmodError> {
    builtin_records(modinfo, "alias")
}

/// Files below `/usr/lib/firmware` that drivers inside the kernel may ask for, by `modules.builtin.modinfo`.
pub fn builtin_firmware(modinfo: &[u8]) -> Result<Vec<&str>, KmodError> {
    Ok(builtin_records(modinfo, "firmware")?.into_iter().map(|(_, name)| name).collect())
}

/// Module and value of each record of `wanted` kind (`module.key=value`, each with NUL), empty values left out.
fn builtin_records<'a>(modinfo: &'a [u8], wanted: &str) -> Result<Vec<(&'a str, &'a str)>, KmodError> {
    let mut records = Vec::new();
    for record in modinfo.split(|byte| *byte == 0).filter(|record| !record.is_empty()) {
        let parts = str::from_utf8(record).ok().and_then(|text| {
            let (module, rest) = text.split_once('.')?;
            let (key, value) = rest.split_once('=')?;
            Some((module, key, value))
        });
        let malformed = || KmodError::Builtin { record: String::from_utf8_lossy(record).into_owned() };
        let (module, key, value) = parts.ok_or_else(malformed)?;
        if key == wanted && !value.is_empty() {
            records.push((module, value));
        }
    }
    Ok(records)
}

/// Writes `_` for `-` except in brackets, as lookups do (kmod's `alias_normalize`).
fn normalized(module: &str, alias: &str) -> Result<String, KmodError> {
    let mut in_brackets = false;
    let mut unmatched = false;
    let normalized = alias
        .chars()
        .map(|character| {
            match character {
                '[' => in_brackets = true,
                ']' => unmatched |= !std::mem::replace(&mut in_brackets, false),
                _ => {}
            }
            if character == '-' && !in_brackets { '_' } else { character }
        })
        .collect();
    if unmatched || in_brackets {
        return Err(KmodError::Alias { module: module.to_owned(), alias: alias.to_owned() });
    }
    Ok(normalized)
}

/// Device nodes that systemd-tmpfiles makes, so that opening one loads its module.
fn device_names(graph: &Graph<'_>) -> String {
    let mut text = String::new();
    for module in &graph.modules {
        let mut name = None;
        let mut device = None;
        for alias in &module.info.aliases {
            if let Some(devname) = alias.strip_prefix("devname:") {
                name = Some(devname);
            } else if let Some(found) = device_number(alias) {
                device = Some(found);
            }
            if name.is_some() && device.is_some() {
                break;
            }
        }
        // A name without a number is no use; depmod only warns of it.
        if let (Some(name), Some((kind, major, minor))) = (name, device) {
            if text.is_empty() {
                text.push_str("# Device nodes to trigger on-demand module loading.\n");
            }
            push_line(&mut text, format_args!("{} {name} {kind}{major}:{minor}", module.info.name));
        }
    }
    text
}

/// Kind, major and minor number of `char-major-10-200`; other aliases, e.g. `char-major-10-*`, have none.
fn device_number(alias: &str) -> Option<(char, u32, u32)> {
    let (kind, numbers) = match (alias.strip_prefix("char-major-"), alias.strip_prefix("block-major-")) {
        (Some(numbers), _) => ('c', numbers),
        (_, Some(numbers)) => ('b', numbers),
        _ => return None,
    };
    let (major, minor) = numbers.split_once('-')?;
    let digits = minor.find(|character: char| !character.is_ascii_digit()).unwrap_or(minor.len());
    Some((kind, major.parse().ok()?, minor[..digits].parse().ok()?))
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes any text");
}
