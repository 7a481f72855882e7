//! Images: the provider's, and snapshots.

use serde_json::{Value, json};

use super::{Answer, kept_in, show};
use crate::call::Call;
use crate::clock::Time;
use crate::error::ApiError;
use crate::label::Labels;
use crate::page::Shape;
use crate::state::{Head, Kind, Resource, State};

/// The provider's images: flavour, version, name. Each is there for both architectures, under one name.
const SYSTEM: [(&str, &str, &str); 4] = [
    ("ubuntu", "24.04", "ubuntu-24.04"),
    ("ubuntu", "22.04", "ubuntu-22.04"),
    ("debian", "13", "debian-13"),
    ("debian", "12", "debian-12"),
];

#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Of snapshots the name is empty.
    pub(crate) head: Head,
    pub(crate) description: String,
    pub(crate) is_available: bool,
    /// GB: servers with smaller disks can't have it.
    pub(crate) disk_size: u64,
    /// GB, compressed.
    pub(crate) stored: Option<f64>,
    pub(crate) architecture: &'static str,
    /// The server that a snapshot was made of; none of the provider's.
    pub(crate) created_from: Option<(u64, String)>,
    pub(crate) os: (&'static str, Option<&'static str>),
}

impl Image {
    pub(crate) fn is_system(&self) -> bool {
        self.created_from.is_none()
    }

    fn check_own(&self) -> Result<(), ApiError> {
        if self.is_system() {
            return Err(ApiError::refused("unsupported_error", "images of the provider can't be changed"));
        }
        Ok(())
    }
}

impl Resource for Image {
    const KIND: Kind = Kind::Image;
    const SHAPE: Shape = Shape {
        name: "images",
        sort: &["id", "name", "created"],
        filters: &[
            ("name", &[]),
            ("type", &["system", "app", "snapshot", "backup"]),
            ("status", &["available", "creating", "unavailable"]),
            ("architecture", &["x86", "arm"]),
            ("bound_to", &[]),
        ],
        has_labels: true,
    };
    kept_in!(images);

    fn json(&self, _state: &State) -> Value {
        json!({
            "id": self.head.id, "name": self.is_system().then_some(&self.head.name),
            "type": if self.is_system() { "system" } else { "snapshot" },
            "status": if self.is_available { "available" } else { "creating" },
            "description": self.description, "created": self.head.created.to_string(),
            "disk_size": self.disk_size, "image_size": self.stored, "architecture": self.architecture,
            "labels": self.head.labels, "protection": {"delete": self.head.is_protected},
            "created_from": self.created_from.as_ref().map(|(id, name)| json!({"id": id, "name": name})),
            "os_flavor": self.os.0, "os_version": self.os.1, "bound_to": null, "deleted": null,
            "deprecated": null, "rapid_deploy": self.is_system(),
        })
    }

    fn check_delete(&self, _state: &State) -> Result<(), ApiError> {
        self.check_own()
    }

    fn deleted(self, state: &mut State) {
        state.deleted_images.push(self.head.id);
    }
}

/// The provider's images.
pub(crate) fn system() -> impl Iterator<Item = Image> {
    let both = SYSTEM.iter().flat_map(|system| ["x86", "arm"].map(|architecture| (system, architecture)));
    both.zip(101..).map(|((&(flavor, version, name), architecture), id)| Image {
        head: Head {
            id,
            name: name.to_owned(),
            // 2026-01-01
            created: Time(1_767_225_600_000),
            labels: Labels::default(),
            is_protected: false,
        },
        description: format!("simulated {name}"),
        is_available: true,
        disk_size: 5,
        stored: None,
        architecture,
        created_from: None,
        os: (flavor, Some(version)),
    })
}

impl State {
    /// An image by ID, or one of the provider's by its name for an architecture.
    pub(crate) fn find_image(&self, id_or_name: &str, architecture: &str) -> Option<&Image> {
        let by_id = id_or_name.parse().ok().and_then(|id| self.images.find(id));
        let is_named = |image: &&Image| {
            image.is_system() && image.head.name == id_or_name && image.architecture == architecture
        };
        by_id.or_else(|| self.images.iter().find(is_named))
    }

    /// Whether a server can have an image; returns the image's ID.
    pub(crate) fn fitting_image(
        &self,
        id_or_name: &str,
        architecture: &str,
        disk: u64,
    ) -> Result<u64, ApiError> {
        let fault = |message: String| Err(ApiError::invalid("image", message));
        match self.find_image(id_or_name, architecture) {
            None => fault(format!("image `{id_or_name}` not found")),
            Some(image) if image.architecture != architecture => {
                fault(format!("image is for {}, the server type is {architecture}", image.architecture))
            }
            Some(image) if image.disk_size > disk => {
                fault(format!("image needs a disk of {} GB, the server has {disk} GB", image.disk_size))
            }
            Some(image) if !image.is_available => {
                Err(ApiError::new(423, "locked", "image is still being created"))
            }
            Some(image) => Ok(image.head.id),
        }
    }
}

/// None of the images is deprecated, so that it does not matter whether those are wanted.
pub(crate) fn list(call: &mut Call<'_>) -> Answer {
    if let Some(text) = call.query.get("include_deprecated")
        && !matches!(text, "true" | "false")
    {
        return Err(ApiError::invalid("include_deprecated", format!("`{text}` is no boolean")));
    }
    super::list::<Image>(call)
}

pub(crate) fn update(call: &mut Call<'_>) -> Answer {
    let (id, body) = (call.id()?, call.body()?);
    let input = Call::input(&body)?;
    let (description, labels) = (input.maybe_text("description")?, input.maybe_labels()?);
    input.maybe_word("type", &["snapshot"])?;
    call.state.images.get(id)?.check_own()?;
    call.state.check_free(Kind::Image, id)?;
    let image = call.state.images.get_mut(id)?;
    image.head.labels = labels.unwrap_or_else(|| image.head.labels.clone());
    image.description = description.unwrap_or(&image.description).to_owned();
    Ok(show::<Image>(call, id, 200))
}

pub(crate) fn protect(call: &mut Call<'_>) -> Answer {
    call.state.images.get(call.id()?)?.check_own()?;
    super::protect::<Image>(call)
}
