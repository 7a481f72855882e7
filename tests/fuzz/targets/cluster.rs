//! A cluster file: every fault must point into the text.

#![no_main]

use std::path::Path;

use imgbuild::cluster::{Available, Cluster};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let available = Available { profiles: vec!["cloud".into(), "edge".into()], images: vec!["disk".into()] };
    match Cluster::parse(text, Path::new("cluster.toml"), &available) {
        Ok(cluster) => cluster.nodes.iter().for_each(|node| _ = cluster.record(node)),
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
});
