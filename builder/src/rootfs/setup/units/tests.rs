use super::*;
use crate::tree::Metadata;

fn tree(units: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (name, install) in units {
        let text = format!("[Unit]\n[Install]\n{install}\n");
        tree.write(&format!("{SHIPPED}/{name}"), Metadata::FILE, text).unwrap();
    }
    tree
}

fn enable(tree: &mut Tree, refused: &[&str], unit: &str) -> Result<Vec<String>, UnitsError> {
    let refused: BTreeSet<&str> = refused.iter().copied().collect();
    Enabling { tree, refused: &refused, done: BTreeSet::new() }.enable(unit, "the profile")?;
    let links = tree.below(CONFIGURED).filter_map(|(path, entry)| match &entry.kind {
        Kind::Symlink(target) => {
            Some(format!("{} -> {}", &path[CONFIGURED.len() + 1..], &target[SHIPPED.len() + 2..]))
        }
        _ => None,
    });
    Ok(links.collect())
}

#[test]
fn links_alias_wants_requires_and_upholds() {
    let install = "Alias=b.service\nWantedBy=x.target\nRequiredBy=y.target\nUpheldBy=z.target";
    let links = enable(&mut tree(&[("a.service", install)]), &[], "a.service").unwrap();
    assert_eq!(
        links,
        [
            "b.service -> a.service",
            "x.target.wants/a.service -> a.service",
            "y.target.requires/a.service -> a.service",
            "z.target.upholds/a.service -> a.service",
        ]
    );
}

#[test]
fn instantiates_templates() {
    let units = [("getty@.service", "WantedBy=getty.target\nDefaultInstance=tty1")];
    for (unit, instance) in [("getty@.service", "tty1"), ("getty@tty9.service", "tty9")] {
        let links = enable(&mut tree(&units), &[], unit).unwrap();
        assert_eq!(links, [format!("getty.target.wants/getty@{instance}.service -> getty@.service")]);
    }
}

#[test]
fn follows_also_but_not_to_refused_units() {
    let units = [
        ("a.service", "WantedBy=m.target\nAlso=b.socket c.service missing.service"),
        ("b.socket", "WantedBy=sockets.target\nAlso=a.service"),
        ("c.service", "WantedBy=m.target"),
    ];
    let links = enable(&mut tree(&units), &["c.service"], "a.service").unwrap();
    assert_eq!(links, ["m.target.wants/a.service -> a.service", "sockets.target.wants/b.socket -> b.socket"]);
}

#[test]
fn a_disabled_template_disables_its_instances() {
    let units = [("getty@.service", "WantedBy=getty.target")];
    assert!(enable(&mut tree(&units), &["getty@.service"], "getty@tty1.service").unwrap().is_empty());
}

#[test]
fn names_who_wants_a_missing_unit() {
    let fault = enable(&mut tree(&[]), &[], "gone.service").unwrap_err();
    assert_eq!(fault.to_string(), "unit `gone.service` is enabled by the profile, but not in the root");
}

#[test]
fn reads_generated_sections_and_skips_no_enable() {
    let script = "#!/bin/sh\n\
        deb-systemd-helper enable 'by-hand.service'\n\
        # Automatically added by dh_installsystemd/13.24.2\n\
        \tif deb-systemd-helper --quiet was-enabled 'on.service'; then\n\
        \t\tdeb-systemd-helper enable 'on.service' >/dev/null || true\n\
        # End automatically added section\n\
        # Automatically added by dh_installsystemd/13.24.2\n\
        \tif deb-systemd-helper debian-installed 'off.service'; then\n\
        \t\tdeb-systemd-helper enable 'off.service' >/dev/null || true\n\
        # End automatically added section\n\
        # Automatically added by dh_installsystemduser/13.24.2\n\
        \t\tdeb-systemd-helper --user enable 'user.service' >/dev/null || true\n\
        # End automatically added section\n";
    let scripts = [("postinst".to_owned(), script.as_bytes().to_vec())].into();
    let deb = DebInfo { name: "p".into(), scripts, ..DebInfo::default() };
    assert_eq!(generated(&deb), [("on.service".to_owned(), "package `p`".to_owned())]);
}
