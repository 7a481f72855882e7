//! No secret of an identity is in anything that others get to see, and one that was would be found.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgbuild::bundle::manifest;
use imgbuild::derived::NoCache;
use imgbuild::format::{cpio, erofs, uki};
use imgbuild::identity::Named;
use imgbuild::identity::search::Search;
use imgbuild::process::Program;
use imgbuild::tree::{Metadata, Tree};
use imgbuild::units::Timestamp;
use machine::{Bundle, Disk, Inspection, Scene, free_port};

/// For one command; a build has its own.
const DEADLINE: Duration = Duration::from_mins(5);
const PROFILE: &str = "cloud-debug";

#[test]
fn no_secret_of_the_identity_is_in_an_image_a_record_or_a_log() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let mut joining = scene.joining_cluster("secrets", free_port()?, 1)?;
    said(joining.imgbuild(&scene).arguments(["identity", "secure-boot"]))?;
    joining.reopen()?;
    let bundle = joining.build(PROFILE, &scene)?;
    ensure!(bundle.file("manifest.json.sig").exists(), "the manifest is not signed by the identity");
    let (secrets, search) = (joining.secrets(), joining.search()?);
    // Of each kind at least one: a list that became short would be a search for nothing.
    for name in [
        "manifest signing key",
        "Secure Boot db key",
        "ticket key",
        "root CA key",
        "sealing key",
        "server password",
    ] {
        ensure!(secrets.iter().any(|(own, _)| own == name), "`{name}` is none of the secrets");
    }
    every_secret_is_found_in_every_form(&secrets, &search)?;

    let mut inspection = Inspection::new(&search);
    // The cluster file, its lock, the encrypted identity; the build with manifest, SBOMs, provenance, root, UKI.
    inspection.folder(joining.folder())?;
    let disk = Disk::of(&bundle, &scene)?;
    inspection.disk(&disk)?;
    ensure!(inspection.looked > 1000, "no more than {} things were looked through", inspection.looked);
    let scratch = tempfile::tempdir_in(scene.folder()).context("making a folder")?;
    for node in ["cp1", "edge1"] {
        // As by `imgbuild boot` and in user data: the record, the cluster record, ticket or one-time key.
        joining.power(node, scratch.path())?;
    }
    inspection.folder(scratch.path())?;
    for command in [
        &["build", PROFILE, "--without-artifacts", "--verbose"][..],
        &["check", "--json"],
        &["identity", "show"],
        &["identity", "show", "--json"],
        &["record", "cp1"],
        &["record", "edge1", "--signed"],
        &["record", "--cluster"],
        &["ticket", "edge1", "--json"],
    ] {
        let log = said(joining.imgbuild(&scene).arguments(command))?;
        ensure!(!log.is_empty(), "`{}` says nothing", command.join(" "));
        inspection.content(&format!("what `imgbuild {}` says", command.join(" ")), log.as_bytes())?;
    }
    inspection.check()?;
    a_planted_secret_is_found(&secrets, &search, &bundle, &disk, scratch.path())
}

/// Runs it to its good end; returns what it said on either output.
fn said(program: Program) -> anyhow::Result<String> {
    let mut running = program.start()?;
    let status = running.wait(DEADLINE)?;
    if !status.success() {
        return Err(running.ended_badly(status).into());
    }
    running.said().context("reading what a program said")
}

/// The three forms that are looked for.
fn forms(secret: &[u8]) -> [Vec<u8>; 3] {
    let digits: Vec<_> = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    [secret.to_vec(), digits.concat().into_bytes(), STANDARD.encode(secret).into_bytes()]
}

fn every_secret_is_found_in_every_form(secrets: &[Named], search: &Search) -> anyhow::Result<()> {
    for (name, secret) in secrets {
        for (written, form) in forms(secret).iter().zip(["as it is", "in hexadecimal digits", "in base64"]) {
            let mut inspection = Inspection::new(search);
            inspection.content("a text", &[b"before ", &written[..], b" after"].concat())?;
            let is_found = |line: &String| line.contains(&format!("{name} {form}"));
            ensure!(inspection.findings.iter().any(is_found), "{name} {form}: {:?}", inspection.findings);
        }
    }
    Ok(())
}

