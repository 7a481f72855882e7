//! `imgbuild cloud`: the images of a cluster's servers as snapshots at Hetzner.

mod progress;

use std::path::Path;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;

pub(super) use self::progress::Style;
use self::progress::Watcher;
use super::identity::Unlock;
use super::plan::{built, of_plan};
use super::project::{self, Access, Exclusive};
use super::{Context, Note as _, build, failure, verify};
use crate::cloud::observed::Observed;
use crate::cloud::plan::{Built, Origin, PlannedImage, Temporary};
use crate::cloud::snapshot::{self, SnapshotError, Upload};
use crate::cloud::wanted::Wanted;
use crate::cluster::Cluster;
use crate::hetzner::carry_out::Snapshot;
use crate::hetzner::{HetznerError, ImageId, Operation, Stopper};
use crate::medium::folder::Folder;
use crate::units::Bytes;

/// For uploading all images; a slow uplink needs an hour.
pub(super) const UPLOADING: Duration = Duration::from_hours(3);

/// Arguments of `cloud`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    upload: UploadArguments,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    unlock: Unlock,
}

/// How images get to the cloud.
#[derive(Debug, Args)]
pub(super) struct UploadArguments {
    /// Believe the first host that answers at a temporary server's address, though it does not know the server's password
    #[arg(long)]
    trust_first_host: bool,
    /// How progress is told on standard error
    #[arg(long, value_name = "STYLE", value_enum, default_value_t)]
    pub(super) progress: Style,
}

/// What becomes of an image.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    image: PlannedImage,
    /// The snapshot, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<ImageId>,
    /// Bytes that were sent for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<Bytes>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let wanted = Wanted::new(&cluster, project::of(&cluster)?);
    let project = arguments.access.open(context)?;
    let built = build_missing(&cluster, &wanted, &arguments.unlock, context)?;
    let observed = project.observe(&wanted)?;
    let images = images(&wanted, &observed, &built)?;
    let uploads = uploads(&cluster, &wanted, &observed, &built, &arguments.upload)?;
    let mut shown: Vec<Shown> = images.iter().cloned().map(Shown::new).collect();
    if !uploads.is_empty() {
        match arguments.upload.progress {
            Style::Text => images.iter().for_each(|image| context.printer.note(&image.to_string())),
            Style::Json => {
                let event = serde_json::json!({ "event": "images", "images": images });
                context.printer.event(&event.to_string());
            }
        }
        project.ask(context, "Do this?")?;
        let made = project.exclusively(
            context,
            &wanted.name,
            ("uploading images", UPLOADING),
            async |operation, alone| {
                let observed = alone.client.observe(operation, &wanted).await.map_err(project::of_hetzner)?;
                project::must_be_shown(&self::images(&wanted, &observed, &built)?, &images)?;
                upload_all(operation, alone, &uploads, &arguments.upload, context).await
            },
        )?;
        for (upload, (snapshot, sent)) in uploads.iter().zip(made) {
            for image in shown.iter_mut().filter(|shown| shown.image.of == upload.of) {
                (image.made, image.sent) = (Some(snapshot.id), Some(sent));
            }
        }
    }
    if context.printer.is_json() {
        return Ok(context.printer.json(&shown)?);
    }
    let lines: Vec<_> = shown.iter().map(Shown::outcome).collect();
    Ok(context.printer.data(&lines.join("\n"))?)
}

impl Shown {
    const fn new(image: PlannedImage) -> Self {
        Self { image, made: None, sent: None }
    }

    fn outcome(&self) -> String {
        let of = &self.image.of;
        let snapshot = match (&self.image.origin, self.made, self.sent) {
            (_, Some(made), Some(sent)) => format!("snapshot {made}, {sent} sent"),
            (Origin::Reuse { snapshot, .. }, ..) => format!("snapshot {snapshot}, there before"),
            _ => "no snapshot".to_owned(),
        };
        format!("{} on {} for {}: {snapshot}", of.profile, of.image, of.arch)
    }
}

