//! Bodies of requests, read field by field: what is wrong is named by its field.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::label::{self, Labels};

/// Largest integer that every client has (2^53 - 1).
pub(crate) const LARGEST: u64 = 9_007_199_254_740_991;

/// An object, and where it is in the body.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a> {
    path: String,
    object: &'a Map<String, Value>,
}

impl<'a> Input<'a> {
    pub(crate) fn of(path: &str, value: &'a Value) -> Result<Self, ApiError> {
        let object = value.as_object().ok_or_else(|| ApiError::invalid(path, "is no object"))?;
        Ok(Self { path: path.to_owned(), object })
    }

    /// The full name of a field.
    pub(crate) fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// A fault in a field.
    pub(crate) fn fault(&self, field: &str, message: impl Into<String>) -> ApiError {
        ApiError::invalid(&self.name(field), message)
    }

    fn value(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field)
    }

    fn required<T>(&self, field: &str, value: Option<T>) -> Result<T, ApiError> {
        value.ok_or_else(|| self.fault(field, "is required"))
    }

    /// Whether it is there and null.
    pub(crate) fn is_null(&self, field: &str) -> bool {
        self.value(field).is_some_and(Value::is_null)
    }

    /// A field that the API had once: who still sends it is told.
    pub(crate) fn removed(&self, field: &str) -> Result<(), ApiError> {
        if self.value(field).is_some() { Err(self.fault(field, "was removed from the API")) } else { Ok(()) }
    }

    pub(crate) fn maybe_text(&self, field: &str) -> Result<Option<&'a str>, ApiError> {
        let text = |value: &'a Value| value.as_str().ok_or_else(|| self.fault(field, "is no string"));
        self.value(field).map(text).transpose()
    }

    pub(crate) fn text(&self, field: &str) -> Result<&'a str, ApiError> {
        self.required(field, self.maybe_text(field)?)
    }

    /// A name: not empty, not longer than names may be.
    pub(crate) fn maybe_name(&self, field: &str) -> Result<Option<&'a str>, ApiError> {
        let name = self.maybe_text(field)?;
        match name.map(|name| name.chars().count()) {
            Some(0) => Err(self.fault(field, "is empty")),
            Some(129..) => Err(self.fault(field, "is longer than 128 characters")),
            _ => Ok(name),
        }
    }

    /// One of the words that exist.
    pub(crate) fn maybe_word(&self, field: &str, words: &[&str]) -> Result<Option<&'a str>, ApiError> {
        let word = self.maybe_text(field)?;
        match word.filter(|word| !words.contains(word)) {
            Some(other) => Err(self.fault(field, format!("`{other}` is none of {}", words.join(", ")))),
            None => Ok(word),
        }
    }

    pub(crate) fn word(&self, field: &str, words: &[&str]) -> Result<&'a str, ApiError> {
        self.required(field, self.maybe_word(field, words)?)
    }

    pub(crate) fn maybe_number(&self, field: &str) -> Result<Option<u64>, ApiError> {
        let fault = || self.fault(field, "is no positive integer");
        let number = |value: &Value| value.as_u64().filter(|number| *number <= LARGEST).ok_or_else(fault);
        self.value(field).map(number).transpose()
    }

    pub(crate) fn number(&self, field: &str) -> Result<u64, ApiError> {
        self.required(field, self.maybe_number(field)?)
    }

    /// An ID, or a name, as text.
    pub(crate) fn maybe_id_or_name(&self, field: &str) -> Result<Option<String>, ApiError> {
        match self.value(field) {
            Some(Value::Number(number)) if number.is_u64() => Ok(Some(number.to_string())),
            _ => Ok(self.maybe_text(field)?.map(str::to_owned)),
        }
    }

    pub(crate) fn id_or_name(&self, field: &str) -> Result<String, ApiError> {
        self.required(field, self.maybe_id_or_name(field)?)
    }

    pub(crate) fn maybe_flag(&self, field: &str) -> Result<Option<bool>, ApiError> {
        let flag = |value: &Value| value.as_bool().ok_or_else(|| self.fault(field, "is no boolean"));
        self.value(field).map(flag).transpose()
    }

    pub(crate) fn flag(&self, field: &str, default: bool) -> Result<bool, ApiError> {
        Ok(self.maybe_flag(field)?.unwrap_or(default))
    }

    /// Entries of a list; none if it is not there.
    pub(crate) fn maybe_list(&self, field: &str) -> Result<Option<&'a [Value]>, ApiError> {
        let list = |value: &'a Value| value.as_array().ok_or_else(|| self.fault(field, "is no list"));
        Ok(self.value(field).map(list).transpose()?.map(Vec::as_slice))
    }

    /// Objects of a list.
    pub(crate) fn objects(&self, field: &str) -> Result<Vec<Self>, ApiError> {
        let entries = self.maybe_list(field)?.unwrap_or_default().iter().enumerate();
        entries.map(|(index, entry)| Self::of(&format!("{}.{index}", self.name(field)), entry)).collect()
    }

    /// Integers of a list.
    pub(crate) fn numbers(&self, field: &str) -> Result<Vec<u64>, ApiError> {
        let fault = || self.fault(field, "has an entry that is no positive integer");
        let entries = self.maybe_list(field)?.unwrap_or_default().iter();
        entries.map(|entry| entry.as_u64().filter(|number| *number <= LARGEST).ok_or_else(fault)).collect()
    }

    /// Strings of a list.
    pub(crate) fn texts(&self, field: &str) -> Result<Vec<&'a str>, ApiError> {
        let fault = || self.fault(field, "has an entry that is no string");
        let entries = self.maybe_list(field)?.unwrap_or_default().iter();
        entries.map(|entry| entry.as_str().ok_or_else(fault)).collect()
    }

    /// An object in the object.
    pub(crate) fn maybe_object(&self, field: &str) -> Result<Option<Self>, ApiError> {
        self.value(field).map(|value| Self::of(&self.name(field), value)).transpose()
    }

    pub(crate) fn object(&self, field: &str) -> Result<Self, ApiError> {
        self.required(field, self.maybe_object(field)?)
    }

    pub(crate) fn maybe_labels(&self) -> Result<Option<Labels>, ApiError> {
        self.maybe_object("labels")?.map(|labels| label::parse(labels.object)).transpose()
    }

    pub(crate) fn labels(&self) -> Result<Labels, ApiError> {
        Ok(self.maybe_labels()?.unwrap_or_default())
    }

    pub(crate) fn maybe_address(&self, field: &str) -> Result<Option<Ipv4Addr>, ApiError> {
        let address =
            |text: &str| text.parse().map_err(|_| self.fault(field, format!("`{text}` is no IPv4 address")));
        self.maybe_text(field)?.map(address).transpose()
    }

    /// A range, written without host bits.
    pub(crate) fn maybe_range(&self, field: &str) -> Result<Option<Ipv4Net>, ApiError> {
        let range = |text: &str| {
            let range = text.parse::<Ipv4Net>().ok().filter(|range| range.addr() == range.network());
            range.ok_or_else(|| self.fault(field, format!("`{text}` is no IPv4 range")))
        };
        self.maybe_text(field)?.map(range).transpose()
    }

    pub(crate) fn range(&self, field: &str) -> Result<Ipv4Net, ApiError> {
        self.required(field, self.maybe_range(field)?)
    }
}
