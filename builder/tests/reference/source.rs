//! Pages made from the doc comments of constants and fields, which are the one place that says what they mean.

use std::fmt::Write as _;

/// A documented item of a source file.
struct Item {
    /// The line that follows the comment and attributes.
    line: String,
    doc: String,
    /// The name that serde writes instead.
    rename: Option<String>,
}

/// Every line below a `///` comment; attributes between them are passed over, but for serde's names.
fn items(source: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut doc, mut rename) = (String::new(), None);
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            let separator = if doc.is_empty() { "" } else { " " };
            doc = format!("{doc}{separator}{}", comment.trim());
        } else if line.starts_with("#[") {
            let name = line.split_once("rename = \"").and_then(|(_, rest)| rest.split('"').next());
            rename = name.map(str::to_owned).or(rename);
        } else if !doc.is_empty() {
            let doc = std::mem::take(&mut doc);
            items.push(Item { line: line.to_owned(), doc, rename: rename.take() });
        }
    }
    items
}

pub(crate) fn environment(source: &str) -> String {
    let mut text =
        "# Environment variables\n\nMade from `builder/src/environment.rs`.\n\n| | |\n|---|---|\n".to_owned();
    for item in items(source).iter().filter(|item| item.line.starts_with("pub const")) {
        let name = item.line.split('"').nth(1).unwrap_or_else(|| panic!("no string: {}", item.line));
        let _ = writeln!(text, "| `{name}` | {} |", item.doc);
    }
    let module: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let rest =
        module.join("\n").split_once("\n\n").map(|(_, rest)| rest.replace("\n ", "\n")).unwrap_or_default();
    format!("{text}\n{}\n", rest.trim())
}

pub(crate) fn build_folder(manifest: &str, programs: &str, facts: &str, timings: &str) -> String {
    let mut text = "# Build folder\n\nMade from the types that write it.\n\n\
        | file | holds |\n|---|---|\n\
        | `disk.raw` | the disk image, sparse: write it to a disk as it is |\n\
        | `os.efi` | the UKI: kernel, initrd and command line in one EFI program |\n\
        | `root.erofs` | the root file system |\n\
        | `root.verity` | its dm-verity hash tree, with superblock |\n\
        | `sbom.spdx.json` | what it is made of, in SPDX 2.3 |\n\
        | `sbom.cdx.json` | the same in CycloneDX 1.6 |\n\
        | `provenance.json` | what it was made from: an in-toto statement with SLSA provenance v1 |\n\
        | `manifest.json` | what all of these are; a function of the inputs only |\n\
        | `manifest.json.sig` | who says so: an OpenSSH signature over the manifest, where the cluster has an identity |\n\
        | `build.json` | how long it took; differs from build to build |\n"
        .to_owned();
    text += "\nSizes are in bytes, digests in hexadecimal.\n";
    for (title, source, kind) in [
        ("manifest.json", manifest, "Manifest"),
        ("manifest.json: `disk`", manifest, "DiskFacts"),
        ("manifest.json: each of `files`", manifest, "FileFacts"),
        ("manifest.json: each of `partitions`", manifest, "Partition"),
        ("manifest.json: each of `packages` and `boot_packages`", manifest, "Package"),
        ("manifest.json: each of `artifacts`", manifest, "Artifact"),
        ("manifest.json: each of `programs`", programs, "ProgramFacts"),
        ("build.json", facts, "BuildFacts"),
        ("build.json: each of `files`", facts, "Stamp"),
        ("build.json: each of `stages`", timings, "Stage"),
    ] {
        let _ = write!(text, "\n## {title}\n\n{}", fields(source, kind));
    }
    text
}

fn fields(source: &str, kind: &str) -> String {
    let (_, body) = source.split_once(&format!("struct {kind} {{\n")).unwrap_or_else(|| panic!("no {kind}"));
    let (body, _) = body.split_once("\n}").unwrap_or_else(|| panic!("{kind} has no end"));
    let mut text = "| key | means |\n|---|---|\n".to_owned();
    let mut documented = 0;
    for item in items(body) {
        let name = item.line.trim_start_matches("pub ").split(':').next().unwrap_or_default().to_owned();
        let _ = writeln!(text, "| `{}` | {} |", item.rename.unwrap_or(name), item.doc);
        documented += 1;
    }
    let all = body.lines().filter(|line| line.ends_with(',') && line.contains(": ")).count();
    assert_eq!(documented, all, "a field of {kind} says nothing");
    text
}
