//! What the text indexes say, and the order in which one wish is fulfilled.

use std::collections::{BTreeMap, BTreeSet};

use crate::stage0::glob;

/// A module and what must be there before it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Module {
    /// Path below the folder of the kernel release.
    path: String,
    /// Names of all modules it needs, in the order to load them.
    needs: Vec<String>,
}

/// Modules that should be loaded around another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Soft {
    before: Vec<String>,
    after: Vec<String>,
}

/// The indexes of one kernel release.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Index {
    modules: BTreeMap<String, Module>,
    /// Pattern and module, in the order of the file.
    aliases: Vec<(String, String)>,
    soft: BTreeMap<String, Soft>,
    builtin: BTreeSet<String>,
}

impl Index {
    /// Reads the four texts; lines of another form are passed over, as kmod does.
    pub fn parse(dep: &str, alias: &str, softdep: &str, builtin: &str) -> Self {
        let modules = dep.lines().filter_map(parse_dep).collect();
        let aliases = alias.lines().filter_map(parse_alias).collect();
        let soft = softdep.lines().filter_map(parse_softdep).collect();
        let builtin = builtin.lines().map(|line| module_name(line.trim())).collect();
        Self { modules, aliases, soft, builtin }
    }

    /// Number of modules that can be loaded.
    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Whether there is no module at all.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// Path of module `name` below the folder of the kernel release.
    pub fn path(&self, name: &str) -> Option<&str> {
        Some(&self.modules.get(name)?.path)
    }

    /// Names of the modules that `wish`, a device's modalias or a module's name, asks for.
    ///
    /// Empty where the kernel has it built in, and where the initrd does not have it.
    pub fn resolve(&self, wish: &str) -> Vec<&str> {
        let name = normalize(wish);
        if let Some((name, _)) = self.modules.get_key_value(&name) {
            return vec![name];
        }
        if self.builtin.contains(&name) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (pattern, module) in &self.aliases {
            let is_new = !found.contains(&module.as_str());
            // Kernel code asks for `crypto-crc32c` where the alias may be spelled with underscores.
            if is_new
                && self.modules.contains_key(module)
                && (glob::matches(pattern, wish) || normalize(pattern) == name)
            {
                found.push(module.as_str());
            }
        }
        found
    }

    /// What to load for module `name`, in order and with it; each name once.
    ///
    /// What a module needs comes first, then what its soft dependencies want before it, then itself, then what they
    /// want after it. A circle of soft dependencies is cut where it closes.
    pub fn load_order(&self, name: &str) -> Vec<&str> {
        let mut order = Vec::new();
        self.visit(name, &mut BTreeSet::new(), &mut order);
        order
    }

    fn visit<'a>(&'a self, name: &str, seen: &mut BTreeSet<&'a str>, order: &mut Vec<&'a str>) {
        let Some((name, module)) = self.modules.get_key_value(name) else { return };
        if !seen.insert(name) {
            return;
        }
        let soft = self.soft.get(name);
        for needed in &module.needs {
            self.visit(needed, seen, order);
        }
        for wish in soft.iter().flat_map(|soft| &soft.before) {
            for wanted in self.resolve(wish) {
                self.visit(wanted, seen, order);
            }
        }
        order.push(name);
        for wish in soft.iter().flat_map(|soft| &soft.after) {
            for wanted in self.resolve(wish) {
                self.visit(wanted, seen, order);
            }
        }
    }
}

/// `kernel/a.ko: kernel/b.ko kernel/c.ko`: the module, and what it needs, the last to be loaded first.
fn parse_dep(line: &str) -> Option<(String, Module)> {
    let (path, needs) = line.split_once(':')?;
    let needs = needs.split_whitespace().rev().map(module_name).collect();
    Some((module_name(path), Module { path: path.to_owned(), needs }))
}

/// `alias PATTERN MODULE`
fn parse_alias(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    let (keyword, pattern, module) = (words.next()?, words.next()?, words.next()?);
    (keyword == "alias").then(|| (pattern.to_owned(), normalize(module)))
}

