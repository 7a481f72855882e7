//! The one door to other programs.
