//! Discovery: which groups, versions and kinds there are, in both forms that clients ask for, and `OpenAPI`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::resources::{Registry, Resource};

/// The version of Kubernetes that is stood in for.
pub const VERSION: &str = "v1.36.4+k3s1-stand-in";

/// Verbs of every kind.
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// `/version`
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": VERSION, "gitCommit": "stand-in", "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z", "goVersion": "stand-in", "compiler": "rustc", "platform": "linux",
    })
}

/// `/api`
pub fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`
pub fn groups(registry: &Registry) -> Value {
    let groups: Vec<Value> =
        grouped(registry).iter().map(|(group, versions)| self::group(group, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`
pub fn one_group(registry: &Registry, name: &str) -> Option<Value> {
    let mut shown = group(name, grouped(registry).get(name)?);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("kind".to_owned(), "APIGroup".into());
        fields.insert("apiVersion".to_owned(), "v1".into());
    }
    Some(shown)
}

fn grouped(registry: &Registry) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (group, version) in registry.versions() {
        if !group.is_empty() {
            groups.entry(group).or_default().push(version);
        }
    }
    groups
}

fn group(name: &str, versions: &[String]) -> Value {
    let listed: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    // The newest stable version sorts first among those without a suffix.
    let preferred = listed.iter().find(|one| {
        one["version"].as_str().is_some_and(|name| !name.contains("alpha") && !name.contains("beta"))
    });
    json!({"name": name, "versions": listed, "preferredVersion": preferred.or(listed.first())})
}

/// `/api/v1`, `/apis/GROUP/VERSION`
pub fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    if !registry.versions().iter().any(|(one, other)| one == group && other == version) {
        return None;
    }
    let mut listed = Vec::new();
    for one in registry.iter().filter(|one| one.group == group && one.version == version) {
        listed.push(json!({
            "name": one.plural, "singularName": one.singular, "namespaced": one.is_namespaced, "kind": one.kind,
            "verbs": VERBS, "shortNames": one.short, "categories": one.categories,
        }));
        if one.has_status {
            listed.push(json!({
                "name": format!("{}/status", one.plural), "singularName": "", "namespaced": one.is_namespaced,
                "kind": one.kind, "verbs": ["get", "patch", "update"],
            }));
        }
    }
    for (plural, kind) in reviews(group) {
        listed.push(json!({"name": plural, "singularName": "", "namespaced": false, "kind": kind, "verbs": ["create"]}));
    }
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": listed}),
    )
}

/// What is asked by creating an object that is not kept.
fn reviews(group: &str) -> &'static [(&'static str, &'static str)] {
    match group {
        "authorization.k8s.io" => &[("selfsubjectaccessreviews", "SelfSubjectAccessReview")],
        "authentication.k8s.io" => &[("selfsubjectreviews", "SelfSubjectReview")],
        _ => &[],
    }
}

/// Aggregated discovery (`apidiscovery.k8s.io/v2`) of the core group or of all others.
pub fn aggregated(registry: &Registry, is_core: bool) -> Value {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (group, version) in registry.versions().into_iter().filter(|(group, _)| group.is_empty() == is_core) {
        let of_version = registry.iter().filter(|one| one.group == group && one.version == version);
        let mut listed: Vec<Value> = of_version.map(|one| aggregated_resource(one)).collect();
        for (plural, kind) in reviews(&group) {
            listed.push(json!({
                "resource": plural, "scope": "Cluster", "singularResource": "", "verbs": ["create"],
                "responseKind": {"group": group, "version": version, "kind": kind},
            }));
        }
        groups
            .entry(group)
            .or_default()
            .push(json!({"version": version, "resources": listed, "freshness": "Current"}));
    }
    let items: Vec<Value> = groups
        .iter()
        .map(|(name, versions)| json!({"metadata": {"name": name}, "versions": versions}))
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(one: &Resource) -> Value {
    let kind = json!({"group": one.group, "version": one.version, "kind": one.kind});
    let mut shown = json!({
        "resource": one.plural, "responseKind": kind, "singularResource": one.singular,
        "scope": if one.is_namespaced { "Namespaced" } else { "Cluster" },
        "verbs": VERBS, "shortNames": one.short, "categories": one.categories,
    });
    if let (true, Some(fields)) = (one.has_status, shown.as_object_mut()) {
        let status =
            json!([{"subresource": "status", "responseKind": kind, "verbs": ["get", "patch", "update"]}]);
        fields.insert("subresources".to_owned(), status);
    }
    shown
}

/// `/openapi/v3`
pub fn openapi_index(registry: &Registry) -> Value {
    let paths: serde_json::Map<String, Value> = registry
        .versions()
        .into_iter()
        .map(|(group, version)| {
            let path =
                if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            let url = format!("/openapi/v3/{path}?hash=stand-in");
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// `/openapi/v3/…`: kubectl looks in it for the parameter `fieldValidation`, and shows schemas.
pub fn openapi(registry: &Registry, group: &str, version: &str) -> Value {
    let mut paths = serde_json::Map::new();
    let mut schemas = serde_json::Map::new();
    for one in registry.iter().filter(|one| one.group == group && one.version == version) {
        let kind = json!({"group": one.group, "version": one.version, "kind": one.kind});
        let base =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let namespace = if one.is_namespaced { "/namespaces/{namespace}" } else { "" };
        let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
        let parameters =
            json!([parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")]);
        let operation = |action: &str, parameters: &Value| {
            json!({"parameters": parameters, "responses": {}, "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": kind})
        };
        paths.insert(
            format!("{base}{namespace}/{}", one.plural),
            json!({"get": operation("list", &json!([])), "post": operation("post", &parameters)}),
        );
        paths.insert(
            format!("{base}{namespace}/{}/{{name}}", one.plural),
            json!({
                "get": operation("get", &json!([])), "put": operation("put", &parameters),
                "patch": operation("patch", &parameters), "delete": operation("delete", &json!([parameter("dryRun")])),
            }),
        );
        let mut schema = match &one.custom {
            Some(custom) => custom.schema.as_json().clone(),
            None => json!({"type": "object", "description": "kept as it is by the k3s stand-in"}),
        };
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([kind]));
        }
        schemas.insert(format!("{}.{}.{}", one.group, one.version, one.kind), schema);
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes (stand-in)", "version": VERSION},
        "paths": paths, "components": {"schemas": schemas},
    })
}

/// `/openapi/v2` as protobuf (gnostic's `openapiv2.Document`), with the version, a title and no paths: kubectl asks
/// for it and does well without.
pub fn openapi_v2() -> Vec<u8> {
    let field = |number: u8, value: &[u8]| {
        let mut field = vec![number << 3 | 2, u8::try_from(value.len()).unwrap_or_default()];
        field.extend(value);
        field
    };
    let info = [field(1, b"stand-in"), field(2, b"v1")].concat();
    [field(1, b"2.0"), field(2, &info), field(8, &[])].concat()
}
