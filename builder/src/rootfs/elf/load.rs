//! What the dynamic linker would do with one file: a walk over its libraries, breadth first.

use std::collections::BTreeMap;

use super::dynamic::Dynamic;
use crate::rootfs::resolve::resolve;
use crate::tree::Tree;

/// One library that a loaded file needs.
#[derive(Clone, Debug)]
pub(super) struct Need<'a> {
    /// The needing file, below the root.
    pub(super) path: &'a str,
    /// The library as it names it.
    pub(super) library: &'a str,
    /// The file that stands for it; none if it was not found.
    pub(super) found: Option<&'a str>,
    /// Directories that were looked in, as far as the search went.
    pub(super) searched: Vec<String>,
}

/// All ELF files of a tree for one machine, by their real path, and where they are searched.
pub(super) struct Loader<'a> {
    pub(super) tree: &'a Tree,
    pub(super) files: &'a BTreeMap<&'a str, Dynamic>,
    pub(super) directories: &'a [String],
}

struct Object<'a> {
    path: &'a str,
    dynamic: &'a Dynamic,
    /// The name it was asked for by, which later needs of the same name find.
    requested: &'a str,
    /// Which object asked for it first.
    loader: Option<usize>,
}

impl<'a> Loader<'a> {
    /// Everything that is needed, directly or not, to load the file at `root`.
    pub(super) fn load(&self, root: &'a str) -> Vec<Need<'a>> {
        let Some(dynamic) = self.files.get(root) else { return Vec::new() };
        let mut objects = vec![Object { path: root, dynamic, requested: root, loader: None }];
        let mut needs = Vec::new();
        let mut index = 0;
        while index < objects.len() {
            let (path, dynamic) = (objects[index].path, objects[index].dynamic);
            for library in &dynamic.needed {
                let loaded = objects.iter().find(|object| {
                    object.requested == library || object.dynamic.soname.as_ref() == Some(library)
                });
                if let Some(loaded) = loaded {
                    needs.push(Need { path, library, found: Some(loaded.path), searched: Vec::new() });
                    continue;
                }
                let searched = search_path(&objects, index, library, self.directories);
                let found = searched.iter().find_map(|folder| self.find(folder, library));
                needs.push(Need { path, library, found: found.map(|(path, _)| path), searched });
                if let Some((path, dynamic)) = found {
                    objects.push(Object { path, dynamic, requested: library, loader: Some(index) });
                }
            }
            index += 1;
        }
        needs
    }

    /// The ELF file for this machine at `folder`/`library`, by its real path.
    pub(super) fn find(&self, folder: &str, library: &str) -> Option<(&'a str, &'a Dynamic)> {
        let (real, _) = resolve(self.tree, &format!("{folder}/{library}"))?;
        self.files.get_key_value(real.as_str()).map(|(path, dynamic)| (*path, dynamic))
    }
}

/// Where object `index` looks for `library` (ld.so(8)): `DT_RPATH` of itself and of those that asked for
/// it, unless it has a `DT_RUNPATH`; then that; then the system's directories.
fn search_path(objects: &[Object<'_>], index: usize, library: &str, directories: &[String]) -> Vec<String> {
    if library.contains('/') {
        return vec![String::new()];
    }
    let mut folders = Vec::new();
    let own = &objects[index];
    if own.dynamic.runpath.is_empty() {
        let mut next = Some(own);
        while let Some(object) = next {
            folders.extend(object.dynamic.rpath.iter().map(|part| expand(part, object.path)));
            next = object.loader.map(|loader| &objects[loader]);
        }
    }
    folders.extend(own.dynamic.runpath.iter().map(|part| expand(part, own.path)));
    folders.extend_from_slice(directories);
    folders
}

/// Replaces `$ORIGIN` by the directory of the file at `path` (ld.so(8), "Dynamic string tokens").
fn expand(part: &str, path: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let origin = format!("/{folder}");
    part.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin)
}
