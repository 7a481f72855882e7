//! A snapshot of a disk image, by a temporary server whose rescue system writes the image to its disk.
//!
//! ```text
//! key -> server, off -> rescue system -> on -> image onto the disk -> off -> snapshot -> server and key go
//! ```
//!
//! All of it carries the run's label, so that it is found and removed whatever happens; the snapshot loses it once it is
//! whole, and stays then, whatever becomes of the run. The server has no label of the cluster: it is none of its nodes.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use thiserror::Error;

use super::observed::DIGEST_LABEL;
use super::plan::{NoTemporary, Temporary};
use super::upload::{self, Event, Rescue, Trust, UploadError, Written};
use super::wanted::{CLUSTER_LABEL, DiskImage};
use crate::hetzner::image::{CreateSnapshot, Image, ImageStatus};
use crate::hetzner::server::{CreatePublicNet, CreateServer, ImageName, Server};
use crate::hetzner::ssh_key::{CreateSshKey, SshKey};
use crate::hetzner::{Client, HetznerError, ImageId, Labels, Operation, Run, SshKeyId};
use crate::ssh::{Key, SshError};
use crate::units::{Arch, Bytes};

/// Where rescue systems listen.
const SSH: u16 = 22;

/// What making one calls, as the provider's reference has it, beside questions.
pub const REQUESTS: [&str; 8] = [
    "POST /ssh_keys",
    "POST /servers",
    "POST /servers/{id}/actions/enable_rescue",
    "POST /servers/{id}/actions/poweron",
    "POST /servers/{id}/actions/create_image",
    "PUT /images/{id}",
    "DELETE /servers/{id}",
    "DELETE /ssh_keys/{id}",
];

/// A disk image that becomes a snapshot.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Which.
    pub of: DiskImage,
    /// Where it lies.
    pub disk: PathBuf,
    /// Its size.
    pub size: Bytes,
    /// Value of the snapshot's label.
    pub digest: String,
    /// Name of the cluster that it is for.
    pub cluster: String,
    /// Places where the temporary server can be, the best first.
    pub places: Vec<Temporary>,
    /// Whether the host that answers is believed without a proof.
    pub trusts_first: bool,
}

