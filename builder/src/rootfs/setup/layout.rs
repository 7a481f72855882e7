//! The shape of the root: merged /usr, mount points, and what must be writable on the node.

use super::{SetupError, Work, words, write_new};
use crate::tree::{Entry, Kind, Metadata, Tree, is_within};
use crate::units::Arch;

/// Mount points and folders that no package needs to bring, with their permission bits.
const FOLDERS: [(&str, u16); 10] = [
    ("boot", 0o755),
    ("dev", 0o755),
    ("efi", 0o755),
    ("etc", 0o755),
    ("proc", 0o555),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
];

/// Folders outside `/var` that people and programs write to, and where they lie instead. The root is
/// read-only, so each becomes a link. Not `/usr/local`: systemd, udev and the shell read it before
/// `/usr`, so that a file there would change the node for good.
const WRITABLE: [(&str, &str, u16); 5] = [
    ("home", "var/home", 0o755),
    ("media", "var/media", 0o755),
    ("mnt", "var/mnt", 0o755),
    ("opt", "var/opt", 0o755),
    ("srv", "var/srv", 0o755),
];

/// root's home is made anew at every boot: its dot files are read by every shell of root.
const ROOT_HOME: (&str, &str) = ("root", "run/root");
/// What it begins with.
const ROOT_FACTORY: &str = "usr/share/factory/root";

/// Stands for base-files (usrmerge, /var/run, /var/lock), libc6's and systemd's checks of the same.
pub(super) fn merged_usr(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    let mut links = vec!["bin", "lib", "sbin"];
    if work.context.profile.arch == Arch::Amd64 {
        // The loader of the x86-64 ABI is /lib64/ld-linux-x86-64.so.2; that of arm64 is in /lib.
        links.push("lib64");
    }
    for link in links {
        let target = format!("usr/{link}");
        tree.directory(&target, Metadata::DIRECTORY)?;
        tree.symlink(link, &target)?;
    }
    for (path, mode) in FOLDERS {
        if tree.get(path).is_none() {
            tree.directory(path, Metadata::root(mode))?;
        }
    }
    for (path, target) in [("var/lock", "../run/lock"), ("var/run", "../run")] {
        tree.symlink(path, target)?;
    }
    Ok(())
}

const DEFAULT_TARGET: &str = "usr/lib/systemd/system/multi-user.target";

/// Files that describe the host to every program. Stands for systemd-resolved, kmod, locales.
pub(super) fn host_files(tree: &mut Tree, work: &mut Work<'_>) -> Result<(), SetupError> {
    write_new(tree, "etc/locale.conf", "LANG=C.UTF-8\n")?;
    if tree.get("etc/mtab").is_none() {
        tree.symlink("etc/mtab", "../proc/self/mounts")?;
    }
    if work.has_package("systemd-resolved") && tree.get("etc/resolv.conf").is_none() {
        tree.symlink("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")?;
    }
    let modules = &work.context.profile.kernel.load_modules;
    if !modules.is_empty() {
        tree.write("etc/modules-load.d/imgbuild.conf", Metadata::FILE, words::lines(modules))?;
    }
    if tree.get(DEFAULT_TARGET).is_some() && tree.get("etc/systemd/system/default.target").is_none() {
        tree.symlink("etc/systemd/system/default.target", &format!("/{DEFAULT_TARGET}"))?;
    }
    Ok(())
}

/// Moves what lies in [`WRITABLE`] folders below `/var` and leaves links; tmpfiles.d lines of
/// packages follow, for systemd-tmpfiles refuses to make a directory where a link is.
pub(super) fn writable(tree: &mut Tree, _work: &mut Work<'_>) -> Result<(), SetupError> {
    for (path, target, mode) in WRITABLE {
        move_folder(tree, path, target, mode)?;
        tree.symlink(path, target)?;
    }
    let (path, target) = ROOT_HOME;
    move_folder(tree, path, ROOT_FACTORY, 0o700)?;
    tree.symlink(path, target)?;
    let line = format!("C /{target} 0700 root root - /{ROOT_FACTORY}\n");
    tree.write("usr/lib/tmpfiles.d/imgbuild-root.conf", Metadata::FILE, line)?;
    follow_in_tmpfiles(tree)
}

fn move_folder(tree: &mut Tree, path: &str, target: &str, mode: u16) -> Result<(), SetupError> {
    let moved: Vec<(String, Entry)> =
        tree.below(path).map(|(path, entry)| (path.to_owned(), entry.clone())).collect();
    let metadata = match tree.get(path) {
        Some(Entry { metadata, kind: Kind::Directory }) => *metadata,
        _ => Metadata::root(mode),
    };
    tree.remove(path);
    tree.directory(target, metadata)?;
    for (from, entry) in moved {
        tree.insert(&format!("{target}{}", &from[path.len()..]), entry)?;
    }
    Ok(())
}

fn follow_in_tmpfiles(tree: &mut Tree) -> Result<(), SetupError> {
    let mut changed = Vec::new();
    for (path, text) in super::configuration(tree, "tmpfiles.d", ".conf") {
        let lines = words::lines(text.lines().map(follow_line));
        if lines != text {
            changed.push((path.to_owned(), lines));
        }
    }
    for (path, text) in changed {
        tree.write(&path, Metadata::FILE, text)?;
    }
    Ok(())
}

fn follow_line(line: &str) -> String {
    let Some(path) = words::split(line).and_then(|words| words.into_iter().nth(1)) else {
        return line.to_owned();
    };
    let moved = WRITABLE.iter().map(|(from, to, _)| (*from, *to));
    for (from, to) in moved.chain([ROOT_HOME]) {
        if path.strip_prefix('/').is_some_and(|path| is_within(path, from)) && !line.starts_with('#') {
            return line.replacen(&format!("/{from}"), &format!("/{to}"), 1);
        }
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::reserved::reserved;

    #[test]
    fn no_profile_gives_what_leads_to_the_state_partition() {
        for (path, target, _) in WRITABLE {
            let reason = reserved(path).map(|reserved| reserved.reason).unwrap_or_default();
            assert!(reason.starts_with(&format!("`/{path}` leads to `/{target}`")), "{path}: {reason}");
        }
    }

    #[test]
    fn tmpfiles_lines_follow_moved_folders() {
        let cases = [
            ("Q /home 0755 - - -", "Q /var/home 0755 - - -"),
            ("d- /root/.ssh :0700 root :root -", "d- /run/root/.ssh :0700 root :root -"),
            ("d /rootless 0755 - - -", "d /rootless 0755 - - -"),
            ("d /var/home 0755 - - -", "d /var/home 0755 - - -"),
            ("# d /home", "# d /home"),
            ("d /usr/local/bin 0755", "d /usr/local/bin 0755"),
        ];
        for (line, expected) in cases {
            assert_eq!(follow_line(line), expected);
        }
    }
}
