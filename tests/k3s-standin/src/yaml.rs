//! YAML, as manifests and configuration files are written in it.

use serde_json::Value;
use thiserror::Error;

/// Why a text is not read.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct YamlError(Box<serde_saphyr::Error>);

/// One document.
pub fn parse(text: &str) -> Result<Value, YamlError> {
    serde_saphyr::from_str(text).map_err(|error| YamlError(Box::new(error)))
}

/// All documents but empty ones.
pub fn parse_all(text: &str) -> Result<Vec<Value>, YamlError> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| YamlError(Box::new(error)))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}
