//! What people are told to type works.

#[cfg(test)]
mod pages;