/// One in each kind of place, each in each form, by the search that has found none before.
fn a_planted_secret_is_found(
    secrets: &[Named],
    search: &Search,
    bundle: &Bundle,
    disk: &Disk,
    scratch: &Path,
) -> anyhow::Result<()> {
    let mut secrets = secrets.iter().cycle();
    let mut next = || secrets.next().map(|(_, secret)| forms(secret)).context("there is no secret");
    let check = |place: &str, content: &[u8]| {
        let mut inspection = Inspection::new(search);
        inspection.content("planted", content)?;
        let is_there = inspection.findings.iter().any(|line| line.starts_with(&format!("planted{place}: ")));
        ensure!(is_there, "nothing is found in planted{place}, but: {:?}", inspection.findings);
        Ok(())
    };
    for written in next()? {
        check(": usr/share/planted", &root_with(&written, bundle)?)?;
    }
    for written in next()? {
        check(": zstd: usr/share/planted", &zstd::encode_all(&*archive_with(&written)?, 3)?)?;
    }
    let boot_program = fs::read(bundle.file("os.efi")).context("reading the UKI")?;
    for section in [".cmdline", ".osrel"] {
        for written in next()? {
            check(&format!(": {section}"), &section_with(&boot_program, section, &written)?)?;
        }
    }
    let manifest = fs::read_to_string(bundle.file(manifest::FILE)).context("reading the manifest")?;
    for text in [&manifest, "a line of a log\nanother\n", "{ \"version\": 1 }"] {
        for written in next()? {
            check("", &[text.as_bytes(), &written].concat())?;
        }
    }
    for (index, written) in next()?.into_iter().enumerate() {
        let file = scratch.join("planted");
        fs::write(&file, [&b"before "[..], &written].concat()).context("writing a file for the ESP")?;
        disk.put_on_esp(&file, &format!("firstboot/planted-{index}"))?;
    }
    let mut inspection = Inspection::new(search);
    inspection.disk(disk)?;
    for index in 0..3 {
        let is_found = |line: &String| line.contains(&format!(": firstboot/planted-{index}: "));
        ensure!(inspection.findings.iter().any(is_found), "{index}: {:?}", inspection.findings);
    }
    // Three in the disk as a whole, three in the files.
    ensure!(inspection.findings.len() == 6, "{:?}", inspection.findings);
    Ok(())
}

/// Compressed as roots are, in a file that is worth it.
fn root_with(written: &[u8], bundle: &Bundle) -> anyhow::Result<Vec<u8>> {
    let options = erofs::Options {
        timestamp: Timestamp(0),
        uuid: bundle.manifest.root_hash.0.uuid(),
        volume_name: "root".to_owned(),
        compression: Some(erofs::Algorithm::Lz4Hc.into()),
    };
    let mut image = Vec::new();
    erofs::write(&tree_with(written)?, &options, &NoCache, &mut image)?;
    Ok(image)
}

fn archive_with(written: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut archive = Vec::new();
    let options = cpio::Options { timestamp: Timestamp(0), console: false };
    cpio::write(&tree_with(written)?, &options, &mut archive)?;
    Ok(archive)
}

fn tree_with(written: &[u8]) -> anyhow::Result<Tree> {
    let text = b"words that come again and again, ".repeat(1000);
    let mut tree = Tree::default();
    tree.write("usr/share/other", Metadata::FILE, text.clone())?;
    tree.write("usr/share/planted", Metadata::FILE, [&text, written, &text].concat())?;
    Ok(tree)
}

/// The same program with a secret in place of the beginning of a section.
fn section_with(program: &[u8], name: &str, written: &[u8]) -> anyhow::Result<Vec<u8>> {
    let section = uki::sections(program)?.into_iter().find(|section| section.name == name);
    let section = section.with_context(|| format!("the UKI has no section `{name}`"))?;
    let mut changed = program.to_vec();
    let start = usize::try_from(section.offset)?;
    let length = written.len().min(usize::try_from(section.size)?);
    let place = changed.get_mut(start..start + length).context("the section is in the file")?;
    place.copy_from_slice(written.get(..length).context("the secret is as long")?);
    Ok(changed)
}
