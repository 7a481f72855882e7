//! The profile's own files and links.
//!
//! They win over what packages and generators place at the same path. What cannot win is a fault of the profile's: a
//! file where a folder must be, below something that is no folder, or where the build itself writes later.

use super::{SetupError, Work, declared};
use crate::diagnostic::Faults;
use crate::profile::{AddedContent, AddedFile, Profile};
use crate::tree::{Entry, Kind, Metadata, Tree, TreeError, is_within};

/// Places every added file; a path that leads through a link (`lib/x`) ends up where the link leads.
pub(super) fn place(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    let mut faults = Vec::new();
    for file in &work.context.profile.files {
        let path = resolved(tree, &file.path);
        if let Err(error) = tree.insert(&path, entry(&file.content)) {
            faults.push(unplaceable(file, &error));
        }
    }
    all(faults)
}

/// Says which of the profile's files made a step stumble, where one did.
pub(super) fn blame(error: SetupError, tree: &Tree, profile: &Profile) -> SetupError {
    let SetupError::Tree(error) = error else { return error };
    let fault = |file: &AddedFile| {
        let path = resolved(tree, &file.path);
        match &error {
            TreeError::NotEmpty { path: wanted } if is_within(&path, wanted) => Some(no_folder(file, wanted)),
            TreeError::Parent { path: wanted, parent } if path == *parent => {
                let reason = format!("`{}` must be a folder in the image, which has `{wanted}`", file.path);
                Some(file.origin.fault(reason, ELSEWHERE))
            }
            _ => None,
        }
    };
    match profile.files.iter().find_map(fault) {
        Some(fault) => SetupError::Files(fault),
        None => SetupError::Tree(error),
    }
}

/// Refuses a root in which a later step wrote over one of the profile's files, or removed it.
pub fn check(tree: &Tree, profile: &Profile) -> Result<(), SetupError> {
    let is_lost = |file: &&AddedFile| {
        let found = tree.get(&resolved(tree, &file.path));
        found.is_none_or(|found| found.kind != entry(&file.content).kind)
    };
    let lost = profile.files.iter().filter(is_lost).map(|file| {
        let reason = format!("`{}` would not stay: the build itself writes or removes it", file.path);
        file.origin.fault(reason, "leave it out of the profile")
    });
    all(lost)
}

fn entry(content: &AddedContent) -> Entry {
    match content {
        AddedContent::File { text, mode } => {
            Entry { metadata: Metadata::root(*mode), kind: Kind::File(text.clone().into()) }
        }
        AddedContent::Symlink { target } => {
            Entry { metadata: Metadata::root(0o777), kind: Kind::Symlink(target.clone()) }
        }
    }
}

/// Where the folder of `path` is, behind links.
fn resolved(tree: &Tree, path: &str) -> String {
    let parent = path.rsplit_once('/').and_then(|(parent, name)| {
        let parent = declared::resolve(tree, "", parent)?;
        Some(format!("{parent}/{name}"))
    });
    parent.unwrap_or_else(|| path.to_owned())
}

/// Of a file that has no place among what is there.
fn unplaceable(file: &AddedFile, error: &TreeError) -> Faults {
    let given = &file.path;
    match error {
        TreeError::Parent { parent, .. } => no_folder(file, parent),
        TreeError::NotEmpty { .. } => file.origin.fault(
            format!("`{given}` is a folder in the image, which no file can replace"),
            format!("give the path of a file in it: `{given}/NAME`"),
        ),
        TreeError::Path { .. } => file.origin.fault(error, ELSEWHERE),
    }
}

fn no_folder(file: &AddedFile, parent: &str) -> Faults {
    let reason = format!("`{parent}` is no folder in the image, so `{}` has no place", file.path);
    file.origin.fault(reason, ELSEWHERE)
}

const ELSEWHERE: &str = "give another path";

fn all(faults: impl IntoIterator<Item = Faults>) -> Result<(), SetupError> {
    Faults::merged(faults).map_or(Ok(()), |faults| Err(faults.into()))
}
