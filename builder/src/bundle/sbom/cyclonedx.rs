//! CycloneDX 1.6 in JSON: <https://cyclonedx.org/docs/1.6/json/>.

use serde_json::{Value, json};

use super::crates::Crate;
use super::licence::Licences;
use super::{Deb, Download, HOME, Inventory, VERSION, identified, purl};
use crate::units::Sha256;

/// Reference to what everything is in.
const BUNDLE: &str = "bundle";

/// The document.
pub fn cyclonedx(inventory: &Inventory<'_>) -> Value {
    let manifest = inventory.manifest;
    let components = components(inventory);
    let dependencies = dependencies(inventory);
    identified(|uuid| {
        json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": uuid.urn().to_string(),
            "version": 1,
            "metadata": {
                "timestamp": manifest.date,
                "lifecycles": [{ "phase": "build" }],
                "tools": { "components": [own("imgbuild", "imgbuild", "application", VERSION)] },
                "component": {
                    "type": "operating-system",
                    "bom-ref": BUNDLE,
                    "name": inventory.name(),
                    "version": manifest.root_hash,
                    "description": "The version and the hash are the root hash of the root file system.",
                    "hashes": hashes(manifest.root_hash.0),
                },
            },
            "components": components,
            "dependencies": dependencies,
        })
    })
}

fn components(inventory: &Inventory<'_>) -> Vec<Value> {
    let mut components: Vec<Value> = inventory.debs.iter().map(debian).collect();
    components.extend(inventory.artifacts.iter().map(artifact));
    for (name, facts) in &inventory.manifest.programs {
        let mut program = own(&program_ref(name), name, "application", VERSION);
        put(&mut program, "hashes", hashes(facts.sha256));
        let compilers = facts.compilers.iter().map(|compiler| property("compiler", compiler));
        put(&mut program, "properties", compilers.collect());
        components.push(program);
    }
    components.extend(inventory.crates.iter().map(crate_component));
    components
}

fn debian(deb: &Deb) -> Value {
    let place = if deb.is_in_root { "root" } else { "boot files" };
    let mut component = json!({
        "type": "library",
        "bom-ref": deb.purl(),
        "supplier": { "name": "Debian" },
        "name": deb.name,
        "version": deb.version,
        "hashes": hashes(deb.sha256),
        "purl": deb.purl(),
        "properties": [
            property("place", place),
            property("source-package", &deb.source.0),
            property("source-version", &deb.source.1),
        ],
    });
    let licences = licences(&deb.licences);
    if !licences.is_empty() {
        put(&mut component, "licenses", licences.into());
    }
    if !deb.url.is_empty() {
        put(&mut component, "externalReferences", json!([{ "type": "distribution", "url": deb.url }]));
    }
    component
}

fn artifact(download: &Download) -> Value {
    let mut component = json!({
        "type": "file",
        "bom-ref": artifact_ref(download),
        "name": download.name,
        "hashes": hashes(download.sha256),
    });
    if let (Some((version, url)), Some(purl)) = (&download.pin, download.purl()) {
        put(&mut component, "version", json!(version));
        put(&mut component, "purl", json!(purl));
        put(&mut component, "externalReferences", json!([{ "type": "distribution", "url": url }]));
    } else {
        put(&mut component, "description", json!(Download::UNPINNED));
    }
    component
}

/// Either one expression, or a list of which each has an identifier or a name.
fn licences(licences: &Licences) -> Vec<Value> {
    if let Some(expression) = licences.expression() {
        return vec![if expression.contains(' ') {
            json!({ "expression": expression })
        } else {
            json!({ "license": { "id": expression } })
        }];
    }
    let known = licences.known.iter().map(|term| {
        let key = if term.contains(' ') { "name" } else { "id" };
        json!({ "license": { key: term } })
    });
    known.chain(licences.named.iter().map(|name| json!({ "license": { "name": name } }))).collect()
}

fn crate_component(item: &Crate) -> Value {
    let Some(sha256) = item.sha256 else {
        return own(&crate_ref(item), &item.name, "library", &item.version);
    };
    json!({
        "type": "library",
        "bom-ref": crate_ref(item),
        "name": item.name,
        "version": item.version,
        "hashes": hashes(sha256),
        "purl": purl::cargo(&item.name, &item.version),
    })
}

/// A program or crate of this project.
fn own(reference: &str, name: &str, kind: &str, version: &str) -> Value {
    json!({
        "type": kind,
        "bom-ref": reference,
        "name": name,
        "version": version,
        "licenses": [{ "expression": env!("CARGO_PKG_LICENSE") }],
        "purl": purl::own(name, version),
        "externalReferences": [{ "type": "vcs", "url": HOME }],
    })
}

fn dependencies(inventory: &Inventory<'_>) -> Vec<Value> {
    let programs: Vec<String> = inventory.manifest.programs.keys().map(|name| program_ref(name)).collect();
    let parts = inventory.debs.iter().map(Deb::purl).chain(inventory.artifacts.iter().map(artifact_ref));
    let parts: Vec<String> = parts.chain(programs.iter().cloned()).collect();
    let mut all = vec![json!({ "ref": BUNDLE, "dependsOn": parts })];
    // Both programs are made of the crate `firstboot`.
    let library: Vec<String> =
        inventory.crates.iter().filter(|item| item.name == "firstboot").map(crate_ref).collect();
    all.extend(programs.iter().map(|program| json!({ "ref": program, "dependsOn": library })));
    for item in inventory.crates {
        let needed = item.dependencies.iter().filter_map(|index| inventory.crates.get(*index));
        let needed: Vec<String> = needed.map(crate_ref).collect();
        all.push(json!({ "ref": crate_ref(item), "dependsOn": needed }));
    }
    all
}

fn put(component: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = component {
        map.insert(key.to_owned(), value);
    }
}

fn hashes(sha256: Sha256) -> Value {
    json!([{ "alg": "SHA-256", "content": sha256 }])
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": format!("imgbuild:{name}"), "value": value })
}

fn artifact_ref(download: &Download) -> String {
    format!("artifact/{}", download.name)
}

fn program_ref(name: &str) -> String {
    format!("program/{name}")
}

fn crate_ref(item: &Crate) -> String {
    match item.sha256 {
        Some(_) => purl::cargo(&item.name, &item.version),
        None => purl::own(&item.name, &item.version),
    }
}
