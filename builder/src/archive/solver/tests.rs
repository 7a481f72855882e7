//! Small universes, each showing one rule.

use super::*;
use crate::diagnostic::chain;
use crate::units::{Bytes, Sha256};

/// Reads stanzas of `Field: value` lines, with defaults for what a test does not care about.
fn packages(text: &str) -> Vec<Package> {
    let stanzas = text.trim().split("\n\n");
    stanzas
        .map(|stanza| {
            let field = |name: &str| {
                let mut lines = stanza.lines().filter_map(|line| line.trim().split_once(": "));
                lines.find(|(field, _)| *field == name).map(|(_, value)| value.to_owned())
            };
            let text = |name: &str| field(name).unwrap_or_default();
            let or = |name: &str, default: &str| field(name).unwrap_or_else(|| default.to_owned());
            Package {
                name: text("Package"),
                version: or("Version", "1"),
                arch: or("Architecture", "amd64"),
                suite: or("Suite", "trixie"),
                archive: "debian".to_owned(),
                path: String::new(),
                size: Bytes(0),
                sha256: Sha256([0; 32]),
                depends: text("Depends"),
                pre_depends: text("Pre-Depends"),
                provides: text("Provides"),
                conflicts: text("Conflicts"),
                breaks: text("Breaks"),
                recommends: text("Recommends"),
                suggests: text("Suggests"),
                replaces: text("Replaces"),
                enhances: text("Enhances"),
                priority: or("Priority", "optional"),
                multi_arch: text("Multi-Arch"),
                essential: text("Essential") == "yes",
            }
        })
        .collect()
}

