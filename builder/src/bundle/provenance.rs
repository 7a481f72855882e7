//! Where a build comes from: an in-toto statement with SLSA's provenance predicate.
//!
//! Formats: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>,
//! <https://slsa.dev/spec/v1.0/provenance>. It says what any machine would say of the same inputs: neither when nor
//! where the build ran, nor the digest of the `imgbuild` that ran, which differs with the machine it was compiled for.

use serde_json::{Value, json};

use super::manifest::DISK;
use super::sbom::{HOME, Inventory, VERSION, purl};

/// Its file name in a build folder.
pub const FILE: &str = "provenance.json";

/// The statement over all files of the manifest so far.
pub fn statement(inventory: &Inventory<'_>) -> Value {
    let manifest = inventory.manifest;
    let disk = json!({ "name": DISK, "digest": { "fsverity": manifest.disk.fs_verity } });
    let files = manifest.files.iter();
    let files = files.map(|(name, facts)| json!({ "name": name, "digest": { "sha256": facts.sha256 } }));
    let subject: Vec<Value> = [disk].into_iter().chain(files).collect();
    let packages = inventory.debs.iter().map(|deb| {
        let mut dependency =
            json!({ "name": deb.name, "uri": deb.purl(), "digest": { "sha256": deb.sha256 } });
        if let (Value::Object(map), false) = (&mut dependency, deb.url.is_empty()) {
            map.insert("downloadLocation".to_owned(), json!(deb.url));
        }
        dependency
    });
    let artifacts = inventory.artifacts.iter().map(|artifact| {
        let mut dependency = json!({ "name": artifact.name, "digest": { "sha256": artifact.sha256 } });
        if let (Value::Object(map), Some((_, url))) = (&mut dependency, &artifact.pin) {
            map.insert("uri".to_owned(), json!(artifact.purl()));
            map.insert("downloadLocation".to_owned(), json!(url));
        }
        dependency
    });
    let programs = manifest.programs.iter().map(|(name, facts)| {
        json!({
            "name": name,
            "uri": purl::own(name, VERSION),
            "digest": { "sha256": facts.sha256 },
            "annotations": { "compilers": facts.compilers },
        })
    });
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": format!("{HOME}/build/v1"),
                "externalParameters": {
                    "profile": manifest.profile,
                    "image": manifest.image,
                    "arch": manifest.arch,
                    "secure_boot": manifest.secure_boot,
                    "artifacts": { "unpinned": manifest.unpinned, "absent": manifest.absent },
                },
                "internalParameters": { "date": manifest.date },
                "resolvedDependencies": packages.chain(artifacts).chain(programs).collect::<Vec<_>>(),
            },
            "runDetails": { "builder": { "id": HOME, "version": { "imgbuild": VERSION } } },
        },
    })
}
