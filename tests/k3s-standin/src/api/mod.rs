//! The Kubernetes API over the cluster's objects.

pub mod discovery;
pub mod fields;
pub mod lists;
pub mod managed;
pub mod patch;
pub mod protobuf;
pub mod resources;
pub mod schema;
pub mod selector;
pub mod status;
pub mod table;
