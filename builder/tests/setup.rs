//! Declared setup against the tools whose work it does: the host's systemd is the oracle.
//!
//! Needs systemd-sysusers, systemctl, systemd-analyze and systemd-tmpfiles; one that is missing fails by name.
#![allow(clippy::unwrap_used, reason = "a test's unwrap is its assertion")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
#[expect(
    clippy::disallowed_types,
    reason = "oracles are run as they are, without the program's own door"
)]
use std::process::Command;

use imgbuild::diagnostic::{FaultRecord, Origin};
use imgbuild::profile::{AddedContent, AddedFile, Firmware, Kernel, Packages, Profile, Root, Units};
use imgbuild::rootfs::DebInfo;
use imgbuild::rootfs::review::ReviewTable;
use imgbuild::rootfs::setup::accounts::Accounts;
use imgbuild::rootfs::setup::sysusers::{self, Numbers};
use imgbuild::rootfs::setup::{Context, SetupError, apply, profile_files};
use imgbuild::tree::{Kind, Metadata, Tree};
use imgbuild::units::{Arch, Timestamp};

const PASSWD: &str = "root:*:0:0:root:/root:/bin/bash\n\
    mail:*:8:8:mail:/var/mail:/usr/sbin/nologin\n\
    nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:*:0:\nmail:*:8:\nshadow:*:42:\nutmp:*:43:\nnogroup:*:65534:\n";

#[expect(clippy::disallowed_types, reason = "see the import")]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|fault| panic!("`{program}` of Debian's systemd is needed: {fault}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    stderr.into_owned()
}

fn profile(units: Units, files: &[(&str, &str)]) -> Profile {
    let file = |(path, text): &(&str, &str)| AddedFile {
        path: (*path).to_owned(),
        content: AddedContent::File { text: (*text).to_owned(), mode: 0o644 },
        origin: Origin::default(),
    };
    Profile {
        name: "test".into(),
        arch: Arch::Amd64,
        description: String::new(),
        debug: false,
        packages: Packages::default(),
        artifacts: Vec::new(),
        kernel: Kernel {
            package: String::new(),
            command_line: Vec::new(),
            initrd_modules: Vec::new(),
            load_modules: vec!["overlay".into()],
        },
        root: Root::default(),
        firmware: Firmware::default(),
        files: files.iter().map(file).collect(),
        exclude: Vec::new(),
        units,
    }
}

/// What base-passwd brings, without which there is no root.
fn base() -> Tree {
    let mut tree = Tree::default();
    tree.write("usr/share/base-passwd/passwd.master", Metadata::FILE, PASSWD).unwrap();
    tree.write("usr/share/base-passwd/group.master", Metadata::FILE, GROUP).unwrap();
    tree
}

fn set_up(tree: &mut Tree, profile: &Profile, debs: &[DebInfo]) -> Result<Numbers, SetupError> {
    let reviews = ReviewTable::built_in().unwrap();
    let (users, groups) = (BTreeMap::new(), BTreeMap::new());
    let date = Timestamp(1_795_305_600);
    apply(tree, &Context { profile, debs, reviews: &reviews, users: &users, groups: &groups, date })
}

/// Writes files, folders and links below `path` of `tree` to the folder `root`.
fn unpack(tree: &Tree, path: &str, root: &Path) {
    fs::create_dir_all(root.join(path)).unwrap();
    for (path, entry) in tree.below(path) {
        let to = root.join(path);
        match &entry.kind {
            Kind::Directory => fs::create_dir_all(to).unwrap(),
            Kind::File(content) => fs::write(to, content).unwrap(),
            Kind::Symlink(target) => symlink(target, to).unwrap(),
        }
    }
}

