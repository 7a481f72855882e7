//! `server/manifests`: files that are applied at every start, and when they change (k3s, `pkg/deploy`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::api::patch::PatchKind;
use crate::api::selector::Selector;
use crate::api::status::Status;
use crate::cluster::{Cluster, Deletion, Write};
use crate::pki::hash::hex;
use crate::{output, yaml};

/// Which file an object is from (wrangler's object sets).
const OWNER: &str = "objectset.rio.cattle.io/owner-name";
/// Which kinds a file had.
const KINDS: &str = "addon.k3s.cattle.io/gvks";

/// Folders in folders: links are followed, and may lead back.
const DEPTH: usize = 16;

/// What is remembered from pass to pass.
#[derive(Debug)]
pub struct Deployer {
    folder: PathBuf,
    disabled: Vec<String>,
    /// Until a pass was without error, everything is applied again.
    is_forced: bool,
    seen: BTreeMap<PathBuf, SystemTime>,
}

impl Deployer {
    /// Of the files in `folder`, without those that `--disable` names.
    pub fn new(folder: PathBuf, disabled: Vec<String>) -> Self {
        Self { folder, disabled, is_forced: true, seen: BTreeMap::new() }
    }

    /// Looks at all files once. Errors are logged; one file's stops no other.
    pub fn pass(&mut self, cluster: &Cluster) {
        let mut files = BTreeMap::new();
        // A link to nowhere, and nothing at all is applied.
        if let Err(error) = walk(&self.folder, DEPTH, &mut files) {
            output::error(&format!("Failed to process config: {error}"));
            return;
        }
        let mut is_clean = true;
        for (path, time) in &files {
            if self.is_skipped(path, &files) || (!self.is_forced && self.seen.get(path) == Some(time)) {
                continue;
            }
            match deploy(cluster, path, self.is_forced) {
                Ok(()) => drop(self.seen.insert(path.clone(), *time)),
                Err(error) => {
                    output::error(&format!(
                        "Failed to process config: failed to process {}: {error:#}",
                        path.display()
                    ));
                    is_clean = false;
                }
            }
        }
        self.is_forced = self.is_forced && !is_clean;
    }

    fn is_skipped(&self, path: &Path, files: &BTreeMap<PathBuf, SystemTime>) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let skip = format!("{name}.skip");
        let is_disabled = |base: &String| {
            let parts = path.strip_prefix(&self.folder).unwrap_or(path);
            addon_name(path) == *base || parts.starts_with(base)
        };
        name.starts_with('.')
            || !(extension == "yaml" || extension == "yml" || extension == "json")
            || files.keys().any(|other| other.file_name().is_some_and(|other| *other == *skip))
            || self.disabled.iter().any(is_disabled)
    }
}

/// Files with their times; of links, the link's own.
fn walk(folder: &Path, depth: usize, files: &mut BTreeMap<PathBuf, SystemTime>) -> io::Result<()> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = fs::metadata(&path)?;
        if kind.is_dir() {
            walk(&path, depth, files)?;
        } else {
            files.insert(path.clone(), fs::symlink_metadata(&path)?.modified()?);
        }
    }
    Ok(())
}

/// The file's name up to the first dot.
fn addon_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn deploy(cluster: &Cluster, path: &Path, is_forced: bool) -> anyhow::Result<()> {
    let content = fs::read(path)?;
    let checksum = hex(&Sha256::digest(&content));
    let addons = cluster.kind("k3s.cattle.io/v1", "Addon")?;
    let name = addon_name(path);
    let known = cluster.get(&addons, "kube-system", &name).unwrap_or_default();
    if !is_forced && known.pointer("/spec/checksum") == Some(&checksum.clone().into()) {
        return Ok(());
    }
    output::info(&format!("Applying manifest {}", path.display()));
    let documents = yaml::parse_all(std::str::from_utf8(&content)?)?;
    let lists = |document: Value| match document.get("items").and_then(Value::as_array) {
        Some(items)
            if document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List")) =>
        {
            items.clone()
        }
        _ => vec![document],
    };
    let mut applied = Vec::new();
    for object in documents.into_iter().flat_map(lists) {
        applied.push(apply(cluster, object, &name)?);
    }
    prune(cluster, &known, &name, &applied)?;
    let kinds: BTreeSet<String> = applied.iter().map(kind_of).collect();
    let addon = json!({
        "metadata": {"name": name, "annotations": {KINDS: kinds.into_iter().collect::<Vec<_>>().join(";")}},
        "spec": {"source": path.display().to_string(), "checksum": checksum},
    });
    let write = Write { is_forced: true, ..Write::by(&addons, "kube-system", "deploy") };
    cluster.patch(&write, &name, PatchKind::Apply, &addon)?;
    Ok(())
}

/// `group/version, Kind=Kind`
fn kind_of(object: &Value) -> String {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    format!("{}, Kind={}", text("apiVersion"), text("kind"))
}

