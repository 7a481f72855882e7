//! Where copies of datastore and volumes go.

use serde::Serialize;

use crate::cluster::{Cluster, Endpoint};

/// Buckets of an S3 service.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Storage {
    /// Host of the service.
    pub endpoint: Endpoint,
    /// Its region.
    pub region: String,
    /// Names of the buckets, each once.
    pub buckets: Vec<String>,
}

impl Storage {
    /// What the cluster file's `[backup]` asks for.
    pub fn of(cluster: &Cluster) -> Option<Self> {
        let backup = cluster.backup.as_ref()?;
        let mut buckets = vec![backup.etcd_bucket.to_string(), backup.longhorn_bucket.to_string()];
        buckets.dedup();
        Some(Self { endpoint: backup.endpoint.clone(), region: backup.region.to_string(), buckets })
    }
}
