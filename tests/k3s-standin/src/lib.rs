//! A stand-in for k3s.
//!
//! Machines of the tests need a Kubernetes to join, and k3s' releases can't be had everywhere. This program answers
//! as k3s does, by k3s' own rules, in what nodes and their operators see: files, tokens, certificates, joining,
//! the object store behind the Kubernetes API. It runs no containers. What it is, it says wherever it shows.

pub mod agent;
pub mod api;
pub mod auth;
pub mod cluster;
pub mod command;
pub mod control;
pub mod files;
pub mod network;
pub mod notify;
pub mod options;
pub mod output;
pub mod pack;
pub mod pki;
pub mod serve;
pub mod server;
pub mod store;
pub mod supervisor;
pub mod token;
pub mod yaml;
