//! What independent libraries say of SBOMs and provenance.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgbuild::bundle::{manifest, provenance, sbom};
use imgbuild::process::Program;
use machine::{Scene, oracle};

/// Validators are slow in Python, but not that slow.
const DEADLINE: Duration = Duration::from_mins(2);

/// Asks the judges about the documents in `folder`.
fn judge(folder: &Path) -> anyhow::Result<Program> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = checkout.join("target/judges/bin/python");
    ensure!(
        python.is_file(),
        "`{}` is missing; `tests/setup/judges.sh target/judges` makes it",
        python.display()
    );
    let script = checkout.join("tests/core/judge.py");
    Ok(Program::new("judging documents", python).argument(script).argument(folder))
}

#[test]
fn independent_libraries_accept_the_documents() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("cloud")?;
    judge(&bundle.folder)?.output(DEADLINE)?;

    let scratch = tempfile::tempdir_in(scene.folder()).context("making a folder")?;
    let names = [sbom::SPDX, sbom::CYCLONEDX, provenance::FILE];
    // The judges can say no.
    for (name, from, to) in [
        (sbom::SPDX, "\"SPDXID\": \"SPDXRef-bundle\"", "\"SPDXID\": \"SPDXRef bundle\""),
        (
            sbom::SPDX,
            "\"relatedSpdxElement\": \"SPDXRef-bundle\"",
            "\"relatedSpdxElement\": \"SPDXRef-none\"",
        ),
        (sbom::CYCLONEDX, "\"bomFormat\": \"CycloneDX\"", "\"bomFormat\": \"Other\""),
        (
            sbom::CYCLONEDX,
            "\"purl\": \"pkg:deb/debian/base-files@",
            "\"purl\": \"pkg:deb/debian/base%2Dfiles@",
        ),
        (provenance::FILE, "https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0"),
    ] {
        for name in names {
            fs::copy(bundle.file(name), scratch.path().join(name)).context("copying a document")?;
        }
        let path = scratch.path().join(name);
        let text = fs::read_to_string(&path).context("reading a document")?;
        let changed = text.replacen(from, to, 1);
        ensure!(changed != text, "`{name}` does not have `{from}`");
        fs::write(&path, changed).context("changing a document")?;
        let status = judge(scratch.path())?.status(DEADLINE)?;
        ensure!(status.code() == Some(1), "with `{to}` in `{name}` the judges end with {status}");
    }
    Ok(())
}

/// Packages and artifacts of the manifest are all in each document, by their digests.
#[test]
fn documents_name_every_package_of_the_manifest() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build("cloud")?;
    let manifest = &bundle.manifest;
    for name in [sbom::SPDX, sbom::CYCLONEDX, provenance::FILE] {
        let text = fs::read_to_string(bundle.file(name)).context("reading a document")?;
        for package in manifest.packages.iter().chain(&manifest.boot_packages) {
            ensure!(text.contains(&package.sha256.to_string()), "`{name}` lacks {}", package.name);
        }
        ensure!(!manifest.artifacts.is_empty(), "there is no artifact to look for");
        for artifact in &manifest.artifacts {
            ensure!(text.contains(&artifact.sha256.to_string()), "`{name}` lacks {}", artifact.name);
        }
        for (program, facts) in &manifest.programs {
            ensure!(text.contains(&facts.sha256.to_string()), "`{name}` lacks {program}");
        }
    }
    let digest = oracle::fs_verity(&bundle.file(manifest::DISK))?;
    let text = fs::read_to_string(bundle.file(provenance::FILE)).context("reading the provenance")?;
    ensure!(text.contains(&digest), "the provenance is not about {digest}");
    Ok(())
}
