//! Modules that could not be loaded, because others were left out of the image.

use std::collections::HashSet;

use super::{Module, module_name};

/// A module that is there, while one that it needs is not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unloadable {
    /// The module.
    pub module: Module,
    /// Name of the first module that it needs and that is not there.
    pub needs: String,
}

/// Keeps the modules that can be loaded; returns the others, each after what it lacks.
///
/// What a module needs is what its own `depends` says: by symbols alone, a symbol of a missing module looks like one
/// of the kernel. `builtin` is the text of `modules.builtin`.
pub fn retain_loadable(modules: &mut Vec<Module>, builtin: &str) -> Vec<Unloadable> {
    let mut names: HashSet<String> = modules.iter().map(|module| module.info.name.clone()).collect();
    names.extend(builtin.lines().map(module_name));
    let mut unloadable = Vec::new();
    loop {
        let mut kept = Vec::with_capacity(modules.len());
        let before = unloadable.len();
        for module in modules.drain(..) {
            let missing = module.info.depends.iter().find(|name| !names.contains(&module_name(name)));
            match missing.cloned() {
                Some(needs) => unloadable.push(Unloadable { module, needs }),
                None => kept.push(module),
            }
        }
        *modules = kept;
        let (Some(gone), true) = (unloadable.get(before..), unloadable.len() > before) else {
            return unloadable;
        };
        for Unloadable { module, .. } in gone {
            names.remove(&module.info.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ModuleInfo;
    use super::*;

    fn module(name: &str, depends: &[&str]) -> Module {
        let info = ModuleInfo {
            name: name.to_owned(),
            depends: depends.iter().map(|name| (*name).to_owned()).collect(),
            ..ModuleInfo::default()
        };
        Module { path: format!("kernel/{name}.ko.xz"), info }
    }

    #[test]
    fn leaves_out_what_needs_a_missing_module_however_indirectly() {
        let mut modules = vec![
            module("midi_gadget", &["snd-rawmidi"]),
            module("laptop", &["midi_gadget", "video"]),
            module("video", &["drm"]),
            module("usb_storage", &["scsi-mod"]),
            module("scsi_mod", &[]),
        ];
        let gone = retain_loadable(&mut modules, "kernel/drivers/gpu/drm/drm.ko\n");
        let shown: Vec<_> =
            gone.iter().map(|gone| (gone.module.info.name.as_str(), gone.needs.as_str())).collect();
        assert_eq!(shown, [("midi_gadget", "snd-rawmidi"), ("laptop", "midi_gadget")]);
        let kept: Vec<_> = modules.iter().map(|module| module.info.name.as_str()).collect();
        assert_eq!(kept, ["video", "usb_storage", "scsi_mod"]);
    }
}