fn images(wanted: &Wanted, observed: &Observed, built: &[Built]) -> anyhow::Result<Vec<PlannedImage>> {
    PlannedImage::all(wanted, observed, built).map_err(|fault| of_plan(fault.into()))
}

/// Builds what is not built yet; what lies there is taken as it is.
pub(super) fn build_missing(
    cluster: &Cluster,
    wanted: &Wanted,
    unlock: &Unlock,
    context: &Context,
) -> anyhow::Result<Vec<Built>> {
    let there = built(cluster, wanted)?;
    let mut is_complete = true;
    for of in wanted.images() {
        if there.iter().all(|built| built.of != *of) {
            is_complete = false;
            build::make(&of.profile, &of.image, of.arch, unlock, context)?;
        }
    }
    if is_complete { Ok(there) } else { built(cluster, wanted) }
}

/// What has to be uploaded, and where it can be.
pub(super) fn uploads(
    cluster: &Cluster,
    wanted: &Wanted,
    observed: &Observed,
    built: &[Built],
    arguments: &UploadArguments,
) -> anyhow::Result<Vec<Upload>> {
    let is_lacking = |built: &&Built| observed.snapshot(&built.digest, built.of.arch).is_none();
    let upload = |built: &Built| {
        let Built { of, size, digest, .. } = built.clone();
        let places = Temporary::all(&of, size, wanted, observed);
        Ok(Upload {
            places: places.map_err(|fault| of_plan(fault.into()))?,
            disk: super::plan::disk(cluster, &of),
            of,
            size,
            digest,
            cluster: wanted.name.clone(),
            trusts_first: arguments.trust_first_host,
        })
    };
    built.iter().filter(is_lacking).map(upload).collect()
}

/// Uploads side by side; once one fails, the others are stopped.
pub(super) async fn upload_all(
    operation: &Operation,
    alone: &Exclusive<'_>,
    uploads: &[Upload],
    arguments: &UploadArguments,
    context: &Context,
) -> anyhow::Result<Vec<(Snapshot, Bytes)>> {
    for upload in uploads {
        // What is uploaded is what the snapshot's label says, or nothing is.
        let folder = upload.disk.parent().unwrap_or(Path::new(""));
        verify::require(&Folder::open(folder).map_err(failure::of_manifest)?, None, context)?;
    }
    let upload_one = async |upload, part: &Operation, stopper: &Stopper| {
        let mut watcher = Watcher::new(upload, arguments.progress, &context.printer);
        let mut tell = |told| watcher.tell(told);
        let made = snapshot::make(alone.client, part, &alone.run, upload, &mut tell).await;
        match made {
            Ok((id, written)) => {
                watcher.finish(id, written);
                Ok((Snapshot { id, digest: upload.digest.clone() }, written.sent))
            }
            Err(error) => {
                stopper.stop();
                Err(error)
            }
        }
    };
    let (mut done, kept) = alone
        .while_kept(operation, async |part, stopper| {
            join_all(uploads.iter().map(|upload| upload_one(upload, part, stopper))).await
        })
        .await;
    // The first fault, not what it has stopped.
    let is_fault = |made: &Result<_, SnapshotError>| matches!(made, Err(error) if !matches!(error, SnapshotError::Hetzner(HetznerError::Stopped { .. })));
    if let Some(fault) = done.iter().position(is_fault) {
        return done.swap_remove(fault).map(|_: (Snapshot, Bytes)| Vec::new()).map_err(of_snapshot);
    }
    kept.map_err(project::of_hetzner)?;
    done.into_iter().collect::<Result<_, _>>().map_err(of_snapshot)
}

/// With what there is to do about it.
fn of_snapshot(fault: SnapshotError) -> anyhow::Error {
    let hint = fault.hint();
    anyhow::Error::from(fault).maybe_hint(hint)
}
