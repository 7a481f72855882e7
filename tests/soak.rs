//! The long matrices of `make soak [SUITE= N= SEED=]`; a suite is a test, chosen by a part of its name.
//!
//! `N` is how many cases a suite draws (each says its default), `SEED` which (default 1): further seeds are further cases.
//! `SUITE=engine` takes some 30 minutes by emulation on two free cores at the defaults. Its whole matrix is that with
//! `SUITE=engine_slots_that_fail` at SEED=2 and SEED=3, and `SUITE=engine_slots_boot` at SEED=2.
//!
//! `SUITE=cluster` makes clusters of machines, by emulation some 4 minutes a case; its power cuts (`SUITE=cluster_cuts`)
//! are whole at N=36.
//!
//! `SUITE=hetzner` ends runs of `up`, `cloud` and `down` in their middle, at the Hetzner simulator: the 208 of
//! `SUITE=hetzner_interruptions` take some 6 minutes, and no machine; those of `SUITE=hetzner_machine_kills` end real
//! uploads, by emulation up to 6 minutes each. `CASE=` is one of the interruptions alone. `SUITE=hetzner_servers` judges the
//! simulator's machines, and `SUITE=hetzner_workers` takes a cluster with a worker through a change of its images.

#[cfg(test)]
mod soak {
    mod bios;
    mod bits;
    mod cluster;
    mod cluster_cuts;
    mod cluster_workers;
    mod engine;
    mod faults;
    mod hetzner;
    mod hetzner_rebuild;
    mod hetzner_servers;
    mod power;
    mod slots;
    mod stagings;
    mod trials;
}
