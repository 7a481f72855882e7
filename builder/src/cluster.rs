//! The cluster file: parse, check, resolve.
