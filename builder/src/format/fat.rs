//! fat