/// `softdep MODULE pre: A B post: C`
fn parse_softdep(line: &str) -> Option<(String, Soft)> {
    let mut words = line.split_whitespace();
    if words.next()? != "softdep" {
        return None;
    }
    let name = normalize(words.next()?);
    let mut soft = Soft::default();
    let mut is_after = None;
    for word in words {
        match (word, is_after) {
            ("pre:", _) => is_after = Some(false),
            ("post:", _) => is_after = Some(true),
            (wish, Some(false)) => soft.before.push(wish.to_owned()),
            (wish, Some(true)) => soft.after.push(wish.to_owned()),
            (_, None) => {}
        }
    }
    Some((name, soft))
}

/// `kernel/fs/foo-bar.ko.xz` is the module `foo_bar`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    normalize(file.split(".ko").next().unwrap_or(file))
}

/// File names and module names mix the two; the kernel knows only underscores.
fn normalize(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/fs/erofs/erofs.ko: kernel/lib/libcrc32c.ko kernel/fs/netfs/netfs.ko
kernel/lib/libcrc32c.ko:
kernel/fs/netfs/netfs.ko:
kernel/crypto/crc32c_generic.ko:
kernel/arch/x86/crypto/crc32c-intel.ko:
kernel/drivers/md/dm-mod.ko:
kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko
kernel/drivers/md/dm-verity.ko: kernel/drivers/md/dm-bufio.ko kernel/drivers/md/dm-mod.ko
kernel/drivers/block/virtio_blk.ko:
kernel/drivers/a.ko:
kernel/drivers/b.ko:
";
    const ALIAS: &str = "\
# Aliases extracted from modules themselves.
alias virtio:d00000002v* virtio_blk
alias crypto-crc32c crc32c_generic
alias crc32c crc32c_intel
alias fs-erofs erofs
alias virtio:d00000002v* not_in_this_initrd
alias crypto-crc32c crc32c_intel
";
    const SOFTDEP: &str = "\
softdep libcrc32c pre: crypto-crc32c
softdep a pre: b
softdep b post: a dm-verity
softdep dm-mod
";

    fn index() -> Index {
        Index::parse(DEP, ALIAS, SOFTDEP, "kernel/drivers/virtio/virtio.ko\nkernel/fs/ext4/ext4.ko\n")
    }

    #[test]
    fn needed_modules_are_loaded_last_named_first() {
        assert_eq!(index().load_order("dm_verity"), ["dm_mod", "dm_bufio", "dm_verity"]);
    }

    #[test]
    fn soft_dependencies_of_needed_modules_come_before_them() {
        // Without crc32c_generic the kernel refuses libcrc32c, and then erofs.
        assert_eq!(
            index().load_order("erofs"),
            ["netfs", "crc32c_generic", "crc32c_intel", "libcrc32c", "erofs"]
        );
    }

    #[test]
    fn circles_of_soft_dependencies_end() {
        let index = index();
        assert_eq!(index.load_order("a"), ["b", "dm_mod", "dm_bufio", "dm_verity", "a"]);
        assert_eq!(index.load_order("b"), ["b", "a", "dm_mod", "dm_bufio", "dm_verity"]);
    }

    #[test]
    fn wishes_are_names_aliases_or_modaliases() {
        let index = index();
        for (wish, modules) in [
            ("virtio:d00000002v00001AF4", vec!["virtio_blk"]),
            ("fs-erofs", vec!["erofs"]),
            ("dm-verity", vec!["dm_verity"]),
            ("crypto_crc32c", vec!["crc32c_generic", "crc32c_intel"]),
            ("ext4", vec![]),
            ("pci:v00001AF4d00001001", vec![]),
        ] {
            assert_eq!(index.resolve(wish), modules, "{wish}");
        }
        assert_eq!(index.path("crc32c_intel"), Some("kernel/arch/x86/crypto/crc32c-intel.ko"));
        assert_eq!(index.load_order("ext4"), Vec::<&str>::new());
    }

    #[test]
    fn lines_of_another_form_are_passed_over() {
        let index = Index::parse("no colon\n\n", "alias short\nname x y\n", "softdep\nx\n", "\n");
        assert!(index.is_empty());
        assert_eq!(index.resolve("x"), Vec::<&str>::new());
    }
}