/// Solves for a space-separated list; `-name` drops and `!name` excludes. Shows `name version` or the error.
fn answer(universe: &str, list: &str) -> String {
    let packages = packages(universe);
    let universe = Universe::new(&packages).unwrap();
    let with = |prefix: char| -> Vec<String> {
        list.split(' ').filter_map(|word| word.strip_prefix(prefix)).map(ToOwned::to_owned).collect()
    };
    let install: Vec<String> =
        list.split(' ').filter(|word| !word.starts_with(['-', '!'])).map(ToOwned::to_owned).collect();
    let request = Request { install: &install, drop: &with('-'), exclude: &with('!'), origin: "cloud" };
    match solve(&universe, &request) {
        Ok(chosen) => {
            let shown = chosen.iter().map(|package| format!("{} {}", package.name, package.version));
            shown.collect::<Vec<_>>().join(", ")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn follows_dependencies_in_every_field_and_nothing_else() {
    let universe = "
        Package: a\nPre-Depends: p\nDepends: d\nRecommends: r\nSuggests: s\n
        Package: p\n
        Package: d\nDepends: a\n
        Package: r\n
        Package: s\n
        Package: e\nEssential: yes";
    assert_eq!(answer(universe, "a"), "a 1, d 1, p 1");
    assert_eq!(answer(universe, "a a"), "a 1, d 1, p 1");
}

#[test]
fn takes_the_newest_version_of_all_suites() {
    let universe = "
        Package: a\nVersion: 1.9\nDepends: old\n
        Package: old\n
        Package: a\nVersion: 1.10\nSuite: trixie-security\n
        Package: a\nVersion: 1.10~rc1\nSuite: trixie-updates";
    assert_eq!(answer(universe, "a"), "a 1.10");
}

#[test]
fn prefers_alternatives_as_apt_does() {
    let universe = "
        Package: a\nDepends: missing | b | c\n
        Package: b\n
        Package: c\n
        Package: wants-virtual\nDepends: virtual\n
        Package: late\nProvides: virtual\n
        Package: later\nProvides: virtual\n
        Package: wants-awk\nDepends: awk\n
        Package: mawk\nPriority: required\nProvides: awk\n
        Package: gawk\nProvides: awk\n
        Package: wants-real\nDepends: real\n
        Package: real\n
        Package: unreal\nEssential: yes\nProvides: real";
    assert_eq!(answer(universe, "a"), "a 1, b 1");
    assert_eq!(answer(universe, "a c"), "a 1, c 1", "what is chosen already is enough");
    assert_eq!(answer(universe, "wants-virtual"), "later 1, wants-virtual 1", "mentioned last");
    assert_eq!(answer(universe, "wants-awk"), "mawk 1, wants-awk 1", "higher priority");
    assert_eq!(answer(universe, "wants-real"), "real 1, wants-real 1", "the name itself before Essential");
}

#[test]
fn counts_a_first_mention_in_fields_that_are_not_followed() {
    for field in ["Recommends", "Suggests", "Replaces", "Enhances"] {
        let universe = format!(
            "Package: a\nDepends: virtual\n{field}: second\n\nPackage: first\nProvides: virtual\n\n\
             Package: second\nProvides: virtual"
        );
        assert_eq!(answer(&universe, "a"), "a 1, first 1", "{field}");
    }
}

#[test]
fn compares_provided_versions() {
    let universe = "
        Package: a\nDepends: api (>= 2)\n
        Package: plain\nProvides: api\n
        Package: low\nProvides: api (= 1)\n
        Package: high\nProvides: api (= 2.1)";
    assert_eq!(answer(universe, "a"), "a 1, high 1");
    assert_eq!(answer(universe, "a !high"), "cloud wants a → a depends on api (>= 2) → cloud excludes high");
}

#[test]
fn honours_multi_arch_on_one_architecture() {
    let universe = "
        Package: a\nDepends: allowed:any, native:native, same:amd64\n
        Package: b\nDepends: plain:any\n
        Package: c\nDepends: same:i386\n
        Package: d\nDepends: plain [arm64], allowed [amd64]\n
        Package: allowed\nMulti-Arch: allowed\n
        Package: native\n
        Package: same\nMulti-Arch: same\n
        Package: plain\nArchitecture: all";
    assert_eq!(answer(universe, "a"), "a 1, allowed 1, native 1, same 1");
    assert_eq!(
        answer(universe, "b"),
        "cloud wants b → b depends on plain:any → no package satisfies plain:any on this architecture"
    );
    assert_eq!(
        answer(universe, "c"),
        "cloud wants c → c depends on same:i386 → no package satisfies same:i386 on this architecture"
    );
    assert_eq!(answer(universe, "d"), "allowed 1, d 1");
}

#[test]
fn drops_dependencies_by_name_and_by_what_is_provided() {
    let universe = "
        Package: a\nDepends: perl (>= 99) | b, perlapi, c\n
        Package: b\n
        Package: c\nDepends: perl\n
        Package: perl\nProvides: perlapi";
    assert_eq!(answer(universe, "a -perl"), "a 1, c 1");
    assert_eq!(answer(universe, "a perl -perl"), "a 1, c 1, perl 1", "a request outweighs a drop");
    assert_eq!(answer(universe, "a -unknown"), "a 1, b 1, c 1, perl 1");
}

#[test]
fn goes_back_to_the_choice_that_a_conflict_blames() {
    let universe = "
        Package: a\nDepends: x | y, m | n\n
        Package: x\n
        Package: y\n
        Package: m\n
        Package: n\n
        Package: z\nDepends: w\n
        Package: w\nConflicts: x\n
        Package: deep\nDepends: left | right\n
        Package: left\nDepends: middle\n
        Package: middle\nDepends: m | n, w\n
        Package: right";
    assert_eq!(answer(universe, "a z"), "a 1, m 1, w 1, y 1, z 1");
    assert_eq!(answer(universe, "x deep"), "deep 1, right 1, x 1");
}

#[test]
fn solves_many_independent_choices_before_a_conflict_at_once() {
    // Each of 40 choices has nothing to do with the conflict: trying their combinations would take 2^40 steps.
    let choices: Vec<_> =
        (0..40).map(|index| format!("Package: l{index}\n\nPackage: r{index}\n\n")).collect();
    let wanted: Vec<_> = (0..40).map(|index| format!("l{index} | r{index}")).collect();
    let universe = format!(
        "{}Package: a\nDepends: x | y, {}, z\n\nPackage: x\n\nPackage: y\n\nPackage: z\nBreaks: x",
        choices.concat(),
        wanted.join(", ")
    );
    let answer = answer(&universe, "a");
    assert!(answer.ends_with("y 1, z 1") && !answer.contains('r'), "{answer}");
}

#[test]
fn lets_a_package_conflict_with_what_it_provides() {
    let universe = "
        Package: a\nProvides: mta\nConflicts: mta\n
        Package: b\nProvides: mta\nConflicts: mta\n
        Package: c\nBreaks: a (<< 1)\n
        Package: d\nConflicts: c";
    assert_eq!(answer(universe, "a c"), "a 1, c 1");
    assert_eq!(
        answer(universe, "a b"),
        "cloud wants a → a conflicts with mta, but cloud wants b → b provides mta"
    );
    assert_eq!(answer(universe, "c d"), "cloud wants d → d conflicts with c, but cloud wants c");
}

#[test]
fn shows_the_chain_of_an_unsatisfiable_request() {
    let universe = "
        Package: open-iscsi\nDepends: libfoo (>= 2), libc6\n
        Package: libfoo\nVersion: 1.9\n
        Package: libc6\n
        Package: top\nDepends: open-iscsi | other\n
        Package: other\nPre-Depends: gone | libc6 (<< 1) | nothing";
    assert_eq!(
        answer(universe, "open-iscsi"),
        "cloud wants open-iscsi → open-iscsi depends on libfoo (>= 2) → libfoo 1.9 is the newest in trixie"
    );
    assert_eq!(
        answer(universe, "top"),
        "cloud wants top → top depends on open-iscsi | other → open-iscsi depends on libfoo (>= 2) → \
         libfoo 1.9 is the newest in trixie"
    );
    assert_eq!(
        answer(universe, "other"),
        "cloud wants other → other pre-depends on gone | libc6 (<< 1) | nothing → \
         no package is or provides gone, libc6 1 is the newest in trixie, no package is or provides nothing"
    );
}

#[test]
fn shows_both_chains_of_a_conflict() {
    let universe = "
        Package: a\nDepends: b\n
        Package: b\nDepends: c | d\n
        Package: c\nBreaks: z (<< 2)\n
        Package: d\nConflicts: z\n
        Package: y\nDepends: z\n
        Package: z\nVersion: 1.5";
    assert_eq!(
        answer(universe, "a y"),
        "cloud wants a → a depends on b → b depends on c | d → c breaks z (<< 2), \
         but cloud wants y → y depends on z → z 1.5 is the newest in trixie"
    );
}

#[test]
fn says_what_is_wrong_with_a_requested_name() {
    let universe = "
        Package: openssh-server\n
        Package: mawk\nProvides: awk\n
        Package: gawk\nProvides: awk";
    for (list, message) in [
        ("openssh-servr", "cloud wants openssh-servr, which no index has; did you mean openssh-server?"),
        ("qqq", "cloud wants qqq, which no index has"),
        ("awk", "cloud wants awk, which is only provided, by gawk, mawk"),
        ("mawk !mawk", "cloud both wants and excludes mawk"),
    ] {
        assert_eq!(answer(universe, list), message);
    }
}

#[test]
fn refuses_packages_it_cannot_index() {
    let refusal = |text: &str| {
        let packages = packages(text);
        let error = Universe::new(&packages).unwrap_err();
        chain(&error)
    };
    for (text, message) in [
        ("Package: a\nVersion: 1_2", "package a: version `1_2` has `_` at byte 1"),
        ("Package: a\nDepends: b, (c)", "package a 1: field Depends at byte 3: `(c)` is no package name"),
        (
            "Package: a\nEnhances: b (1)",
            "package a 1: field Enhances at byte 3: `1` begins with none of <<, <=, =, >=, >>",
        ),
        (
            "Package: a\n\nPackage: b\nArchitecture: all\n\nPackage: c\nArchitecture: arm64",
            "package c is for arm64 among packages for amd64",
        ),
    ] {
        assert_eq!(refusal(text), message);
    }
}
