//! Whole ways: the client against an API that answers what it is told, and misbehaves as it is told.

mod actions;
pub(crate) mod api;
mod buckets;
mod budget;
mod carrying_out;
mod creation;
mod lock;
mod pages;
mod replies;
mod requests;
mod retries;
pub(crate) mod scene;
mod secrecy;
mod stopping;
