//! Where something stands in a settings file, kept for faults that show only when the file is put to use.

use std::fmt;
use std::sync::Arc;

use super::{Fault, Faults, FaultyFile, Source, Span};

/// A place in a settings file. It says nothing of what stands there, and takes no part in what is built.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    source: Arc<Source>,
    span: Span,
}

impl Origin {
    /// The place `span` of `source`.
    pub(super) const fn new(source: Arc<Source>, span: Span) -> Self {
        Self { source, span }
    }

    /// A fault at this place, and what would mend it.
    pub fn fault(&self, reason: impl fmt::Display, help: impl fmt::Display) -> Faults {
        let fault =
            Fault { span: self.span.clone(), reason: reason.to_string(), help: Some(help.to_string()) };
        Faults { files: vec![FaultyFile { source: Source::clone(&self.source), faults: vec![fault] }] }
    }
}
