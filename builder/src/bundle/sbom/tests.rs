use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::bundle::manifest::DiskFacts;
use crate::bundle::programs::ProgramFacts;
use crate::bundle::provenance;
use crate::secure_boot::SignedBy;
use crate::tree::Metadata;
use crate::units::{Arch, Bytes, RootHash, SectorSize, Sha256};

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
    Files: *\nLicense: GPL-2+\n\nFiles: a\nLicense: Expat\n\nFiles: b\nLicense: public-domain\n";

fn package(name: &str, version: &str) -> Package {
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        arch: "amd64".to_owned(),
        sha256: Sha256::of(name.as_bytes()),
        installed: Bytes(10),
    }
}

fn locked(package: &Package) -> LockedPackage {
    LockedPackage {
        name: package.name.clone(),
        version: package.version.clone(),
        arch: package.arch.clone(),
        archive: "debian".to_owned(),
        path: format!("pool/{}.deb", package.name),
        size: Bytes(1),
        sha256: package.sha256,
    }
}

pub(crate) fn manifest() -> Manifest {
    let facts = |name: &str| ProgramFacts {
        size: Bytes(1),
        sha256: Sha256::of(name.as_bytes()),
        compilers: vec!["rustc version 1.95.0".to_owned()],
    };
    Manifest {
        format: crate::bundle::manifest::FORMAT,
        profile: "cloud".to_owned(),
        image: "disk".to_owned(),
        arch: Arch::Amd64,
        debug: false,
        date: Timestamp(1_795_227_046),
        root_hash: RootHash(Sha256::of(b"root")),
        kernel: "6.12".to_owned(),
        command_line: String::new(),
        image_command_line: String::new(),
        secure_boot: SignedBy::Nobody,
        initrd_size: Bytes(0),
        microcode_size: Bytes(0),
        disk: DiskFacts { size: Bytes(0), fs_verity: Sha256::of(b"disk") },
        files: BTreeMap::new(),
        sector_size: SectorSize::B512,
        partitions: Vec::new(),
        packages: vec![package("g++", "4:14.2.0-1"), package("libc6", "2.41-12+b1")],
        boot_packages: vec![package("libc6", "2.41-12+b1"), package("systemd-boot-efi", "257.9-1")],
        artifacts: Vec::new(),
        unpinned: Vec::new(),
        absent: Vec::new(),
        programs: ["firstboot", "stage0"].map(|name| (name.to_owned(), facts(name))).into(),
    }
}

pub(crate) fn with_inventory<T>(manifest: &Manifest, look: impl FnOnce(&Inventory<'_>) -> T) -> T {
    let selection = Selection {
        profile: "cloud".to_owned(),
        arch: Arch::Amd64,
        inputs: Sha256::of(b""),
        date: manifest.date,
        suites: Vec::new(),
        packages: manifest.packages.iter().map(locked).collect(),
        boot_packages: manifest.boot_packages.iter().map(locked).collect(),
        artifacts: vec![LockedArtifact {
            name: "k3s".to_owned(),
            version: "v1+k3s1".to_owned(),
            url: "https://example.org/v1%2Bk3s1/k3s".to_owned(),
            size: None,
            sha256: Sha256::of(b"pinned k3s"),
            evidence: "hashed by us".to_owned(),
        }],
    };
    let mut tree = Tree::default();
    tree.write("usr/share/doc/libc6/copyright", Metadata::FILE, COPYRIGHT.as_bytes().to_vec()).unwrap();
    tree.symlink("usr/share/doc/g++", "libc6").unwrap();
    let info = |name: &str, version: &str, source: &str| DebInfo {
        name: name.to_owned(),
        control: format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\n{source}"),
        ..DebInfo::default()
    };
    let debs = [
        info("g++", "4:14.2.0-1", "Source: gcc-defaults (1.220)\n"),
        info("libc6", "2.41-12+b1", "Source: glibc\n"),
    ];
    let unpacked = Unpacked { tree: &tree, debs: &debs };
    look(&Inventory::new(manifest, &selection, unpacked, Unpacked { debs: &[], ..unpacked }).unwrap())
}

fn packages<'a>(document: &'a Value, list: &str) -> BTreeMap<&'a str, &'a Value> {
    let items = document[list].as_array().unwrap().iter();
    items.map(|item| (item["name"].as_str().unwrap(), item)).collect()
}

#[test]
fn names_source_licence_and_place_of_every_package() {
    with_inventory(&manifest(), |inventory| {
        let shown: Vec<_> = inventory.debs.iter().map(|deb| (deb.name.as_str(), deb.is_in_root)).collect();
        assert_eq!(shown, [("g++", true), ("libc6", true), ("systemd-boot-efi", false)]);
        let document = spdx(inventory);
        let packages = packages(&document, "packages");
        let compiler = packages["g++"];
        assert_eq!(compiler["SPDXID"], "SPDXRef-deb-g-2B-2B-amd64");
        assert_eq!(compiler["sourceInfo"], "built from Debian source package gcc-defaults 1.220");
        assert_eq!(
            compiler["downloadLocation"],
            "http://snapshot.debian.org/archive/debian/20261121T021046Z/pool/g++.deb"
        );
        assert_eq!(compiler["licenseDeclared"], "NOASSERTION");
        assert_eq!(
            compiler["licenseComments"],
            "Debian's copyright file names GPL-2.0-or-later; MIT; public-domain"
        );
        let library = packages["libc6"];
        assert_eq!(library["sourceInfo"], "built from Debian source package glibc 2.41-12+b1");
        assert_eq!(
            library["externalRefs"][0]["referenceLocator"],
            "pkg:deb/debian/libc6@2.41-12%2Bb1?arch=amd64&distro=debian-13"
        );
        let program = packages["firstboot"];
        assert_eq!(program["externalRefs"][0]["referenceLocator"], "pkg:generic/firstboot@0.1.0");
    });
}

