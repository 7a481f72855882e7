//! The objects that a cluster begins with: made through its API, once, by the node that began it.
//!
//! A marker object is made last. Until it is there everything is done again, which changes nothing that is as it was;
//! afterwards nothing is, so that what people and ArgoCD have changed since stays. Secrets are made and never replaced.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::machine::Machine;
use super::reporter::{Reporter, say};
use super::{Facts, files};
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
const MARKER: &str = "/api/v1/namespaces/kube-system/configmaps/imgbuild-bootstrap";
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(5);

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
                reporter.step("argocd", outcome)?;
                // A phase of its own, so that it is told on the consoles, with what became of the step.
                reporter.phase(Phase::StartingK3s, "the cluster's first objects are made", None)?;
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
) -> anyhow::Result<StepState> {
    // The service's own kinds, at each start: a newer image may know more of them.
    resources.apply_all(&definitions()?)?;
    if resources.api().get(MARKER)?.is_some() {
        return Ok(StepState::Unchanged);
    }
    reporter.phase(Phase::Bootstrapping, "making the objects that the cluster begins with", None)?;
    for object in &bundle.objects {
        resources.ensure(object)?;
    }
    resources.ensure(&rights_of_admins()?)?;
    if let Some(text) = system.read(ARGOCD)? {
        let mut file: Value = serde_json::from_slice(&text).with_context(|| format!("reading `{ARGOCD}`"))?;
        let known_hosts = facts.record.gitops.iter().flat_map(|gitops| &gitops.known_hosts);
        trust(known_hosts.map(String::as_str), &mut file["objects"]);
        resources.apply_all(file["objects"].as_array().into_iter().flatten())?;
    }
    for file in files(facts, "argocd") {
        system.ensure_file(&file.path, file.content.for_file(), file.mode)?;
        let object: Value = serde_json::from_slice(file.content.for_file()).context("reading the plan")?;
        // Beside objects the plan has what they are made of.
        if object.get("kind").is_some() {
            resources.apply(&object)?;
        }
    }
    let marker = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "imgbuild-bootstrap", "namespace": "kube-system" },
        "data": { "cluster": bundle.cluster.id.to_string(), "by": bundle.node },
    });
    resources.ensure(&marker)?;
    Ok(StepState::Changed)
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
