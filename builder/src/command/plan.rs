//! `imgbuild plan`: what would be done in the cloud, and what it costs, before anything is.

use std::path::PathBuf;

use clap::Args;

use super::build::folder_name;
use super::project::{self, Access};
use super::storage::StorageAccess;
use super::{Context, Note as _, failure};
use crate::bundle::manifest::{self, Manifest};
use crate::bundle::signature;
use crate::cloud::plan::{Built, Plan, PlanError};
use crate::cloud::wanted::{DiskImage, Wanted};
use crate::cluster::Cluster;
use crate::hetzner::request_line;
use crate::s3::NAMES_OTHERS;

/// Letters of a digest that a label has room for: 63 at most.
const DIGEST: usize = 48;

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Do not look at the buckets of `[backup]`
    #[arg(long, conflicts_with = "s3_key_file")]
    without_buckets: bool,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    storage: StorageAccess,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let cluster = context.cluster()?;
    let wanted = Wanted::new(&cluster, project::of(&cluster)?);
    let buckets = wanted.storage.as_ref().filter(|_| !arguments.without_buckets);
    let storage = arguments.storage.open_to_look(buckets, context)?;
    for what in cluster.not_yet() {
        context.printer.warn(&what);
    }
    let project = arguments.access.open(context)?.with_storage(storage);
    let observed = project.observe(&wanted)?;
    let plan = Plan::new(&wanted, &observed, &built(&cluster, &wanted)?, request_line).map_err(of_plan)?;
    if context.printer.is_json() {
        return Ok(context.printer.json(&plan)?);
    }
    Ok(context.printer.data(&plan.to_string())?)
}

/// What lies in the build folders of the servers' images.
pub(super) fn built(cluster: &Cluster, wanted: &Wanted) -> anyhow::Result<Vec<Built>> {
    let look = |of: &DiskImage| {
        let folder = folder(cluster, of);
        if !folder.exists() {
            return Ok(None);
        }
        let manifest = Manifest::load(&folder).map_err(failure::of_manifest)?;
        let digest = manifest.disk.fs_verity.to_string().chars().take(DIGEST).collect();
        let is_signed = folder.join(signature::FILE).exists();
        let unsigned = (!is_signed).then(|| "unsigned".to_owned());
        let unpinned =
            manifest.unpinned.iter().map(|name| format!("with another `{name}` than the pinned one"));
        Ok(Some(Built {
            of: of.clone(),
            size: manifest.disk.size,
            digest,
            caveats: unsigned.into_iter().chain(unpinned).collect(),
            absent: manifest.absent,
        }))
    };
    wanted.images().into_iter().filter_map(|of| look(of).transpose()).collect()
}

/// Where a build of an image lies.
fn folder(cluster: &Cluster, of: &DiskImage) -> PathBuf {
    cluster.beside("out").join(folder_name(&of.profile, &of.image, of.arch))
}

/// Where the disk of a built image lies.
pub(super) fn disk(cluster: &Cluster, of: &DiskImage) -> PathBuf {
    folder(cluster, of).join(manifest::DISK)
}

/// What there is to do about a plan that is none.
pub(super) fn hint_of(fault: &PlanError) -> String {
    match fault {
        PlanError::Foreign { kind: "record set", .. } => {
            "remove it from the zone, if nobody needs it, or name the cluster otherwise".to_owned()
        }
        PlanError::Foreign { kind: "bucket", .. } | PlanError::Taken { .. } => NAMES_OTHERS.to_owned(),
        PlanError::Region { .. } => {
            "`endpoint` and `region` of `[backup]` have to be those of its buckets, or `etcd-bucket` and `longhorn-bucket` name others".to_owned()
        }
        PlanError::Foreign { .. } => "rename it, or the cluster".to_owned(),
        PlanError::Range { .. } => {
            "a network's range cannot be changed: `private-range` has to be its own".to_owned()
        }
        PlanError::Subnet { .. } => "remove it, or choose a location in its zone".to_owned(),
        PlanError::Location { known, .. } => format!("there are {}", known.join(", ")),
        PlanError::Type { known, .. } | PlanError::Architecture { known, .. } => {
            format!("images of this architecture run on {}", known.join(", "))
        }
        PlanError::Unfit { server, .. } => {
            format!("delete the server `{server}`, so that it is made anew, or change the node back")
        }
        PlanError::Full { .. } => {
            "`other-server-types` and `other-locations` of `[hetzner]` name more that would do".to_owned()
        }
        PlanError::Elsewhere { .. } => {
            "a location of `[hetzner]` has to be theirs; what stands elsewhere has to go".to_owned()
        }
        PlanError::Zone { name } => format!("make the zone `{name}` in the project, or leave out `dns-zone`"),
        PlanError::Secondary { .. } => {
            "leave out `dns-zone`, and write the names where the zone is".to_owned()
        }
        PlanError::InUse { .. } => "take them out of it, in the project's console".to_owned(),
        PlanError::Protected { name, .. } => {
            format!("end the protection of `{name}` in the project's console")
        }
        PlanError::NoTemporary(fault) => fault.hint(),
    }
}

/// With that.
pub(super) fn of_plan(fault: PlanError) -> anyhow::Error {
    let hint = hint_of(&fault);
    let is_input = !matches!(fault, PlanError::Full { .. });
    let fault = anyhow::Error::from(fault);
    if is_input { fault.input().hint(hint) } else { fault.hint(hint) }
}
