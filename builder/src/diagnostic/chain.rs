//! Errors without a file of their own.

use std::error::Error;
use std::fmt::Write as _;

/// An error with its causes on one line, `outer: inner: innermost`.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}
