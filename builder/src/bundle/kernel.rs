//! The kernel of a root: its image, its module indexes, the modules that the initrd needs.

use std::collections::BTreeMap;

use bytes::Bytes;
use thiserror::Error;

use crate::derived::DerivedCache;
use crate::format::kmod::{self, KmodError, Module, Unloadable};
use crate::tree::{Kind, Metadata, Tree, TreeError};
use crate::units::Sha256;

/// Folder of all kernels' modules.
const MODULES: &str = "usr/lib/modules";

/// A kernel, taken out of a root.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// The kernel image, a PE file.
    pub image: Bytes,
    /// Every module of the root.
    modules: Vec<Module>,
    /// Modules that were taken out of the root, because an exclusion left out one that they need.
    pub unloadable: Vec<Unloadable>,
    builtin: String,
    builtin_modinfo: Bytes,
}

/// Why a root has no usable kernel.
#[derive(Debug, Error)]
pub enum KernelError {
    /// There is not exactly one.
    #[error("the root has {} kernels below `{MODULES}`, not one: {}", releases.len(), releases.join(", "))]
    Count {
        /// Releases found.
        releases: Vec<String>,
    },
    /// A file that every kernel brings is missing.
    #[error("kernel {release} has no `{path}`")]
    Missing {
        /// Release.
        release: String,
        /// Path below the root.
        path: String,
    },
    /// A module is unusable.
    #[error(transparent)]
    Modules(#[from] KmodError),
    /// The indexes have no place in the tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl Kernel {
    /// Takes the kernel image out of `tree`, for it travels in the UKI, and the modules that could not be loaded;
    /// adds the module indexes. `cache` may know what the modules say of themselves.
    pub fn take(tree: &mut Tree, cache: &dyn DerivedCache) -> Result<Self, KernelError> {
        let release = release(tree)?;
        let folder = format!("{MODULES}/{release}");
        let text = |path: String| {
            let missing = || KernelError::Missing { release: release.clone(), path: path.clone() };
            tree.file(&path).cloned().ok_or_else(missing)
        };
        let image = text(format!("boot/vmlinuz-{release}"))?;
        let order = text(format!("{folder}/modules.order"))?;
        let builtin = text(format!("{folder}/modules.builtin"))?;
        let builtin_modinfo = text(format!("{folder}/modules.builtin.modinfo"))?;
        let builtin = String::from_utf8_lossy(&builtin).into_owned();
        let mut modules = read_modules(&module_files(tree, &folder), cache)?;
        let unloadable = kmod::retain_loadable(&mut modules, &builtin);
        for Unloadable { module, .. } in &unloadable {
            tree.remove(&format!("{folder}/{}", module.path));
        }
        let indexes = kmod::indexes(&modules, &String::from_utf8_lossy(&order), &builtin, &builtin_modinfo)?;
        for (name, content) in indexes {
            tree.write(&format!("{folder}/{name}"), Metadata::FILE, content)?;
        }
        // The kernel's settings stay beside it: Longhorn reads them.
        tree.remove(&format!("boot/vmlinuz-{release}"));
        Ok(Self { release, image, modules, unloadable, builtin, builtin_modinfo })
    }

    /// Names below `/usr/lib/firmware` that the kernel and its modules may ask for, each with who asks first.
    pub fn firmware(&self) -> Result<BTreeMap<&str, &str>, KernelError> {
        let builtin = kmod::builtin_firmware(&self.builtin_modinfo)?;
        let mut names: BTreeMap<&str, &str> = builtin.into_iter().map(|name| (name, "the kernel")).collect();
        for Module { info, .. } in &self.modules {
            for name in &info.firmware {
                names.entry(name).or_insert(&info.name);
            }
        }
        Ok(names)
    }

    /// Checks that the kernel has each of `wanted`, built in or as a module of the root.
    pub fn check_names(&self, wanted: &[String]) -> Result<(), KernelError> {
        kmod::closure(&self.modules, &self.builtin, &self.builtin_modinfo, wanted)?;
        Ok(())
    }

    /// The `wanted` modules and what they need, unpacked, with indexes of their own, as the tree
    /// `lib/modules/<release>` of an initrd.
    pub fn initrd_modules(&self, root: &Tree, wanted: &[String]) -> Result<Tree, KernelError> {
        let folder = format!("{MODULES}/{}", self.release);
        let mut tree = Tree::default();
        let mut unpacked = Vec::new();
        for module in kmod::closure(&self.modules, &self.builtin, &self.builtin_modinfo, wanted)? {
            let path = format!("{folder}/{}", module.path);
            let missing = || KernelError::Missing { release: self.release.clone(), path: path.clone() };
            let packed = root.file(&path).ok_or_else(missing)?;
            let content = kmod::decompress(&module.path, packed)?.into_owned();
            let path = module.unpacked_path().to_owned();
            tree.write(&format!("lib/modules/{}/{path}", self.release), Metadata::FILE, content)?;
            unpacked.push(Module { path, info: module.info.clone() });
        }
        let indexes = kmod::indexes(&unpacked, "", &self.builtin, &self.builtin_modinfo)?;
        for name in ["modules.dep", "modules.alias", "modules.softdep"] {
            let content = indexes.get(name).cloned().unwrap_or_default();
            tree.write(&format!("lib/modules/{}/{name}", self.release), Metadata::FILE, content)?;
        }
        let builtin = self.builtin.clone();
        tree.write(&format!("lib/modules/{}/modules.builtin", self.release), Metadata::FILE, builtin)?;
        Ok(tree)
    }
}

fn release(tree: &Tree) -> Result<String, KernelError> {
    let below = tree.below(MODULES).filter_map(|(path, entry)| {
        let name = path.strip_prefix(MODULES)?.strip_prefix('/')?;
        (entry.kind == Kind::Directory && !name.contains('/')).then(|| name.to_owned())
    });
    let mut releases: Vec<String> = below.collect();
    match releases.pop() {
        Some(release) if releases.is_empty() => Ok(release),
        last => {
            releases.extend(last);
            Err(KernelError::Count { releases })
        }
    }
}

fn module_files<'tree>(tree: &'tree Tree, folder: &str) -> Vec<(&'tree str, &'tree [u8])> {
    let start = folder.len().saturating_add(1);
    let is_module =
        |path: &str| [".ko", ".ko.xz", ".ko.zst", ".ko.gz"].iter().any(|ending| path.ends_with(ending));
    tree.below(folder)
        .filter_map(|(path, entry)| match &entry.kind {
            Kind::File(content) if is_module(path) => Some((path.get(start..)?, content.as_ref())),
            _ => None,
        })
        .collect()
}

