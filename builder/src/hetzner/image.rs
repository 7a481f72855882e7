//! Images, and making one of a server's disk.

use serde::{Deserialize, Serialize};

use super::client::path;
use super::create::{Create, actions_of};
use super::open_enum::open_enum;
use super::resource::{Labelled, resource};
use super::server_type::{Architecture, Gigabytes};
use super::transport::Body;
use super::{Action, Client, HetznerError, ImageId, Labels, Operation, Query, Selector, ServerId};

open_enum! {
    /// What an image is.
    ImageType {
        /// Of Hetzner's: `ubuntu-24.04`.
        System = "system",
        /// Of a server, and stays when the server goes.
        Snapshot = "snapshot",
        /// Of a server, and goes with it.
        Backup = "backup",
        /// Of Hetzner's, with an app.
        App = "app",
    }
}

open_enum! {
    /// Whether an image can be used.
    ImageStatus {
        /// It can.
        Available = "available",
        /// Not yet.
        Creating = "creating",
        /// No more.
        Unavailable = "unavailable",
    }
}

/// An image.
#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    /// Its number.
    pub id: ImageId,
    /// Of Hetzner's images: `ubuntu-24.04`.
    pub name: Option<String>,
    /// What people see.
    #[serde(default)]
    pub description: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ImageType,
    /// Whether it can be used.
    pub status: ImageStatus,
    /// Which servers it runs on.
    pub architecture: Architecture,
    /// Smallest disk it fits.
    pub disk_size: Gigabytes,
    /// What is billed, once it is known.
    pub image_size: Option<Gigabytes>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Whether it can be deleted.
    #[serde(default)]
    pub protection: Protection,
}

/// What is kept from happening to a resource.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Protection {
    /// Deletion.
    #[serde(default)]
    pub delete: bool,
}

resource!(Image, ImageId, "image", "images");

impl Labelled for Image {
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// A snapshot of a server's disk, which must not change meanwhile: the server is off. It has no name, so that its labels
/// must tell it from all others of the run.
#[derive(Clone, Debug, Serialize)]
pub struct CreateSnapshot {
    #[serde(skip)]
    server: ServerId,
    #[serde(rename = "type")]
    kind: ImageType,
    description: String,
    labels: Labels,
}

impl CreateSnapshot {
    /// A snapshot with these labels.
    pub fn new(server: ServerId, description: impl Into<String>, labels: Labels) -> Self {
        Self { server, kind: ImageType::Snapshot, description: description.into(), labels }
    }
}

impl Create for CreateSnapshot {
    type Made = Image;

    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }

    fn query(&self) -> Query {
        Query::default().with("type", ImageType::Snapshot.as_str())
    }

    fn has_made(&self, found: &Image) -> bool {
        found.labels == self.labels && found.kind == self.kind
    }

    fn path(&self) -> Vec<String> {
        path(["servers", &self.server.to_string(), "actions", "create_image"])
    }

    fn actions(&self, made: &Image) -> Option<Vec<String>> {
        Some(actions_of(made))
    }
}

impl Client {
    /// Snapshots that a selector selects.
    pub async fn snapshots(
        &self,
        operation: &Operation,
        selector: &Selector,
    ) -> Result<Vec<Image>, HetznerError> {
        let query = Query::default().with("type", ImageType::Snapshot.as_str()).label(selector);
        self.list(operation, &query).await
    }

    /// Hetzner's images for an architecture.
    pub async fn system_images(
        &self,
        operation: &Operation,
        architecture: &Architecture,
    ) -> Result<Vec<Image>, HetznerError> {
        let query = Query::default().with("type", ImageType::System.as_str());
        let query = query.with("architecture", architecture.as_str());
        let mut found: Vec<Image> = self.list(operation, &query).await?;
        found.retain(|image| image.architecture == *architecture && image.kind == ImageType::System);
        Ok(found)
    }

    /// Protects an image from deletion, or ends that.
    pub async fn protect_image(
        &self,
        operation: &Operation,
        id: ImageId,
        protection: Protection,
    ) -> Result<Vec<Action>, HetznerError> {
        let path = path(["images", &id.to_string()]);
        self.act(operation, path, "change_protection", Body::of(&protection), &[]).await?.actions()
    }
}
