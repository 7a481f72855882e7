//! SPDX 2.3 in JSON: <https://spdx.github.io/spdx-spec/v2.3/>.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::crates::Crate;
use super::{Deb, Download, HOME, Inventory, VERSION, identified, purl};
use crate::units::Sha256;

/// What nobody has asserted (7.7 and others).
const NOASSERTION: &str = "NOASSERTION";
/// The element that everything is in.
const BUNDLE: &str = "SPDXRef-bundle";

/// The document.
pub fn spdx(inventory: &Inventory<'_>) -> Value {
    let packages = packages(inventory);
    let relationships = relationships(inventory);
    identified(|uuid| {
        json!({
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": inventory.name(),
            "documentNamespace": format!("{HOME}/spdx/{}/{uuid}", inventory.name()),
            "creationInfo": {
                "created": inventory.manifest.date,
                "creators": [format!("Tool: imgbuild-{VERSION}")],
            },
            "packages": packages,
            "relationships": relationships,
        })
    })
}

fn packages(inventory: &Inventory<'_>) -> Vec<Value> {
    let manifest = inventory.manifest;
    let mut packages = vec![json!({
        "SPDXID": BUNDLE,
        "name": inventory.name(),
        "versionInfo": manifest.root_hash,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": false,
        "checksums": checksums(manifest.root_hash.0),
        "comment": "The checksum is the root hash of the root file system.",
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": NOASSERTION,
        "copyrightText": NOASSERTION,
    })];
    packages.extend(inventory.debs.iter().map(debian));
    packages.extend(inventory.artifacts.iter().map(artifact));
    for (name, facts) in &manifest.programs {
        let mut program = own(&program_id(name), name, "APPLICATION", VERSION);
        put(&mut program, "checksums", checksums(facts.sha256));
        put(&mut program, "comment", json!(facts.compilers.join("; ")));
        packages.push(program);
    }
    packages.push(own("SPDXRef-imgbuild", "imgbuild", "APPLICATION", VERSION));
    packages.extend(inventory.crates.iter().map(crate_package));
    packages
}

fn debian(deb: &Deb) -> Value {
    let (source, version) = &deb.source;
    let mut package = json!({
        "SPDXID": deb_id(deb),
        "name": deb.name,
        "versionInfo": deb.version,
        "supplier": "Organization: Debian",
        "downloadLocation": if deb.url.is_empty() { NOASSERTION } else { &deb.url },
        "filesAnalyzed": false,
        "checksums": checksums(deb.sha256),
        "sourceInfo": format!("built from Debian source package {source} {version}"),
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": deb.licences.expression().unwrap_or_else(|| NOASSERTION.to_owned()),
        "copyrightText": NOASSERTION,
        "externalRefs": [reference(&deb.purl())],
    });
    if !deb.licences.named.is_empty() {
        let all: Vec<&str> =
            deb.licences.known.iter().chain(&deb.licences.named).map(String::as_str).collect();
        put(
            &mut package,
            "licenseComments",
            json!(format!("Debian's copyright file names {}", all.join("; "))),
        );
    }
    package
}

fn artifact(download: &Download) -> Value {
    let mut package = json!({
        "SPDXID": artifact_id(download),
        "name": download.name,
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": false,
        "checksums": checksums(download.sha256),
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": NOASSERTION,
        "copyrightText": NOASSERTION,
    });
    if let (Some((version, url)), Some(purl)) = (&download.pin, download.purl()) {
        put(&mut package, "versionInfo", json!(version));
        put(&mut package, "downloadLocation", json!(url));
        put(&mut package, "externalRefs", json!([reference(&purl)]));
    } else {
        put(&mut package, "comment", json!(Download::UNPINNED));
    }
    package
}

fn crate_package(item: &Crate) -> Value {
    let id = crate_id(item);
    let Some(sha256) = item.sha256 else {
        return own(&id, &item.name, "LIBRARY", &item.version);
    };
    json!({
        "SPDXID": id,
        "name": item.name,
        "versionInfo": item.version,
        "primaryPackagePurpose": "LIBRARY",
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": false,
        "checksums": checksums(sha256),
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": NOASSERTION,
        "copyrightText": NOASSERTION,
        "externalRefs": [reference(&purl::cargo(&item.name, &item.version))],
    })
}

/// A program or crate of this project.
fn own(id: &str, name: &str, purpose: &str, version: &str) -> Value {
    json!({
        "SPDXID": id,
        "name": name,
        "versionInfo": version,
        "primaryPackagePurpose": purpose,
        "downloadLocation": format!("git+{HOME}"),
        "filesAnalyzed": false,
        "licenseConcluded": NOASSERTION,
        "licenseDeclared": env!("CARGO_PKG_LICENSE"),
        "copyrightText": NOASSERTION,
        "externalRefs": [reference(&purl::own(name, version))],
    })
}

fn relationships(inventory: &Inventory<'_>) -> Vec<Value> {
    let relation = |from: &str, kind: &str, to: &str| json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to });
    let mut all = vec![
        relation("SPDXRef-DOCUMENT", "DESCRIBES", BUNDLE),
        relation("SPDXRef-imgbuild", "BUILD_TOOL_OF", BUNDLE),
    ];
    all.extend(inventory.debs.iter().map(|deb| relation(BUNDLE, "CONTAINS", &deb_id(deb))));
    all.extend(inventory.artifacts.iter().map(|item| relation(BUNDLE, "CONTAINS", &artifact_id(item))));
    let linked: BTreeSet<&str> = inventory.manifest.programs.keys().map(String::as_str).collect();
    for name in linked {
        all.push(relation(BUNDLE, "CONTAINS", &program_id(name)));
        // Both programs are made of the crate `firstboot`.
        let library = inventory.crates.iter().find(|item| item.name == "firstboot");
        all.extend(library.map(|item| relation(&program_id(name), "STATIC_LINK", &crate_id(item))));
    }
    for item in inventory.crates {
        let needed = item.dependencies.iter().filter_map(|index| inventory.crates.get(*index));
        all.extend(needed.map(|other| relation(&crate_id(item), "DEPENDS_ON", &crate_id(other))));
    }
    all
}

fn put(package: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = package {
        map.insert(key.to_owned(), value);
    }
}

fn checksums(sha256: Sha256) -> Value {
    json!([{ "algorithm": "SHA256", "checksumValue": sha256 }])
}

fn reference(purl: &str) -> Value {
    json!({ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl })
}

fn deb_id(deb: &Deb) -> String {
    format!("SPDXRef-deb-{}-{}", plain(&deb.name), plain(&deb.arch))
}

fn artifact_id(download: &Download) -> String {
    format!("SPDXRef-artifact-{}", plain(&download.name))
}

fn program_id(name: &str) -> String {
    format!("SPDXRef-program-{}", plain(name))
}

fn crate_id(item: &Crate) -> String {
    format!("SPDXRef-crate-{}-{}", plain(&item.name), plain(&item.version))
}

/// Identifiers have letters, digits, `.` and `-` (3.2); all else becomes its code, in capitals that no package name has.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') {
            plain.push(char::from(byte));
        } else {
            let _ = write!(plain, "-{byte:02X}");
        }
    }
    plain
}