#[test]
fn accounts_equal_those_of_systemd_sysusers() {
    // `u!` is newer than the oldest host supported; it changes shadow only.
    let files = [
        ("basic.conf", "g tty 5\ng input -\ng kvm -\nu mail 8 - /var/mail\nu daemon 1 \"\" /usr/sbin\n"),
        ("dbus.conf", "u messagebus - \"System Message Bus\" /nonexistent\n"),
        ("net.conf", "u net - \"Net: work\"\nu sshd -:nogroup \"sshd user\" /run/sshd\nm net input\n"),
        (
            "odd.conf",
            "u fixed 333:mail - /srv /bin/sh\nu numeric 334:43\ng late 999\nm mail tty\nr - 100-998\n",
        ),
    ];
    let files = files.map(|(name, text)| (name, text.replace("Net: work", "Network")));
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("etc/sysusers.d");
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in &files {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::write(root.path().join("etc/passwd"), PASSWD.replace(":*:", ":x:")).unwrap();
    fs::write(root.path().join("etc/group"), GROUP.replace(":*:", ":x:")).unwrap();
    run("systemd-sysusers", &["--root", root.path().to_str().unwrap()]);

    let mut accounts = Accounts::parse(PASSWD, GROUP).unwrap();
    let lines: Vec<_> = files.iter().flat_map(|(_, text)| sysusers::parse(text).unwrap()).collect();
    sysusers::evaluate(&mut accounts, &lines, &Numbers::default()).unwrap();
    let theirs = |file: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(root.path().join("etc").join(file)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let ours = |text: String| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    assert_eq!(ours(accounts.passwd()), theirs("passwd"));
    assert_eq!(ours(accounts.group_file()), theirs("group"));
}

/// Units with every kind of `[Install]` line that trixie's packages use, and a few that they do not.
const UNITS: [(&str, &str); 10] = [
    ("plain.service", "WantedBy=multi-user.target sockets.target"),
    ("alias.service", "Alias=other.service dbus-org.example.service\nWantedBy=sysinit.target"),
    ("required.socket", "RequiredBy=plain.service"),
    ("getty@.service", "WantedBy=getty.target\nDefaultInstance=tty1"),
    ("work@.service", "WantedBy=%p.target\nAlias=labour@.service"),
    ("also.service", "Also=helper.socket\nWantedBy=multi-user.target"),
    ("helper.socket", "WantedBy=sockets.target"),
    ("empty.service", "WantedBy=a.target\nWantedBy=\nWantedBy=b.target"),
    ("into-template.service", "WantedBy=sshd@.service plain.service"),
    ("only-alias.service", "Alias=dbus.service"),
];

#[test]
fn systemd_understands_the_emergency_drop_in_over_its_own_units() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let units = root.join("usr/lib/systemd/system");
    for unit in ["emergency.service", "rescue.service"] {
        let drop_ins = units.join(format!("{unit}.d"));
        fs::create_dir_all(&drop_ins).unwrap();
        fs::copy(Path::new("/usr/lib/systemd/system").join(unit), units.join(unit)).unwrap();
        fs::write(drop_ins.join("firstboot.conf"), firstboot::EMERGENCY).unwrap();
    }
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    for program in ["firstboot", "systemctl", "echo", "sleep"] {
        let path = root.join("usr/bin").join(program);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let root = format!("--root={}", root.display());
    let verify = [&root, "verify", "--man=no", "emergency.service", "rescue.service"];
    // Where a shell were left, it would be missed: this root has none.
    assert_eq!(run("systemd-analyze", &verify), "");
}

#[test]
fn links_equal_those_of_systemctl_enable() {
    let enabled = [
        "plain.service",
        "alias.service",
        "required.socket",
        "getty@.service",
        "work@seven.service",
        "also.service",
        "empty.service",
        "into-template.service",
        "only-alias.service",
    ];
    let mut tree = base();
    for (name, install) in UNITS {
        let text = format!("[Unit]\nDescription=x\n[Install]\n{install}\n");
        tree.write(&format!("usr/lib/systemd/system/{name}"), Metadata::FILE, text).unwrap();
    }
    let root = tempfile::tempdir().unwrap();
    unpack(&tree, "usr/lib/systemd", root.path());
    for unit in enabled {
        run("systemctl", &["--root", root.path().to_str().unwrap(), "enable", unit]);
    }

    let units = Units { enable: enabled.map(str::to_owned).to_vec(), ..Units::default() };
    set_up(&mut tree, &profile(units, &[]), &[]).unwrap();
    let ours: BTreeSet<(String, String)> = tree
        .below("etc/systemd/system")
        .filter_map(|(path, entry)| match &entry.kind {
            Kind::Symlink(target) => Some((path.to_owned(), target.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(ours, links(root.path(), "etc/systemd/system"));
}

fn links(root: &Path, path: &str) -> BTreeSet<(String, String)> {
    let mut links = BTreeSet::new();
    for entry in fs::read_dir(root.join(path)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{path}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            links.extend(self::links(root, &path));
        } else {
            let target = fs::read_link(entry.path()).unwrap();
            links.insert((path, target.to_str().unwrap().to_owned()));
        }
    }
    links
}

#[test]
fn systemd_tmpfiles_makes_the_state_that_packages_shipped() {
    let root = tempfile::tempdir().unwrap();
    // Owned by whoever runs the test, who may not be allowed to give files away.
    let me = fs::metadata(root.path()).unwrap();
    let own = |mode| Metadata { mode, uid: me.uid(), gid: me.gid() };
    let mut tree = base();
    tree.directory("var/lib/tool", own(0o2750)).unwrap();
    tree.write("var/lib/tool/a file%20", own(0o600), "content\n").unwrap();
    tree.symlink("var/lib/tool/link", "../a%b c").unwrap();
    set_up(&mut tree, &profile(Units::default(), &[]), &[]).unwrap();
    unpack(&tree, "usr", root.path());
    unpack(&tree, "etc", root.path());
    let folder = root.path().to_str().unwrap();
    run("systemd-tmpfiles", &["--root", folder, "--create", "--prefix=/var/lib/tool", "imgbuild-state.conf"]);

    let made = |path: &str| fs::symlink_metadata(root.path().join(path)).unwrap();
    for (path, mode) in [("var/lib/tool", 0o2750), ("var/lib/tool/a file%20", 0o600)] {
        assert_eq!(made(path).permissions().mode() & 0o7777, mode, "{path}");
        assert_eq!((made(path).uid(), made(path).gid()), (me.uid(), me.gid()), "{path}");
    }
    assert_eq!(fs::read(root.path().join("var/lib/tool/a file%20")).unwrap(), b"content\n");
    let target = fs::read_link(root.path().join("var/lib/tool/link")).unwrap();
    assert_eq!(target.to_str(), Some("../a%b c"));
}

#[test]
fn what_is_written_to_on_a_node_leads_away_from_the_root() {
    let mut tree = base();
    tree.write("root/.profile", Metadata::FILE, "profile\n").unwrap();
    tree.write("opt/tool/bin", Metadata::root(0o755), "tool\n").unwrap();
    set_up(&mut tree, &profile(Units::default(), &[]), &[]).unwrap();
    for (link, target) in [("root", "run/root"), ("opt", "var/opt"), ("home", "var/home")] {
        assert_eq!(tree.get(link).unwrap().kind, Kind::Symlink(target.into()), "{link}");
    }
    let contents = [
        // `/root` is made anew at each boot, so that no drift lives where shells read first.
        ("root/.profile", "profile\n"),
        ("var/opt/tool/bin", "tool\n"),
    ];
    for (path, content) in contents {
        let path = format!("usr/share/factory/{path}");
        assert_eq!(tree.file(&path).map(AsRef::as_ref), Some(content.as_bytes()), "{path}");
    }
}

#[test]
fn the_same_inputs_give_the_same_tree() {
    let made = || {
        let mut tree = base();
        let numbers = set_up(&mut tree, &profile(Units::default(), &[]), &[]).unwrap();
        (tree, numbers)
    };
    assert_eq!(made(), made());
}

#[test]
fn the_profile_has_the_last_word() {
    let mut tree = base();
    let own = [("etc/locale.conf", "LANG=de_DE.UTF-8\n"), ("etc/subuid", "build:100000:65536\n")];
    let mask = Units { mask: vec!["rpcbind.socket".into()], ..Units::default() };
    set_up(&mut tree, &profile(mask, &own), &[]).unwrap();
    for (path, text) in own {
        assert_eq!(tree.file(path).map(AsRef::as_ref), Some(text.as_bytes()), "{path}");
    }
    let masked = &tree.get("etc/systemd/system/rpcbind.socket").unwrap().kind;
    assert_eq!(*masked, Kind::Symlink("/dev/null".into()));
}

/// A profile as people write it, with these files.
fn written(files: &[&str]) -> Profile {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("profiles")).unwrap();
    let list: Vec<String> =
        files.iter().map(|path| format!("[[file]]\npath = \"{path}\"\ntext = \"x\"\n")).collect();
    let head = "version = 1\ndescription = \"x\"\n[kernel]\npackage = \"linux\"\n";
    let text = format!("{head}{}", list.concat());
    fs::write(folder.path().join("profiles/mine.toml"), text).unwrap();
    Profile::load("mine", Arch::Amd64, folder.path()).unwrap()
}

/// Each fault's line, its reason and what would mend it.
fn found(fault: SetupError) -> Vec<(usize, String, String)> {
    let SetupError::Files(faults) = fault else { panic!("{fault}") };
    let record = |fault: FaultRecord<'_>| {
        (fault.line, fault.reason.to_owned(), fault.help.unwrap_or_default().to_owned())
    };
    faults.records().into_iter().map(record).collect()
}

#[test]
fn files_of_the_profile_that_have_no_place_are_pointed_at() {
    let elsewhere = "give another path";
    for (files, expected) in [
        (
            ["usr", "usr/share/base-passwd/group.master/x"].as_slice(),
            [
                (
                    6,
                    "`usr` is a folder in the image, which no file can replace",
                    "give the path of a file in it: `usr/NAME`",
                ),
                (
                    9,
                    "`usr/share/base-passwd/group.master` is no folder in the image, so \
                     `usr/share/base-passwd/group.master/x` has no place",
                    elsewhere,
                ),
            ]
            .as_slice(),
        ),
        // Made later than the profile's files, which are placed before generators read them.
        (
            &["etc/passwd/x"],
            &[(6, "`etc/passwd` is no folder in the image, so `etc/passwd/x` has no place", elsewhere)],
        ),
        (
            &["etc/modules-load.d"],
            &[(
                6,
                "`etc/modules-load.d` must be a folder in the image, which has `etc/modules-load.d/imgbuild.conf`",
                elsewhere,
            )],
        ),
        (
            &["etc/a", "etc/a/b"],
            &[(9, "`etc/a` is no folder in the image, so `etc/a/b` has no place", elsewhere)],
        ),
    ] {
        let mut profile = written(files);
        profile.kernel.load_modules = vec!["overlay".into()];
        let fault = set_up(&mut base(), &profile, &[]).unwrap_err();
        let expected =
            expected.iter().map(|(line, reason, help)| (*line, (*reason).to_owned(), (*help).to_owned()));
        assert_eq!(found(fault), expected.collect::<Vec<_>>(), "{files:?}");
    }
}

#[test]
fn files_of_the_profile_that_the_build_writes_over_are_pointed_at() {
    let mut tree = base();
    let profile = written(&["etc/motd", "etc/.updated", "usr/lib/firmware/unknown"]);
    set_up(&mut tree, &profile, &[]).unwrap();
    tree.remove("usr/lib/firmware/unknown");
    let lost = |line, path: &str| {
        let reason = format!("`{path}` would not stay: the build itself writes or removes it");
        (line, reason, "leave it out of the profile".to_owned())
    };
    let fault = profile_files::check(&tree, &profile).unwrap_err();
    assert_eq!(found(fault), [lost(9, "etc/.updated"), lost(12, "usr/lib/firmware/unknown")]);
}

#[test]
fn shadow_is_for_its_group_only_and_root_has_no_password() {
    let mut tree = base();
    set_up(&mut tree, &profile(Units::default(), &[]), &[]).unwrap();
    for path in ["etc/shadow", "etc/gshadow"] {
        assert_eq!(tree.get(path).unwrap().metadata, Metadata { mode: 0o640, uid: 0, gid: 42 }, "{path}");
    }
    assert!(tree.file("etc/shadow").unwrap().starts_with(b"root:*:20779:0:99999:7:::\n"));
}

#[test]
fn faults_of_packages_are_named() {
    let deb = |name: &str| DebInfo { name: name.into(), ..DebInfo::default() };
    let bad_line = [("usr/lib/sysusers.d/x.conf", "u\n")];
    let cases = [
        (
            Tree::default(),
            "x",
            &[][..],
            "`usr/share/base-passwd/passwd.master` is missing, which users reads",
        ),
        (
            base(),
            "iptables",
            &[],
            "`usr/sbin/iptables` would lead to `iptables-nft`, which is not in the root",
        ),
        (base(), "libc-bin", &[], "`usr/share/libc-bin/nsswitch.conf` is missing, which declared reads"),
        (base(), "x", &bad_line, "users and groups cannot be made"),
    ];
    for (mut tree, package, files, message) in cases {
        let fault = set_up(&mut tree, &profile(Units::default(), files), &[deb(package)]).unwrap_err();
        assert_eq!(fault.to_string(), message);
    }
}
