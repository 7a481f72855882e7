//! The objects that a cluster begins with: made through its API, once, by the node that began it.
//!
//! A marker object is made last. Until it is there everything is done again, which changes nothing that is as it was;
//! afterwards nothing is, so that what people and ArgoCD have changed since stays. Secrets are made and never replaced.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::machine::Machine;
use super::reporter::Reporter;
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
    if let Some(text) = system.read(ARGOCD)? {
        let file: Value = serde_json::from_slice(&text).with_context(|| format!("reading `{ARGOCD}`"))?;
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