/// What modules say of themselves. To unpack them all takes longer than the rest of a build that finds everything else in
/// the cache.
fn read_modules(files: &[(&str, &[u8])], cache: &dyn DerivedCache) -> Result<Vec<Module>, KmodError> {
    let parts = files.iter().flat_map(|(path, content)| [path.as_bytes(), content]);
    let key = Sha256::of_all(&[b"modules 1".as_slice()].into_iter().chain(parts).collect::<Vec<_>>());
    if let Some(modules) = cache.find(key).and_then(|known| serde_json::from_slice(&known).ok()) {
        return Ok(modules);
    }
    let modules = kmod::read_modules(files.iter().copied())?;
    if let Ok(known) = serde_json::to_vec(&modules) {
        cache.keep(key, &known);
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derived::{Memory, NoCache};

    #[test]
    fn refuses_a_root_without_kernel_and_one_with_two() {
        let mut tree = Tree::default();
        let fault = Kernel::take(&mut tree, &NoCache).unwrap_err().to_string();
        assert_eq!(fault, "the root has 0 kernels below `usr/lib/modules`, not one: ");
        tree.directory("usr/lib/modules/6.12-a", Metadata::DIRECTORY).unwrap();
        tree.directory("usr/lib/modules/6.12-b", Metadata::DIRECTORY).unwrap();
        let fault = Kernel::take(&mut tree, &NoCache).unwrap_err().to_string();
        assert_eq!(fault, "the root has 2 kernels below `usr/lib/modules`, not one: 6.12-a, 6.12-b");
        tree.remove("usr/lib/modules/6.12-b");
        let fault = Kernel::take(&mut tree, &NoCache).unwrap_err().to_string();
        assert_eq!(fault, "kernel 6.12-a has no `boot/vmlinuz-6.12-a`");
    }

    #[test]
    fn modules_that_were_read_before_are_not_read_again() {
        let module = include_bytes!("../../../tests/fuzz/seeds/module/plain").to_vec();
        let cache = Memory::default();
        let read = |path, content: &[u8]| read_modules(&[(path, content)], &cache).unwrap();
        let modules = read("kernel/a.ko", &module);
        assert_eq!(modules[0].info.name, "a");
        assert_eq!(read("kernel/a.ko", &module), modules);
        let key = *cache.0.lock().unwrap().first_key_value().unwrap().0;
        cache.keep(key, b"[]");
        assert_eq!(read("kernel/a.ko", &module), []);
        assert_eq!(read("kernel/b.ko", &module)[0].info.name, "b");
        assert_eq!(read("kernel/a.ko", &[&module[..], b"signature"].concat()), modules);
    }
}
