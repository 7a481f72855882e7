//! Collecting faults of one file while it is read and checked.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use toml::de::DeTable;

use super::{Fault, Faults, FaultyFile, Origin, Source, Span, Table};

/// A value and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Located<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it stands.
    pub(crate) span: Span,
}

/// Describes the value; a position is nothing that people write.
impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The faults found so far in one file.
#[derive(Debug)]
pub(crate) struct Report {
    source: Arc<Source>,
    faults: RefCell<Vec<Fault>>,
}

impl Report {
    /// An empty report on the file shown as `name`.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        Self { source: Arc::new(source), faults: RefCell::default() }
    }

    /// Records a fault.
    pub(crate) fn fault(&self, span: &Span, reason: impl fmt::Display) {
        self.push(span, reason.to_string(), None);
    }

    /// Records a fault and what would mend it.
    pub(crate) fn fault_with_help(&self, span: &Span, reason: impl fmt::Display, help: impl fmt::Display) {
        self.push(span, reason.to_string(), Some(help.to_string()));
    }

    fn push(&self, span: &Span, reason: String, help: Option<String>) {
        self.faults.borrow_mut().push(Fault { span: span.clone(), reason, help });
    }

    /// A place to point at later.
    pub(crate) fn origin(&self, span: &Span) -> Origin {
        Origin::new(Arc::clone(&self.source), span.clone())
    }

    /// The line in which `span` begins, counted from 1.
    pub(crate) fn line(&self, span: &Span) -> usize {
        super::excerpt::Excerpt::of(&self.source.text, span).line
    }

    /// Parses the text and lets `read` take the root table apart. A text that is no TOML gives its
    /// syntax faults alone, for what a broken document seems to lack is no fault of its own.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&mut Table<'_>) -> T) -> Option<T> {
        let (document, errors) = DeTable::parse_recoverable(&self.source.text);
        if errors.is_empty() {
            return Some(Table::read_root(self, document.get_ref(), read));
        }
        let mut last_line = 0;
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let line = self.line(&span);
            // One slip makes the parser stumble several times in the same line.
            if line != last_line {
                match (error.message(), self.source.text.get(span.clone())) {
                    ("duplicate key", Some(key)) => self.fault(&span, format!("`{key}` is given twice")),
                    (message, _) => self.fault(&span, message),
                }
            }
            last_line = line;
        }
        None
    }

    /// Ends the report: all faults by position, or the value.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Faults> {
        match self.into_faults() {
            Some(faults) => Err(faults),
            None => Ok(value.expect("a file without faults has every required key")),
        }
    }

    /// All faults by position, if there are any.
    pub(crate) fn into_faults(self) -> Option<Faults> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| (fault.span.start, fault.span.end));
        faults.dedup();
        let source = Arc::unwrap_or_clone(self.source);
        (!faults.is_empty()).then(|| Faults { files: vec![FaultyFile { source, faults }] })
    }
}

/// The single fault of a file that is no UTF-8 text.
pub(crate) fn not_text(name: &str, bytes: &[u8], error: std::str::Utf8Error) -> Faults {
    let start = error.valid_up_to();
    let span = start..start + char::REPLACEMENT_CHARACTER.len_utf8();
    let source = Source { name: name.to_owned(), text: String::from_utf8_lossy(bytes).into_owned() };
    let fault = Fault { span, reason: "the file is no UTF-8 text".to_owned(), help: None };
    Faults { files: vec![FaultyFile { source, faults: vec![fault] }] }
}
