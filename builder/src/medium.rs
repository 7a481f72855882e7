//! Lays an OS bundle on a medium.
