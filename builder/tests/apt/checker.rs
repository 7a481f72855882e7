//! Checks a selection against every relation of its packages, sharing only the version order with the solver.

use std::collections::HashMap;

use imgbuild::archive::index::Package;
use imgbuild::archive::version::Version;

use super::oracle::Selection;

/// Packages by name and version.
pub(crate) struct Checker<'a> {
    packages: HashMap<(&'a str, &'a str), &'a Package>,
    all: Offers<'a>,
}

/// What a selection makes use of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Traits {
    /// A dependency that a package which is not selected would satisfy too.
    pub(crate) alternative: bool,
    /// A versioned dependency that only a versioned Provides satisfies.
    pub(crate) versioned_provides: bool,
    /// A Conflicts or Breaks that some package in the index would fall under.
    pub(crate) conflict: bool,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(packages: &'a [Package]) -> Self {
        let by_name = |package: &'a Package| ((package.name.as_str(), package.version.as_str()), package);
        Self { packages: packages.iter().map(by_name).collect(), all: Offers::of(packages.iter()) }
    }

    /// Every violated relation; `dropped` names satisfy any dependency on them or on what they provide.
    pub(crate) fn faults(&self, selection: &Selection, dropped: &[&'a Package]) -> Vec<String> {
        let selected = self.selected(selection);
        let offers = Offers::of(selected.iter().copied());
        let dropped_offers = Offers::of(dropped.iter().copied());
        let mut faults = Vec::new();
        for package in &selected {
            for group in needs(package) {
                let is_satisfied = group.split('|').any(|relation| {
                    let (name, _) = split(relation);
                    let name = name.split(':').next();
                    dropped.iter().any(|package| Some(package.name.as_str()) == name)
                        || [&offers, &dropped_offers]
                            .iter()
                            .any(|offers| offers.ways(relation).next().is_some())
                });
                if !is_satisfied {
                    faults.push(format!("{} needs {}", package.name, group.trim()));
                }
            }
            for relation in refusals(package) {
                if let Some((other, _)) = offers.ways(relation).find(|(other, _)| other.name != package.name)
                {
                    faults.push(format!("{} refuses {} by {}", package.name, relation.trim(), other.name));
                }
            }
        }
        faults
    }

    /// What the selection's relations make use of.
    pub(crate) fn traits(&self, selection: &Selection) -> Traits {
        let selected = self.selected(selection);
        let offers = Offers::of(selected.iter().copied());
        let mut traits = Traits::default();
        for package in &selected {
            for group in needs(package) {
                let ways: Vec<_> = group.split('|').flat_map(|relation| offers.ways(relation)).collect();
                traits.versioned_provides |= group.contains('(')
                    && !ways.is_empty()
                    && ways.iter().all(|(_, way)| *way == Way::VersionedProvides);
                traits.alternative |= group
                    .split('|')
                    .flat_map(|relation| self.all.ways(relation))
                    .any(|(other, _)| !selection.contains_key(&other.name));
            }
            traits.conflict |= refusals(package)
                .flat_map(|relation| self.all.ways(relation))
                .any(|(other, _)| other.name != package.name);
        }
        traits
    }

    fn selected(&self, selection: &Selection) -> Vec<&'a Package> {
        let find = |(name, version): (&String, &String)| {
            let package = self.packages.get(&(name.as_str(), version.as_str()));
            *package.unwrap_or_else(|| panic!("{name} {version} is in no index"))
        };
        selection.iter().map(find).collect()
    }
}

/// How a package satisfies a relation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Name,
    Provides,
    VersionedProvides,
}

/// Names that packages have or provide, with the version in which they do.
struct Offers<'a>(HashMap<&'a str, Vec<Offer<'a>>>);

/// A package, the version in which it has the name, and how it has it.
type Offer<'a> = (&'a Package, Option<&'a str>, Way);

impl<'a> Offers<'a> {
    fn of(packages: impl Iterator<Item = &'a Package>) -> Self {
        let mut offers = HashMap::<_, Vec<_>>::new();
        for package in packages {
            offers.entry(package.name.as_str()).or_default().push((
                package,
                Some(package.version.as_str()),
                Way::Name,
            ));
            for (name, constraint) in items(&package.provides).map(split) {
                let way = if constraint.is_some() { Way::VersionedProvides } else { Way::Provides };
                offers.entry(name).or_default().push((package, constraint.map(|(_, version)| version), way));
            }
        }
        Self(offers)
    }

    /// Packages that satisfy a relation.
    fn ways<'s>(&'s self, relation: &'s str) -> impl Iterator<Item = (&'a Package, Way)> + 's {
        let (name, constraint) = split(relation);
        let (name, qualifier) = name.split_once(':').unwrap_or((name, ""));
        let offers = self.0.get(name).into_iter().flatten();
        offers.filter_map(move |(package, version, way)| {
            let fits = match (constraint, version) {
                (None, _) => true,
                (Some((operator, wanted)), Some(version)) => admits(operator, wanted, version),
                (Some(_), None) => false,
            };
            let is_meant = match qualifier {
                "" | "native" | "amd64" => true,
                "any" => package.multi_arch == "allowed",
                _ => false, // another architecture's package
            };
            (fits && is_meant).then_some((*package, *way))
        })
    }
}

fn needs(package: &Package) -> impl Iterator<Item = &str> {
    items(&package.pre_depends).chain(items(&package.depends))
}

fn refusals(package: &Package) -> impl Iterator<Item = &str> {
    items(&package.conflicts).chain(items(&package.breaks))
}

fn items(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').filter(|item| !item.trim().is_empty())
}

/// `name (operator version)` into its parts.
fn split(relation: &str) -> (&str, Option<(&str, &str)>) {
    let Some((name, rest)) = relation.split_once('(') else {
        return (relation.trim(), None);
    };
    let inner = rest.trim_end().trim_end_matches(')').trim();
    let end = inner.find(|character| !"<=>".contains(character)).unwrap_or(inner.len());
    let (operator, version) = inner.split_at(end);
    (name.trim(), Some((operator, version.trim())))
}

fn admits(operator: &str, wanted: &str, version: &str) -> bool {
    let parse = |text| Version::parse(text).expect("indices have Debian versions");
    let order = parse(version).cmp(&parse(wanted));
    match operator {
        "<<" => order.is_lt(),
        "<=" | "<" => order.is_le(),
        "=" => order.is_eq(),
        ">=" | ">" => order.is_ge(),
        ">>" => order.is_gt(),
        other => panic!("unknown operator `{other}`"),
    }
}
