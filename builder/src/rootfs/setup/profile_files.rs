//! The profile's own files and links.

use super::{SetupError, Work, declared};
use crate::profile::{AddedContent, AddedFile};
use crate::tree::{Metadata, Tree};

/// Places every added file; a path that leads through a link (`opt/x`, once `/opt` leads to `/var`)
/// ends up where the link leads.
pub(super) fn place(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    for AddedFile { path, content } in &work.context.profile.files {
        let path = match path.rsplit_once('/') {
            Some((parent, name)) => match declared::resolve(tree, "", parent) {
                Some(parent) => format!("{parent}/{name}"),
                None => path.clone(),
            },
            None => path.clone(),
        };
        match content {
            AddedContent::File { text, mode } => {
                tree.write(&path, Metadata::root(*mode), text.clone())?;
            }
            AddedContent::Symlink { target } => tree.symlink(&path, target)?,
        }
    }
    Ok(())
}
