//! A simulator of the Hetzner Cloud API, for tests.
//!
//! It answers on 127.0.0.1 over plain HTTP, keeps everything in memory, and says wherever it shows that it is a
//! simulator. Two independent judges look at it: the provider's own Python library, and schemathesis with the part of
//! the OpenAPI document that is claimed here.
//!
//! **What it answers** is the table in `route.rs`: servers with power, rescue system, snapshots, rebuilding, types,
//! networks and placement groups; actions, images, server types, locations, prices, SSH keys, networks, firewalls,
//! placement groups, primary IPs, and DNS zones with record sets. With it come tokens, errors with their codes and
//! fields, locks while actions run, limits, capacity, a budget of requests, pages, sorting, filters and label
//! selectors.
//!
//! **What it does not**: load balancers, volumes, floating IPs, certificates, ISOs, backups, metrics, consoles, reverse
//! DNS, alias IPs of servers that are attached, zone files, and data centers, which the provider has removed. Nothing
//! resolves the records of zones but what [`Simulator::records`] is given to, and no packet meets a firewall.
//!
//! **Servers** are states unless [`Machines`] are attached, which are told of every order and say when it is done.
//!
//! **Faults** are programmed by [`Simulator::add_fault`], or from other programs below `/_simulator`:
//!
//! | request | does |
//! |---|---|
//! | `GET resources` | all that clients made, by kind |
//! | `GET`, `DELETE requests` | the log: method, path, status, body |
//! | `GET`, `POST`, `DELETE faults` | `{"kind", "method", "path", "nth", "times", "status", "code", "message", "delay_ms"}` |
//! | `PUT settings` | `{"action_delay_ms", "requests_per_hour", "limits": [{"kind", "limit"}], "capacity": [{"server_type", "location", "free", "code"}]}` |
//! | `POST clock` | `{"advance_ms"}`; the clock stands from then on |
//! | `GET servers/ID` | what the API does not show: rescue system, user data, keys |
//! | `PUT servers/ID` | `{"status": "off"}`: the system has ended by itself |

mod action;
mod address;
mod call;
mod catalog;
mod clock;
pub mod command;
mod control;
mod error;
mod fault;
mod input;
mod label;
mod machines;
mod page;
mod project;
mod rate;
mod resource;
mod route;
mod serve;
mod simulator;
mod state;

pub use action::Failure;
pub use clock::Clock;
pub use fault::{Fault, FaultKind};
pub use machines::{Machines, NoMachines, Order, Rescue};
pub use project::{Request, Ticket};
pub use simulator::{Options, Simulator, ZoneRecord};
