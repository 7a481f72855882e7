//! Buckets, which are another service's.

use super::{Site, missing};
use crate::cloud::plan::BucketCall;
use crate::hetzner::{HetznerError, Operation};

impl Site<'_> {
    pub(super) async fn bucket(
        &self,
        operation: &Operation,
        name: &str,
        call: &BucketCall,
    ) -> Result<(), HetznerError> {
        let storage = self.storage.ok_or_else(|| missing("S3 service of the bucket", name))?;
        let done = match call {
            BucketCall::Create => storage.create(operation, name).await,
            BucketCall::MarkRun => storage.mark_run(operation, name, self.run).await,
            BucketCall::Mark { cluster } => storage.mark(operation, name, cluster).await,
            BucketCall::Empty => storage.empty(operation, name).await,
            BucketCall::Unmark => storage.unmark(operation, name).await,
            BucketCall::Delete => storage.delete(operation, name, &self.wanted.name).await,
        };
        Ok(done?)
    }
}
