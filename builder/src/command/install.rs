//! `imgbuild install`: puts the program, node programs, man pages and completions below a prefix.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde::Serialize;

use super::{Cli, Context};
use crate::bundle::programs::{Programs, ProgramsError};
use crate::units::Arch;

/// Arguments of `install`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder to install below
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Installed<'a> {
    prefix: &'a Path,
    files: Vec<&'a Path>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let prefix = &arguments.prefix;
    let program = std::env::current_exe().context("finding the running program")?;
    let imgbuild = fs::read(&program).with_context(|| format!("reading `{}`", program.display()))?;
    let mut files = vec![(prefix.join("bin/imgbuild"), imgbuild, 0o755)];
    let found: Vec<_> = [Arch::Amd64, Arch::Arm64].map(|arch| (arch, Programs::find(arch))).into();
    if found.iter().all(|(_, programs)| matches!(programs, Err(ProgramsError::NotFound { .. }))) {
        anyhow::bail!("no node programs are built for any architecture");
    }
    for (arch, programs) in found {
        let programs = match programs {
            Ok(programs) => programs,
            // An architecture that was not built is simply not installed.
            Err(ProgramsError::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let folder = prefix.join("lib/imgbuild").join(arch.debian());
        files.push((folder.join("firstboot"), programs.firstboot.to_vec(), 0o755));
        files.push((folder.join("stage0"), programs.stage0.to_vec(), 0o755));
    }
    files.extend(man_pages(&prefix.join("share/man/man1"))?);
    files.extend(completions(prefix));
    for (path, content, mode) in &files {
        install(path, content, *mode).with_context(|| format!("installing `{}`", path.display()))?;
    }
    if context.printer.is_json() {
        let files = files.iter().map(|(path, ..)| path.as_path()).collect();
        return Ok(context.printer.json(&Installed { prefix, files })?);
    }
    Ok(context.printer.data(&format!("installed {} files below {}\n", files.len(), prefix.display()))?)
}

type File = (PathBuf, Vec<u8>, u32);

fn man_pages(folder: &Path) -> anyhow::Result<Vec<File>> {
    let mut command = Cli::command();
    command.build();
    let subcommands = command.get_subcommands().map(|subcommand| {
        let name = format!("imgbuild-{}", subcommand.get_name());
        subcommand.clone().name(name)
    });
    let commands: Vec<clap::Command> = std::iter::once(command.clone()).chain(subcommands).collect();
    let mut pages = Vec::new();
    for command in commands {
        let name = format!("{}.1", command.get_name());
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).with_context(|| format!("rendering `{name}`"))?;
        pages.push((folder.join(name), page, 0o644));
    }
    Ok(pages)
}

fn completions(prefix: &Path) -> Vec<File> {
    let places = [
        (Shell::Bash, "share/bash-completion/completions/imgbuild"),
        (Shell::Zsh, "share/zsh/site-functions/_imgbuild"),
        (Shell::Fish, "share/fish/vendor_completions.d/imgbuild.fish"),
    ];
    let mut files = Vec::new();
    for (shell, path) in places {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "imgbuild", &mut script);
        files.push((prefix.join(path), script, 0o644));
    }
    files
}

/// Replaces the file at once: a running program keeps its own.
fn install(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let folder = path.parent().context("an installed file has a folder")?;
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, content)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.persist(path)?;
    Ok(())
}