/// What is told meanwhile.
#[derive(Clone, Debug)]
pub enum Told {
    /// A step begins, in words: `starting the rescue system`.
    Step(&'static str),
    /// The image is written.
    Upload(Event),
}

/// Why there is no snapshot.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The provider.
    #[error(transparent)]
    Hetzner(#[from] HetznerError),
    /// The rescue system.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// There is no key.
    #[error(transparent)]
    Key(#[from] SshError),
    /// No server type takes the image.
    #[error(transparent)]
    NoTemporary(#[from] NoTemporary),
    /// The provider has no image to make a server of.
    #[error("the provider has no system image for {arch}")]
    NoSystem {
        /// Architecture.
        arch: Arch,
    },
    /// The server has no address.
    #[error("the server `{name}` has no IPv4 address")]
    NoAddress {
        /// Its name.
        name: String,
    },
    /// The provider told no password.
    #[error("the provider told no password of the rescue system, by which it could be known")]
    NoPassword,
}

impl SnapshotError {
    /// What to do, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Hetzner(error) => error.hint(),
            Self::Upload(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::NoTemporary(error) => Some(error.hint()),
            Self::NoPassword => Some("`--trust-first-host` goes on with whoever answers".to_owned()),
            Self::NoSystem { .. } | Self::NoAddress { .. } => None,
        }
    }
}

/// Makes the snapshot; what it needed for that goes. On failure all is left to [`Client::clean_up`].
pub async fn make(
    client: &Client,
    operation: &Operation,
    run: &Run,
    upload: &Upload,
    tell: &mut (dyn FnMut(Told) + Send),
) -> Result<(ImageId, Written), SnapshotError> {
    let write = async |rescue: &Rescue, tell: &mut (dyn FnMut(Told) + Send)| {
        let told = &mut |event| tell(Told::Upload(event));
        let written = upload::write(operation, rescue, &upload.disk, told).await?;
        upload::shut_down(operation, rescue).await?;
        Ok(written)
    };
    make_by(client, operation, run, upload, tell, write).await
}

/// The same; `write` brings the image to the disk, and has the machine go off.
async fn make_by(
    client: &Client,
    operation: &Operation,
    run: &Run,
    upload: &Upload,
    tell: &mut (dyn FnMut(Told) + Send),
    write: impl AsyncFnOnce(&Rescue, &mut (dyn FnMut(Told) + Send)) -> Result<Written, UploadError>,
) -> Result<(ImageId, Written), SnapshotError> {
    let name = format!("imgbuild-upload-{run}-{}", upload.of.arch);
    let key = Key::generate()?;
    tell(Told::Step("making a temporary server"));
    let wanted =
        CreateSshKey { name: name.clone(), public_key: key.public_line()?, labels: Labels::default() };
    let project_key = client.create(operation, run, wanted).await?.made.id;
    let server = create_server(client, operation, run, upload, &name, project_key).await?;
    tell(Told::Step("starting its rescue system"));
    let (actions, password) = client.enable_rescue(operation, server.id, &[project_key]).await?;
    client.wait(operation, actions).await?;
    let actions = client.poweron(operation, server.id).await?;
    client.wait(operation, actions).await?;
    let address: IpAddr = match server.public_net.ipv4 {
        Some(ipv4) => ipv4.ip.into(),
        None => return Err(SnapshotError::NoAddress { name }),
    };
    let trust = match password {
        Some(password) if !upload.trusts_first => Trust::ByPassword(password),
        None if !upload.trusts_first => return Err(SnapshotError::NoPassword),
        _ => Trust::OnFirstUse,
    };
    let rescue = Rescue::new(SocketAddr::from((address, SSH)), &key, trust);
    let written = write(&rescue, tell).await?;
    tell(Told::Step("making the snapshot"));
    client.wait_until_off(operation, server.id).await?;
    let labels = Labels::default().with(DIGEST_LABEL, &upload.digest).map_err(HetznerError::from)?;
    let labels = labels.with(CLUSTER_LABEL, &upload.cluster).map_err(HetznerError::from)?;
    let description = format!("{} on {}", upload.of.profile, upload.of.image);
    let snapshot =
        client.create(operation, run, CreateSnapshot::new(server.id, description, labels.clone())).await?;
    client.wait(operation, snapshot.actions).await?;
    // It is whole, and stays from here on.
    client.set_labels::<Image>(operation, snapshot.made.id, &labels).await?;
    tell(Told::Step("removing the temporary server"));
    let actions = client.delete::<Server>(operation, server.id).await?;
    client.wait(operation, actions).await?;
    client.delete::<SshKey>(operation, project_key).await?;
    Ok((snapshot.made.id, written))
}

/// In the first place that has room.
async fn create_server(
    client: &Client,
    operation: &Operation,
    run: &Run,
    upload: &Upload,
    name: &str,
    key: SshKeyId,
) -> Result<Server, SnapshotError> {
    let image = system_image(client, operation, upload.of.arch).await?;
    let mut last = None;
    for place in &upload.places {
        let wanted = CreateServer {
            name: name.to_owned(),
            server_type: place.server_type.clone(),
            image: ImageName::Id(image),
            location: place.location.clone(),
            start_after_create: false,
            ssh_keys: vec![key],
            user_data: None,
            public_net: CreatePublicNet { enable_ipv4: true, enable_ipv6: true, ipv4: None, ipv6: None },
            firewalls: Vec::new(),
            placement_group: None,
            labels: Labels::default(),
        };
        match client.create(operation, run, wanted).await {
            Ok(created) => {
                client.wait(operation, created.actions).await?;
                return Ok(created.made);
            }
            Err(error) if error.is_out_of_stock() => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    let none = NoTemporary { arch: upload.of.arch, size: upload.size, most: upload.size };
    Err(last.map_or_else(|| none.into(), Into::into))
}

/// Any: it is never started. The smallest, for it is copied.
async fn system_image(client: &Client, operation: &Operation, arch: Arch) -> Result<ImageId, SnapshotError> {
    let all = client.system_images(operation, &arch.into()).await?;
    let usable = all.iter().filter(|image| image.status == ImageStatus::Available);
    let smallest =
        usable.min_by(|one, other| one.disk_size.0.total_cmp(&other.disk_size.0).then(one.id.cmp(&other.id)));
    smallest.map(|image| image.id).ok_or(SnapshotError::NoSystem { arch })
}

#[cfg(test)]
mod tests;
