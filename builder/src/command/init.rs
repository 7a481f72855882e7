//! `imgbuild init`: a folder, ready for Git, with a cluster file that is valid as it stands and the cluster's identity.

mod host;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use thiserror::Error;

use super::failure::Note as _;
use super::identity::{Opening, generate};
use super::{Context, file};
use crate::cluster::{DnsLabel, FILE_NAME, SshKey, TimeZone};
use crate::identity::FILE as IDENTITY;

/// The cluster file; `@…@` is filled in.
const TEMPLATE: &str = include_str!("init/cluster.toml");
/// What Git is to leave alone.
const GITIGNORE: &str = include_str!("init/gitignore");

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder to make or to fill
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Make no identity; `imgbuild identity create` makes one later
    #[arg(long)]
    no_identity: bool,
    #[command(flatten)]
    opening: Opening,
}

/// The folder has a cluster file.
#[derive(Debug, Error)]
#[error("`{}` is there already; nothing was changed", path.display())]
struct Exists {
    path: PathBuf,
}

/// What `--json` prints: the folder and its files, by what became of them.
#[derive(Debug, Default, Serialize)]
struct Made {
    folder: PathBuf,
    wrote: Vec<PathBuf>,
    kept: Vec<PathBuf>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let directory = &arguments.directory;
    let place = |name: &str| if directory == Path::new(".") { name.into() } else { directory.join(name) };
    let cluster_file: PathBuf = place(FILE_NAME);
    if cluster_file.symlink_metadata().is_ok() {
        return Err(exists(&cluster_file));
    }
    std::fs::create_dir_all(directory).map_err(|error| no_directory(directory, error))?;
    let cluster = cluster_name(directory);
    let text = fill(&cluster, &host::time_zone(), &host::ssh_keys());
    // Before anything is written: it may have to be asked for.
    let identity_file: PathBuf = place(IDENTITY);
    // One that is there stays, even if nothing opens it.
    let is_there = identity_file.symlink_metadata().is_ok();
    let identity = if is_there || arguments.no_identity {
        None
    } else {
        let protection = arguments.opening.new_protection(&cluster, directory, context)?;
        Some(generate(&cluster)?.encrypt(&identity_file, &protection)?)
    };

    let mut made = Made { folder: directory.clone(), ..Made::default() };
    if is_there {
        context.printer.note(&format!("kept {}", identity_file.display()));
        made.kept.push(identity_file.clone());
    }
    // The cluster file comes last: while it is missing, `init` can be run again.
    let files = [(".gitignore", Some(GITIGNORE.as_bytes())), (IDENTITY, identity.as_deref())];
    for (name, content) in files.into_iter().chain([(FILE_NAME, Some(text.as_bytes()))]) {
        let path: PathBuf = place(name);
        let Some(bytes) = content else { continue };
        let is_new = file::create(&path, bytes).with_context(|| format!("writing `{}`", path.display()))?;
        match (is_new, name == FILE_NAME) {
            (true, _) => {
                context.printer.note(&format!("wrote {}", path.display()));
                made.wrote.push(path);
            }
            (false, true) => return Err(exists(&cluster_file)),
            (false, false) => {
                context.printer.note(&format!("kept {}", path.display()));
                made.kept.push(path);
            }
        }
    }
    if identity.is_some() && made.wrote.contains(&identity_file) {
        context.printer.note(&backup(&identity_file));
    }
    context.printer.note(&next_commands(directory));
    if context.printer.is_json() { Ok(context.printer.json(&made)?) } else { Ok(()) }
}

/// What must be known of an identity before it is needed.
fn backup(path: &Path) -> String {
    format!(
        "\n{} is the cluster: who loses it, or what opens it, loses the cluster, as nothing in it can be made\n\
         again. It is encrypted and belongs in Git; keep a copy of what opens it elsewhere, apart from it.",
        path.display()
    )
}

fn exists(path: &Path) -> anyhow::Error {
    anyhow::Error::new(Exists { path: path.to_owned() })
        .input()
        .hint("`imgbuild check` shows what it describes; `imgbuild init DIR` begins elsewhere")
}

/// A file of that name is a slip on the command line; a full disk is not.
fn no_directory(directory: &Path, error: io::Error) -> anyhow::Error {
    let is_input = error.kind() == io::ErrorKind::AlreadyExists;
    let error = anyhow::Error::new(error).context(format!("making `{}`", directory.display()));
    if is_input { error.input() } else { error }
}

/// The folder's name where it makes a cluster name.
fn cluster_name(directory: &Path) -> DnsLabel {
    let absolute = std::path::absolute(directory).unwrap_or_default();
    absolute
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.to_ascii_lowercase().parse().ok())
        .unwrap_or_else(|| "cluster".parse().expect("`cluster` is a DNS label"))
}

fn fill(name: &DnsLabel, zone: &TimeZone, keys: &[SshKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("    {},\n", quoted(key.as_str()))).collect();
    let keys = if keys.is_empty() { String::new() } else { format!("\n{}", keys.concat()) };
    TEMPLATE
        .replace("@name@", &quoted(name.as_str()))
        .replace("@time-zone@", &quoted(zone.as_str()))
        .replace("@ssh-keys@", &keys)
}

/// A TOML string, escaped: a key's comment may hold anything.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn next_commands(directory: &Path) -> String {
    let step = if directory == Path::new(".") {
        "edit cluster.toml, then:\n".to_owned()
    } else {
        format!("edit {}, then:\n  cd {}\n", directory.join(FILE_NAME).display(), shell_quoted(directory))
    };
    let commands = [
        ("imgbuild check", "every fault, or what the file describes"),
        ("imgbuild lock", "choose package versions"),
        ("imgbuild build cloud", "make the image of the control plane"),
    ];
    let lines: Vec<_> =
        commands.iter().map(|(command, purpose)| format!("  {command:22}# {purpose}")).collect();
    format!("\n{step}{}", lines.join("\n"))
}

/// The path as a shell takes it back.
fn shell_quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c)) && !text.starts_with('-');
    if is_plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Available, Cluster};

    #[test]
    fn writes_a_valid_file_from_whatever_the_host_has() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f \"a\"\\b";
        let zone: TimeZone = "Europe/Berlin".parse().unwrap();
        for keys in [vec![], vec![key.parse().unwrap()], vec![key.parse().unwrap(); 1]] {
            let text = fill(&"lab".parse().unwrap(), &zone, &keys);
            let available =
                Available { profiles: vec!["cloud".into(), "edge".into()], images: vec!["disk".into()] };
            let cluster = Cluster::parse(&text, Path::new(FILE_NAME), &available).unwrap();
            assert_eq!(cluster.name.as_str(), "lab");
            assert_eq!(cluster.ssh_keys, keys);
            assert_eq!(cluster.time_zone, zone);
            assert!(!text.contains('@') || text.contains("git@"), "{text}");
        }
    }

    #[test]
    fn quotes_folders_for_the_shell() {
        for (path, quoted) in [("lab", "lab"), ("my lab", "'my lab'"), ("it's", r"'it'\''s'"), ("-x", "'-x'")]
        {
            assert_eq!(shell_quoted(Path::new(path)), quoted);
        }
    }
}
