//! What the host knows of its user: time zone and SSH keys.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::{SshKey, TimeZone};
use crate::environment;

/// `TZ`, else what `/etc/localtime` points to, else `/etc/timezone`, else UTC.
pub(super) fn time_zone() -> TimeZone {
    zone_of_user()
        .or_else(|| zone_of_link(&fs::read_link("/etc/localtime").ok()?))
        .or_else(|| fs::read_to_string("/etc/timezone").ok()?.trim().parse().ok())
        .unwrap_or_else(|| "Etc/UTC".parse().expect("`Etc/UTC` is a zone name"))
}

/// POSIX allows a colon before a file's name.
fn zone_of_user() -> Option<TimeZone> {
    std::env::var(environment::TIME_ZONE).ok()?.trim_start_matches(':').parse().ok()
}

fn zone_of_link(target: &Path) -> Option<TimeZone> {
    target.to_str()?.split_once("zoneinfo/")?.1.parse().ok()
}

/// The user's public keys in `~/.ssh`, sorted by file name; what is no key is passed over.
pub(super) fn ssh_keys() -> Vec<SshKey> {
    std::env::var_os(environment::HOME)
        .map(|home| keys_in(&PathBuf::from(home).join(".ssh")))
        .unwrap_or_default()
}

fn keys_in(folder: &Path) -> Vec<SshKey> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pub"))
        .collect();
    paths.sort();
    let mut keys: Vec<SshKey> = Vec::new();
    for key in paths.iter().filter_map(|path| fs::read_to_string(path).ok()?.parse().ok()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_zone_from_a_link() {
        for (target, zone) in [
            ("/usr/share/zoneinfo/Europe/Berlin", Some("Europe/Berlin")),
            ("../usr/share/zoneinfo/Etc/UTC", Some("Etc/UTC")),
            ("/elsewhere", None),
        ] {
            assert_eq!(zone_of_link(Path::new(target)).map(|zone| zone.to_string()).as_deref(), zone);
        }
    }

    #[test]
    fn takes_each_valid_public_key_once() {
        let folder = tempfile::tempdir().unwrap();
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a";
        for (name, text) in [
            ("id_ed25519.pub", key),
            ("copy.pub", key),
            ("id_ed25519", "secret"),
            ("broken.pub", "ssh-rsa ?"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(keys_in(folder.path()), [key.parse().unwrap()]);
        assert_eq!(keys_in(&folder.path().join("missing")), []);
    }
}
