//! Whether the S3 service of `[backup]` knows the keys, and whose its buckets are.

use super::{ALLOWED, Finding};
use crate::cloud::observed::Bucket;
use crate::cloud::wanted::Storage;
use crate::cluster::Cluster;
use crate::command::Context;
use crate::command::project::Project;
use crate::command::storage::StorageAccess;
use crate::hetzner::{HetznerError, Operation, Stop};
use crate::s3;

/// The service is not Hetzner's alone: it is asked without a project, too.
pub(super) fn look(
    access: &StorageAccess,
    wanted: &Storage,
    project: Option<&Project>,
    cluster: &Cluster,
    context: &Context,
) -> anyhow::Result<Vec<Finding>> {
    let Some(storage) = access.open_to_look(Some(wanted), context)? else {
        let hint = "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or the file that `--s3-key-file` names, hold \
                    them; `--without-buckets` leaves the buckets to you";
        return Ok(vec![Finding::fault("S3 keys", "there are none", Some(hint.to_owned()))]);
    };
    let what = "asking the S3 service";
    // A service that does not answer is a finding like any other; an interruption is none.
    let found = if let Some(project) = project {
        project.run(what, ALLOWED, async |operation| match storage.observe(operation).await {
            Err(s3::S3Error::Operation(error @ HetznerError::Stopped { .. })) => Err(error),
            found => Ok(found),
        })?
    } else {
        let operation = Operation::new(what, ALLOWED, &Stop::never());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(storage.observe(&operation))
    };
    Ok(match found {
        Ok(found) => {
            let keys = Finding::fine("S3 keys", format!("are known at {}", found.url));
            let buckets = found.buckets.iter().map(|(name, bucket)| finding(name, bucket, cluster));
            std::iter::once(keys).chain(buckets).collect()
        }
        Err(error) => {
            let hint = error.hint();
            let what = if error.is_of_keys() { "S3 keys" } else { "S3 service" };
            vec![Finding::fault(what, format!("{:#}", anyhow::Error::from(error)), hint)]
        }
    })
}

fn finding(name: &str, bucket: &Bucket, cluster: &Cluster) -> Finding {
    let others = || Some(s3::NAMES_OTHERS.to_owned());
    match bucket {
        Bucket::Free => Finding::fine("bucket", format!("the name `{name}` is free")),
        Bucket::Own(own) => match own.clusters.iter().find(|owner| *owner != cluster.name.as_str()) {
            Some(owner) => {
                Finding::fault("bucket", format!("`{name}` belongs to the cluster `{owner}`"), others())
            }
            None => Finding::fine("bucket", format!("`{name}` is there, {}", own.content())),
        },
        Bucket::Taken => Finding::fault("bucket", format!("`{name}` is taken by another account"), others()),
        Bucket::Elsewhere { region } => {
            let place = region.as_deref().unwrap_or("another region");
            let hint =
                "`endpoint` and `region` of `[backup]` have to be those of its buckets, or they name others"
                    .to_owned();
            Finding::fault("bucket", format!("`{name}` is in {place}"), Some(hint))
        }
    }
}
