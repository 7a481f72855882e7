//! The objects that a cluster begins with: made through its API, once, by the node that began it.
//!
//! A marker object is made last. Until it is there everything is done again, which changes nothing that is as it was;
//! afterwards nothing is, so that what people and ArgoCD have changed since stays. Secrets are made and never replaced.
//! Where the image has no ArgoCD, the marker says so, and the first image that has it makes up for it.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::machine::Machine;
use super::reporter::{Reporter, say};
use super::{Facts, files, write_files};
use crate::apply::StepState;
use crate::claim::objects::definitions;
use crate::control_plane::bundle::Bundle;
use crate::converge::System;
use crate::kubernetes::Api;
use crate::kubernetes::resources::Resources;
use crate::status::Phase;

/// ArgoCD's objects in the image, as the builder has converted them.
const ARGOCD: &str = "/usr/share/argocd/install.json";
const ADMINS: &str = include_str!("admins.json");
/// The object that is made last, once all others are there.
pub const MARKER: &str = "/api/v1/namespaces/kube-system/configmaps/imgbuild-bootstrap";
/// What the consoles say once all is there.
pub const ALL_MADE: &str = "ArgoCD's and the cluster's other first objects are made";
/// The same where an earlier start has made it.
pub const MADE_BEFORE: &str = "the cluster's first objects were made before";
/// The same of an image without ArgoCD.
pub const MADE_WITHOUT_ARGOCD: &str =
    "the cluster's first objects are made, but for ArgoCD's: this image has none";
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Made {
    /// Everything, now.
    All,
    /// Everything, by an earlier start.
    Before,
    /// What an image without ArgoCD can make.
    WithoutArgocd,
}

/// Makes sure of the objects, for as long as it takes.
pub(super) fn run(
    facts: &Facts,
    bundle: &Bundle,
    api: &Api,
    system: &System,
    reporter: &mut Reporter<'_>,
    machine: &mut impl Machine,
) -> anyhow::Result<()> {
    let mut resources = Resources::new(api.clone());
    loop {
        let fault = match make(facts, bundle, &mut resources, system, reporter) {
            Ok(outcome) => {
                let (told, step) = match outcome {
                    Made::All => (ALL_MADE, Some(StepState::Changed)),
                    Made::Before => (MADE_BEFORE, Some(StepState::Unchanged)),
                    Made::WithoutArgocd => (MADE_WITHOUT_ARGOCD, None),
                };
                step.map_or(Ok(()), |state| reporter.step("argocd", state))?;
                // What was made has had a phase of its own, so that the next is told on the consoles.
                reporter.phase(Phase::StartingK3s, told, None)?;
                return Ok(());
            }
            Err(fault) => fault,
        };
        // An API that has just come up does not serve everything at once.
        reporter.phase(Phase::Bootstrapping, &format!("{fault:#}"), None)?;
        machine.pause(AGAIN)?;
    }
}

fn make(
    facts: &Facts,
    bundle: &Bundle,
    resources: &mut Resources,
    system: &System,
    reporter: &mut Reporter<'_>,
) -> anyhow::Result<Made> {
    // The service's own kinds, at each start: a newer image may know more of them.
    resources.apply_all(&definitions()?)?;
    write_files(facts, "argocd", system)?;
    let marker = resources.api().get(MARKER)?;
    if marker.as_ref().is_some_and(|marker| marker["data"]["argocd"] != "absent") {
        return Ok(Made::Before);
    }
    let argocd = system.read(ARGOCD)?;
    if marker.is_none() {
        reporter.phase(Phase::Bootstrapping, "making the objects that the cluster begins with", None)?;
        for object in &bundle.objects {
            resources.ensure(object)?;
        }
        resources.ensure(&rights_of_admins()?)?;
    }
    let outcome = if let Some(text) = argocd {
        reporter.phase(Phase::Bootstrapping, "making ArgoCD's objects", None)?;
        install_argocd(&text, facts, resources)?;
        Made::All
    } else {
        Made::WithoutArgocd
    };
    let marker = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "imgbuild-bootstrap", "namespace": "kube-system" },
        "data": {
            "cluster": bundle.cluster.id.to_string(),
            "by": bundle.node,
            "argocd": if outcome == Made::All { "made" } else { "absent" },
        },
    });
    resources.apply(&marker)?;
    Ok(outcome)
}

/// ArgoCD, and the application that it begins with.
fn install_argocd(text: &[u8], facts: &Facts, resources: &mut Resources) -> anyhow::Result<()> {
    let mut file: Value = serde_json::from_slice(text).with_context(|| format!("reading `{ARGOCD}`"))?;
    let known_hosts = facts.record.gitops.iter().flat_map(|gitops| &gitops.known_hosts);
    trust(known_hosts.map(String::as_str), &mut file["objects"]);
    resources.apply_all(file["objects"].as_array().into_iter().flatten())?;
    for file in files(facts, "argocd") {
        let object: Value = serde_json::from_slice(file.content.for_file()).context("reading the plan")?;
        // Beside objects the plan has what they are made of.
        if object.get("kind").is_some() {
            resources.apply(&object)?;
        }
    }
    Ok(())
}

/// What lets admins do everything. Whoever takes it away, so that certificates of admins are worth nothing, does so for good.
pub fn rights_of_admins() -> serde_json::Result<Value> {
    serde_json::from_str(ADMINS)
}

/// Adds hosts to those that ArgoCD knows by itself, so that it reads the repository at once.
fn trust<'a>(known_hosts: impl Iterator<Item = &'a str>, objects: &mut Value) {
    let added: String = known_hosts.flat_map(|line| [line, "\n"]).collect();
    let known = objects.as_array_mut().into_iter().flatten().find(|object| {
        object["kind"] == "ConfigMap" && object["metadata"]["name"] == "argocd-ssh-known-hosts-cm"
    });
    if let Some(Value::String(text)) = known.map(|object| &mut object["data"]["ssh_known_hosts"]) {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&added);
    } else if !added.is_empty() {
        say("ArgoCD's objects have no list of hosts: those of the record are not known to it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_record_are_known_besides_those_that_argocd_brings() {
        let config_map = |name: &str, text: &str| json!({ "kind": "ConfigMap", "metadata": { "name": name }, "data": { "ssh_known_hosts": text } });
        let mut objects = json!([
            config_map("other", "x"),
            config_map("argocd-ssh-known-hosts-cm", "a ssh-rsa A\nb ssh-rsa B")
        ]);
        trust(["c ssh-ed25519 C"].into_iter(), &mut objects);
        assert_eq!(objects[1]["data"]["ssh_known_hosts"], "a ssh-rsa A\nb ssh-rsa B\nc ssh-ed25519 C\n");
        assert_eq!(objects[0], config_map("other", "x"));
        // A manifest without it is as it was.
        let mut other = json!([config_map("other", "x")]);
        trust(["c ssh-ed25519 C"].into_iter(), &mut other);
        assert_eq!(other, json!([config_map("other", "x")]));
    }
}
