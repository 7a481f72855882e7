//! What the stick of one node gets: the build of its hardware, its record and a ticket.

use std::fs::File;

use anyhow::Context as _;
use firstboot::fat::Stamp;
use firstboot::gpt::Guid;
use firstboot::random::random;
use firstboot::source::Item;
use firstboot::stage0::cmdline::state_minimum;

use crate::bundle::manifest::{self, Manifest};
use crate::cluster::{Cluster, Node};
use crate::command::build::folder_name;
use crate::command::writing::{Job, Place};
use crate::command::{Context, Note as _, failure, verify};
use crate::flash::{Composed, Limits, OwnIds};
use crate::identity::ClusterSecrets;
use crate::image::Role;
use crate::medium::folder::{self, Folder};
use crate::operator::Joining;
use crate::secure_boot::SignedBy;
use crate::units::Bytes;

/// What partitions lose to their alignment, and the table to its second copy.
const EDGES: Bytes = Bytes(2 << 20);

/// What a node's stick gets.
pub(super) struct Stick<'a> {
    node: &'a Node,
    folder: Folder,
    joining: Joining,
}

impl<'a> Stick<'a> {
    /// Looks for the build, and whether it is whole; mints the ticket.
    pub(super) fn new(
        node: &'a Node,
        cluster: &Cluster,
        secrets: &ClusterSecrets,
        context: &Context,
    ) -> anyhow::Result<Self> {
        let name = folder_name(node.profile.as_str(), node.image.as_str(), node.arch);
        let path = cluster.beside("out").join(&name);
        let build = || {
            format!("`imgbuild build {} --image {} --arch {}` builds it", node.profile, node.image, node.arch)
        };
        if !path.exists() {
            let fault = anyhow::anyhow!("the image of node `{}`, `out/{name}`, is not built", node.name);
            return Err(fault.input().hint(build()));
        }
        let folder = Folder::open(&path).map_err(failure::of_manifest)?;
        verify::require(&folder, None, context).map_err(|fault| fault.hint(build()))?;
        let joining = Joining::new(cluster, node, secrets, &[], "")?;
        let stick = Self { node, folder, joining };
        for warning in stick.warnings() {
            context.printer.warn(&format!("{}: {warning}", node.name));
        }
        Ok(stick)
    }

    /// Of the node.
    pub(super) fn name(&self) -> &str {
        self.node.name.as_str()
    }

    /// Of the image.
    pub(super) fn size(&self) -> Bytes {
        self.manifest().disk.size
    }

    fn manifest(&self) -> &Manifest {
        &self.folder.manifest
    }

    /// What the person with the box would find out too late.
    fn warnings(&self) -> Vec<String> {
        let absent = self.manifest().absent.iter().filter(|name| *name == "k3s");
        let absent = absent.map(|name| format!("the image was built without {name}, and joins nothing"));
        let is_signed = self.manifest().secure_boot != SignedBy::Nobody;
        let unsigned = (!is_signed).then(|| {
            "the image is unsigned: a box with Secure Boot on does not start it; `imgbuild identity secure-boot` makes keys"
                .to_owned()
        });
        absent.chain(unsigned).collect()
    }

    /// Between which sizes a disk must be.
    pub(super) fn limits(&self, most: Bytes) -> anyhow::Result<Limits> {
        let manifest = self.manifest();
        let state = state_minimum(&manifest.image_command_line).context("reading what state needs")?;
        let least = [manifest.disk.size.0, EDGES.0].into_iter().fold(state, u64::saturating_add);
        Ok(Limits { least: Bytes(least), most, sector_size: Some(manifest.sector_size.bytes().into()) })
    }

    /// Writing it.
    pub(super) fn job(&self, place: Place) -> Job<'_> {
        Job { name: self.name().to_owned(), place, compose: Box::new(|size| self.composed(size)) }
    }

    /// All of it, for a disk of this size.
    fn composed(&self, size: Bytes) -> anyhow::Result<Composed> {
        let manifest = self.manifest();
        let path = self.folder.path.join(manifest::DISK);
        let image = File::open(&path).with_context(|| format!("opening `{}`", path.display()))?;
        let esp = manifest.partition(Role::Esp).context("the image has no boot partition")?;
        let start = folder::start(esp, manifest.sector_size);
        let id = || random().map(Guid::from_random).context("numbering the stick");
        let ids = OwnIds { disk: id()?, esp: (start, id()?) };
        let mut composed = Composed::new(image, manifest.sector_size.into(), size, ids)?;
        for partition in manifest.partitions.iter().filter(|partition| partition.label != esp.label) {
            let first = folder::start(partition, manifest.sector_size);
            composed.keep(first..first.saturating_add(partition.used.0));
        }
        let items = self.joining.items.iter().map(|(item, text)| (*item, text.as_str()));
        let items: Vec<(Item, &str)> = items.collect();
        composed.give((start, esp.size), Stamp::from_unix(manifest.date.0), &items)?;
        Ok(composed)
    }
}
