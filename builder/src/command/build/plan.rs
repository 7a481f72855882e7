//! Everything a build needs, typed and checked before the first expensive step.

use std::path::PathBuf;

use super::super::{Context, Note as _, failure, identity, this_program};
use super::artifacts::Given;
use super::{Arguments, IMAGE};
use crate::bundle::programs::Programs;
use crate::bundle::signature::SigningKey;
use crate::cluster::Cluster;
use crate::image::Image;
use crate::profile::Profile;
use crate::rootfs::review::ReviewTable;
use crate::secure_boot::Keys;
use crate::units::{Arch, Sha256};

/// What to build, from what, and where to.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cluster: Cluster,
    pub(super) profile: Profile,
    pub(super) image: Image,
    pub(super) arch: Arch,
    pub(super) reviews: ReviewTable,
    pub(super) programs: Programs,
    /// Artifacts that the command line gives or leaves out.
    pub(super) given: Given,
    /// The cluster's Secure Boot keys, if it has any and they are to be used.
    pub(super) secure_boot: Option<Keys>,
    /// Signs the manifest, unless nobody vouches for the result.
    pub(super) signing_key: Option<SigningKey>,
    /// Digest of imgbuild itself, which decides the result like any other input.
    pub(super) imgbuild: Sha256,
    /// The build folder.
    pub(super) output: PathBuf,
    /// Beside it: where a build is under way.
    pub(super) partial: PathBuf,
}

/// What a build is signed by.
#[derive(Default)]
struct SigningKeys {
    manifest: Option<SigningKey>,
    secure_boot: Option<Keys>,
}

/// Without an identity builds are unsigned; with one that cannot be opened they are only on demand.
fn keys(arguments: &Arguments, cluster: &Cluster) -> anyhow::Result<SigningKeys> {
    let path = identity::path(cluster);
    if arguments.unsigned || path.symlink_metadata().is_err() {
        return Ok(SigningKeys::default());
    }
    let opened = arguments.unlock.open(&path, cluster);
    let (identity, _) = opened.map_err(|error| error.hint("`--unsigned` builds without its signatures"))?;
    Ok(SigningKeys { manifest: Some(identity.signing_key), secure_boot: identity.secure_boot })
}

/// The folder of a build that names none: each image has its own, for none may take another's place.
pub(in crate::command) fn folder_name(profile: &str, image: &str, arch: Arch) -> String {
    if image == IMAGE { format!("{profile}-{arch}") } else { format!("{profile}-{image}-{arch}") }
}

impl Plan {
    pub(super) fn load(arguments: &Arguments, context: &Context) -> anyhow::Result<Self> {
        let cluster = context.cluster()?;
        let (arch, directory) = (arguments.arch, cluster.directory().to_owned());
        let profile = Profile::load(&arguments.profile, arch, &directory).map_err(failure::of_settings)?;
        let given = Given::read(&arguments.artifacts, arguments.without_artifacts, &profile)?;
        let image = Image::load(&arguments.image, &directory).map_err(failure::of_settings)?;
        let keys = keys(arguments, &cluster)?;
        let reviews = ReviewTable::load(&directory).map_err(failure::of_reviews)?;
        let programs = Programs::find(arch).map_err(failure::of_programs)?;
        let output = arguments
            .output
            .clone()
            .unwrap_or_else(|| cluster.beside("out").join(folder_name(&profile.name, &image.name, arch)));
        let name = output.file_name().ok_or_else(|| {
            let fault = anyhow::anyhow!("output folder `{}` has no name of its own", output.display());
            fault.input().hint("give a folder that is made anew with `--output`")
        })?;
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = output.with_file_name(partial);
        super::folder::check_replaceable(&output)?;
        Ok(Self {
            cluster,
            profile,
            image,
            arch,
            reviews,
            programs,
            given,
            secure_boot: keys.secure_boot,
            signing_key: keys.manifest,
            imgbuild: this_program()?,
            output,
            partial,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_has_a_folder_of_its_own() {
        assert_eq!(folder_name("cloud", "disk", Arch::Amd64), "cloud-amd64");
        assert_eq!(folder_name("cloud", "disk-4k", Arch::Arm64), "cloud-disk-4k-arm64");
    }
}