/// Removes what the file had and has no longer: of the kinds that it had, what names it as its owner.
fn prune(cluster: &Cluster, known: &Value, name: &str, applied: &[Value]) -> Result<(), Status> {
    let kinds =
        known.pointer("/metadata/annotations").and_then(|annotations| annotations.get(KINDS)?.as_str());
    let uids: Vec<_> = applied.iter().filter_map(|object| object.pointer("/metadata/uid")).collect();
    for kind in kinds.unwrap_or_default().split(';') {
        let Some((api_version, kind)) = kind.split_once(", Kind=") else { continue };
        let Ok(resource) = cluster.kind(api_version, kind) else { continue };
        for object in cluster.list(&resource, None, &Selector::default()).0 {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let owner = object
                .pointer("/metadata/annotations")
                .and_then(|annotations| annotations.get(OWNER)?.as_str());
            let is_applied = object.pointer("/metadata/uid").is_some_and(|uid| uids.contains(&uid));
            if owner == Some(name) && !is_applied {
                let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
                cluster.delete(&resource, namespace, name, &Deletion::default())?;
            }
        }
    }
    Ok(())
}

fn apply(cluster: &Cluster, mut object: Value, addon: &str) -> Result<Value, Status> {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(OWNER.to_owned(), addon.into());
        }
    }
    let object = &object;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let resource = cluster.kind(api_version, kind).map_err(|_| {
        Status::bad_request(format!("no matches for kind \"{kind}\" in version \"{api_version}\""))
    })?;
    let namespace = Some(text("/metadata/namespace")).filter(|name| !name.is_empty()).unwrap_or("default");
    let write = Write { is_forced: true, ..Write::by(&resource, namespace, "deploy") };
    cluster.patch(&write, name, PatchKind::Apply, object).map(|(applied, _)| applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_map(name: &str) -> String {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: kube-system\ndata: {{a: file}}\n"
        )
    }

    struct Scene {
        folder: tempfile::TempDir,
        cluster: Cluster,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let cluster = Cluster::open(&folder.path().join("log")).unwrap();
            super::super::addon::ensure(&cluster).unwrap();
            fs::create_dir_all(folder.path().join("manifests")).unwrap();
            Self { folder, cluster }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.folder.path().join("manifests").join(name), text).unwrap();
        }

        fn deployer(&self) -> Deployer {
            Deployer::new(self.folder.path().join("manifests"), vec!["traefik".to_owned()])
        }

        fn data(&self, name: &str) -> Option<Value> {
            let resource = self.cluster.kind("v1", "ConfigMap").unwrap();
            Some(self.cluster.get(&resource, "kube-system", name).ok()?["data"]["a"].clone())
        }

        fn edit(&self, name: &str) {
            let resource = self.cluster.kind("v1", "ConfigMap").unwrap();
            let write = Write::by(&resource, "kube-system", "editor");
            self.cluster.patch(&write, name, PatchKind::Merge, &json!({"data": {"a": "edited"}})).unwrap();
        }
    }

    #[test]
    fn files_undo_changes_at_every_start_but_not_between() {
        let scene = Scene::new();
        scene.write("one.yaml", &config_map("one"));
        scene.write("traefik.yaml", &config_map("two"));
        scene.write("three.yaml", &config_map("three"));
        scene.write("three.yaml.skip", "");
        let mut deployer = scene.deployer();
        deployer.pass(&scene.cluster);
        assert_eq!(scene.data("one"), Some(json!("file")));
        assert_eq!((scene.data("two"), scene.data("three")), (None, None));
        scene.edit("one");
        deployer.pass(&scene.cluster);
        assert_eq!(scene.data("one"), Some(json!("edited")));
        scene.deployer().pass(&scene.cluster);
        assert_eq!(scene.data("one"), Some(json!("file")), "a restart applies everything again");
    }

    #[test]
    fn what_a_file_has_no_longer_goes() {
        let scene = Scene::new();
        scene.write("one.yaml", &format!("{}---\n{}", config_map("one"), config_map("two")));
        scene.deployer().pass(&scene.cluster);
        assert_eq!(scene.data("two"), Some(json!("file")));
        scene.write("one.yaml", &config_map("one"));
        scene.deployer().pass(&scene.cluster);
        assert_eq!((scene.data("one"), scene.data("two")), (Some(json!("file")), None));
    }

    #[test]
    fn one_broken_file_has_all_applied_again() {
        let scene = Scene::new();
        scene.write("a.yaml", "apiVersion: x/v1\nkind: Nothing\nmetadata: {name: a}\n");
        scene.write("b.yaml", &config_map("b"));
        let mut deployer = scene.deployer();
        deployer.pass(&scene.cluster);
        scene.edit("b");
        deployer.pass(&scene.cluster);
        assert_eq!(scene.data("b"), Some(json!("file")));
    }

    #[test]
    fn a_dangling_link_has_nothing_applied() {
        let scene = Scene::new();
        scene.write("b.yaml", &config_map("b"));
        std::os::unix::fs::symlink("nowhere", scene.folder.path().join("manifests/z.yaml")).unwrap();
        scene.deployer().pass(&scene.cluster);
        assert_eq!(scene.data("b"), None);
    }
}