#[test]
fn cyclonedx_lists_licences_by_identifier_or_by_name() {
    with_inventory(&manifest(), |inventory| {
        let document = cyclonedx(inventory);
        let components = packages(&document, "components");
        let licences = serde_json::json!([
            { "license": { "id": "GPL-2.0-or-later" } },
            { "license": { "id": "MIT" } },
            { "license": { "name": "public-domain" } },
        ]);
        assert_eq!(components["libc6"]["licenses"], licences);
        assert_eq!(components["systemd-boot-efi"]["licenses"], Value::Null);
        assert_eq!(components["systemd-boot-efi"]["properties"][0]["value"], "boot files");
    });
}

#[test]
fn an_artifact_has_version_and_place_only_where_it_is_the_pinned_file() {
    let artifact = |content: &[u8], pinned: bool| Artifact {
        name: "k3s".to_owned(),
        version: pinned.then(|| "v1+k3s1".to_owned()),
        sha256: Sha256::of(content),
        size: Bytes(10),
        pinned,
        places: Vec::new(),
    };
    let (pinned, other) = (Sha256::of(b"pinned k3s"), Sha256::of(b"another k3s"));
    let purl = format!(
        "pkg:generic/k3s@v1%2Bk3s1?checksum=sha256:{pinned}&download_url=https://example.org/v1%252Bk3s1/k3s"
    );
    let url = "https://example.org/v1%2Bk3s1/k3s";
    let documents = |artifact: Artifact| {
        let manifest =
            Manifest { artifacts: vec![artifact], absent: vec!["tailscale".to_owned()], ..manifest() };
        with_inventory(&manifest, |inventory| {
            [spdx(inventory), cyclonedx(inventory), provenance::statement(inventory)]
        })
    };
    let named = |list: &Value| list.as_array().unwrap().iter().find(|item| item["name"] == "k3s").cloned();

    let [spdx, cyclonedx, statement] = documents(artifact(b"pinned k3s", true));
    let package = named(&spdx["packages"]).unwrap();
    assert_eq!(package["versionInfo"], "v1+k3s1");
    assert_eq!(package["downloadLocation"], url);
    assert_eq!(package["externalRefs"][0]["referenceLocator"], purl);
    assert!(spdx["relationships"].as_array().unwrap().contains(&serde_json::json!({
        "spdxElementId": "SPDXRef-bundle",
        "relationshipType": "CONTAINS",
        "relatedSpdxElement": package["SPDXID"],
    })));
    let component = named(&cyclonedx["components"]).unwrap();
    assert_eq!((&component["version"], &component["purl"]), (&"v1+k3s1".into(), &purl.as_str().into()));
    assert!(cyclonedx["dependencies"][0]["dependsOn"].as_array().unwrap().contains(&component["bom-ref"]));
    let build = &statement["predicate"]["buildDefinition"];
    let dependency = serde_json::json!({
        "name": "k3s", "uri": purl, "digest": { "sha256": pinned }, "downloadLocation": url,
    });
    assert_eq!(named(&build["resolvedDependencies"]).unwrap(), dependency);
    assert_eq!(build["externalParameters"]["artifacts"]["absent"], serde_json::json!(["tailscale"]));

    let [spdx, cyclonedx, statement] = documents(artifact(b"another k3s", false));
    let package = named(&spdx["packages"]).unwrap();
    assert_eq!(package["checksums"][0]["checksumValue"], other.to_string());
    assert_eq!(package["comment"], "Unpinned: another file than the lock names.");
    let component = named(&cyclonedx["components"]).unwrap();
    assert_eq!(component["description"], "Unpinned: another file than the lock names.");
    let dependency = named(&statement["predicate"]["buildDefinition"]["resolvedDependencies"]).unwrap();
    assert_eq!(dependency, serde_json::json!({ "name": "k3s", "digest": { "sha256": other } }));
    for item in [package, component] {
        for key in ["versionInfo", "version", "purl", "externalRefs", "externalReferences"] {
            assert_eq!(item[key], Value::Null, "{key}");
        }
    }
}

#[test]
fn identifiers_change_with_the_content_and_only_with_it() {
    let serial = |manifest: &Manifest| {
        with_inventory(manifest, |inventory| cyclonedx(inventory)["serialNumber"].clone())
    };
    let one = manifest();
    assert_eq!(serial(&one), serial(&one.clone()));
    let mut other = manifest();
    other.packages.pop();
    assert_ne!(serial(&one), serial(&other));
    let name = |manifest: &Manifest| {
        with_inventory(manifest, |inventory| spdx(inventory)["documentNamespace"].clone())
    };
    assert_ne!(name(&one), name(&other));
    assert!(serial(&one).as_str().unwrap().starts_with("urn:uuid:"));
}
