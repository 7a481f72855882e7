//! `config.yaml` and `config.yaml.d/*.yaml` as arguments (k3s, `pkg/configfilearg`).
//!
//! Drop-ins follow the file in the order of their names. The last value of a key counts, `key+` appends to what is
//! there. The result goes before the arguments of the command line. Keys that are no flags are skipped with a warning.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::Value;

use super::{OptionsError, flags};
use crate::output;
use crate::yaml;

/// The arguments that the file at `path` and its drop-ins stand for; `is_named`: it must be there.
pub fn arguments(path: &Path, is_named: bool) -> Result<Vec<String>, OptionsError> {
    let read = |path: &Path, source| OptionsError::Read { path: path.display().to_string(), source };
    let mut files = drop_ins(path).map_err(|source| read(path, source))?;
    if path.exists() {
        files.insert(0, path.to_owned());
    } else if files.is_empty() && is_named {
        return Err(read(path, io::Error::from(io::ErrorKind::NotFound)));
    }
    // In the order in which keys are first seen.
    let mut merged: Vec<(String, Vec<String>)> = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|source| read(&file, source))?;
        let shown = file.display().to_string();
        let value =
            yaml::parse(&text).map_err(|source| OptionsError::Parse { path: shown.clone(), source })?;
        let keys = match value {
            Value::Null => continue,
            Value::Object(keys) => keys,
            _ => return Err(OptionsError::NoMap { path: shown }),
        };
        for (key, value) in &keys {
            merge(&mut merged, key, values(value));
        }
    }
    let mut arguments = Vec::new();
    for (key, values) in merged {
        if !flags::is_known(&key) {
            output::line("warning", &format!("Unknown flag --{key} found in {}, skipping", path.display()));
            continue;
        }
        let dashes = if key.len() == 1 { "-" } else { "--" };
        arguments.extend(values.iter().map(|value| format!("{dashes}{key}={value}")));
    }
    Ok(arguments)
}

fn merge(merged: &mut Vec<(String, Vec<String>)>, key: &str, mut values: Vec<String>) {
    let (key, appends) = key.strip_suffix('+').map_or((key, false), |key| (key, true));
    match merged.iter_mut().find(|(own, _)| own == key) {
        Some((_, there)) if appends => there.append(&mut values),
        Some((_, there)) => *there = values,
        None => merged.push((key.to_owned(), values)),
    }
}

fn values(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Null => vec![String::new()],
        value => vec![text(value)],
    }
}

/// `<path>.d/*.{yaml,yml}`, sorted.
fn drop_ins(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".d");
    let entries = match fs::read_dir(path.with_file_name(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if !path.is_dir() && (extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
