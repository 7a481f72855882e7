//! Images that servers are made of, and where each comes from.

use serde::Serialize;

use super::{NoTemporary, Temporary};
use crate::cloud::observed::Observed;
use crate::cloud::price::Price;
use crate::cloud::snapshot;
use crate::cloud::wanted::{DiskImage, Wanted};
use crate::units::Bytes;

/// An image that was built.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Built {
    /// Which.
    pub of: DiskImage,
    /// Size of the disk image.
    pub size: Bytes,
    /// Value of [`DIGEST_LABEL`](crate::cloud::observed::DIGEST_LABEL).
    pub digest: String,
    /// Names of artifacts that were left out.
    pub absent: Vec<String>,
    /// What else is not as it is meant to be, in words: `unsigned`.
    pub caveats: Vec<String>,
}

/// An image, and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedImage {
    /// Which.
    #[serde(flatten)]
    pub of: DiskImage,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// What is not as it is meant to be, in words: `unsigned`, `without k3s`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
    /// What uploads it, where that has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<PlannedUpload>,
}

/// Where an image comes from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "origin", rename_all = "lowercase")]
pub enum Origin {
    /// It has to be built, and uploaded.
    Build,
    /// It is built, and has to be uploaded.
    Upload {
        /// Value of the snapshot's label.
        digest: String,
    },
    /// There is a snapshot of it.
    Reuse {
        /// Value of its label.
        digest: String,
        /// Which.
        snapshot: u64,
    },
}

/// What uploads an image, and what is billed for that.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedUpload {
    /// The server that is made for it first; others are tried where that one is out of stock.
    pub by: Temporary,
    /// What each GB costs a month that the snapshot takes.
    pub gigabyte_month: Price,
    /// What is called, as the provider's reference has it.
    pub requests: Vec<&'static str>,
}

impl PlannedImage {
    /// Where each image of the servers comes from.
    pub fn all(wanted: &Wanted, observed: &Observed, built: &[Built]) -> Result<Vec<Self>, NoTemporary> {
        wanted.images().into_iter().map(|of| Self::new(of, wanted, observed, built)).collect()
    }

    fn new(
        of: &DiskImage,
        wanted: &Wanted,
        observed: &Observed,
        built: &[Built],
    ) -> Result<Self, NoTemporary> {
        let built = built.iter().find(|built| built.of == *of);
        let origin = match built {
            None => Origin::Build,
            Some(Built { digest, .. }) => match observed.snapshot(digest, of.arch) {
                Some(found) => Origin::Reuse { digest: digest.clone(), snapshot: found.id },
                None => Origin::Upload { digest: digest.clone() },
            },
        };
        let upload = || {
            // What is not built yet has no size yet.
            let size = built.map_or(Bytes(0), |built| built.size);
            let all = Temporary::all(of, size, wanted, observed)?;
            Ok(all.into_iter().next().map(|by| PlannedUpload {
                by,
                gigabyte_month: observed.snapshot_price,
                requests: snapshot::REQUESTS.into(),
            }))
        };
        let upload = if matches!(origin, Origin::Reuse { .. }) { None } else { upload()? };
        let absent = built.iter().flat_map(|built| &built.absent).map(|name| format!("without {name}"));
        let others = built.iter().flat_map(|built| &built.caveats).cloned();
        Ok(Self { of: of.clone(), origin, caveats: others.chain(absent).collect(), upload })
    }
}

impl Origin {
    /// Value of the label of its snapshot; unknown before it is built.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Build => None,
            Self::Upload { digest } | Self::Reuse { digest, .. } => Some(digest),
        }
    }
}
