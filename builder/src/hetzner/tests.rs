//! Whole ways: the client against an API that answers what it is told, and misbehaves as it is told.

mod actions;
mod api;
mod budget;
mod creation;
mod lock;
mod pages;
mod replies;
mod requests;
mod retries;
mod secrecy;
mod stopping;
