//! May this user do that: role bindings and roles as they lie in the cluster, and the rules for kubelets.

use serde_json::Value;

use super::{MASTERS, User};
use crate::api::selector::Selector;
use crate::cluster::Cluster;

/// Paths without objects that everybody known may read (cluster roles `system:discovery` and
/// `system:public-info-viewer`).
const OPEN_PATHS: [&str; 7] = ["/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz"];

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// `get`, `list`, `create`, …
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// Plural name.
    pub resource: &'a str,
    /// Empty: none.
    pub subresource: &'a str,
    /// Empty: all, or none.
    pub namespace: &'a str,
    /// Empty: no single object.
    pub name: &'a str,
}

/// Whether `user` may.
pub fn is_allowed(cluster: &Cluster, user: &User, access: &Access<'_>) -> bool {
    if user.is_in(MASTERS) || is_self_review(access) {
        return true;
    }
    if let Some(node) = user.node()
        && is_allowed_to_node(node, access)
    {
        return true;
    }
    rules(cluster, user, access.namespace).iter().any(|rule| grants(rule, access))
}

/// Whether `user` may read a path without objects.
pub fn is_path_allowed(cluster: &Cluster, user: &User, verb: &str, path: &str) -> bool {
    let is_open =
        |open: &str| path.strip_prefix(open).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if user.is_in(MASTERS) || (verb == "get" && OPEN_PATHS.into_iter().any(is_open)) {
        return true;
    }
    let names = |rule: &Value, field: &str, wanted: &dyn Fn(&str) -> bool| {
        rule.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).any(wanted)
    };
    rules(cluster, user, "").iter().any(|rule| {
        names(rule, "verbs", &|own| own == "*" || own == verb)
            && names(rule, "nonResourceURLs", &|own| match own.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => own == path,
            })
    })
}

fn is_self_review(access: &Access<'_>) -> bool {
    access.verb == "create" && matches!(access.resource, "selfsubjectaccessreviews" | "selfsubjectreviews")
}

/// Kubelets (Kubernetes, node authorizer and `NodeRestriction`): their own Node and lease; what they need to read.
fn is_allowed_to_node(node: &str, access: &Access<'_>) -> bool {
    let reads = matches!(access.verb, "get" | "list" | "watch");
    match (access.group, access.resource) {
        ("", "nodes") if reads => access.name == node || access.name.is_empty(),
        ("", "nodes") => match access.verb {
            "create" => true,
            "update" | "patch" => access.name == node,
            // A kubelet may not delete its Node (NodeRestriction).
            _ => false,
        },
        ("coordination.k8s.io", "leases") => {
            access.namespace == "kube-node-lease" && (access.name == node || access.verb == "create")
        }
        ("", "events") => matches!(access.verb, "create" | "patch" | "update"),
        ("", "services") | ("discovery.k8s.io", "endpointslices") | ("storage.k8s.io", "csidrivers") => reads,
        ("", "pods") => reads || access.subresource == "status",
        ("certificates.k8s.io", "certificatesigningrequests") => access.verb == "create",
        _ => false,
    }
}

/// All rules that bind `user` in `namespace`; only cluster-wide ones if it is empty.
fn rules(cluster: &Cluster, user: &User, namespace: &str) -> Vec<Value> {
    const API: &str = "rbac.authorization.k8s.io/v1";
    let list = |kind: &str, namespace: Option<&str>| {
        let Ok(resource) = cluster.kind(API, kind) else { return Vec::new() };
        cluster.list(&resource, namespace, &Selector::default()).0
    };
    let mut bindings: Vec<(Value, &str)> =
        list("ClusterRoleBinding", None).into_iter().map(|binding| (binding, "")).collect();
    if !namespace.is_empty() {
        bindings.extend(list("RoleBinding", Some(namespace)).into_iter().map(|binding| (binding, namespace)));
    }
    let mut rules = Vec::new();
    for (binding, namespace) in bindings.iter().filter(|(binding, _)| binds(binding, user)) {
        let text = |pointer: &str| binding.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/roleRef/kind"), text("/roleRef/name"));
        let role = cluster.kind(API, kind).and_then(|resource| cluster.get(&resource, namespace, name));
        // A binding to a role that is not there grants nothing.
        if let Ok(role) = role {
            rules.extend(role.get("rules").and_then(Value::as_array).cloned().unwrap_or_default());
        }
    }
    rules
}

fn binds(binding: &Value, user: &User) -> bool {
    let subjects = binding.get("subjects").and_then(Value::as_array);
    subjects.into_iter().flatten().any(|subject| {
        let text = |field: &str| subject.get(field).and_then(Value::as_str).unwrap_or_default();
        match text("kind") {
            "User" => text("name") == user.name,
            "Group" => user.is_in(text("name")),
            "ServiceAccount" => {
                user.name == format!("system:serviceaccount:{}:{}", text("namespace"), text("name"))
            }
            _ => false,
        }
    })
}

fn grants(rule: &Value, access: &Access<'_>) -> bool {
    let list = |field: &str| {
        rule.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    };
    let wanted = match access.subresource {
        "" => access.resource.to_owned(),
        subresource => format!("{}/{subresource}", access.resource),
    };
    let any_resource = format!("*/{}", access.subresource);
    let names: Vec<&str> = list("resourceNames").collect();
    list("verbs").any(|verb| verb == "*" || verb == access.verb)
        && list("apiGroups").any(|group| group == "*" || group == access.group)
        && list("resources")
            .any(|own| own == "*" || own == wanted || (!access.subresource.is_empty() && own == any_resource))
        && (names.is_empty() || (!access.name.is_empty() && names.contains(&access.name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::Write;

    fn access<'a>(verb: &'a str, resource: &'a str, namespace: &'a str, name: &'a str) -> Access<'a> {
        Access { verb, group: "", resource, subresource: "", namespace, name }
    }

    #[test]
    fn roles_and_bindings_decide() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster::open(&folder.path().join("log")).unwrap();
        let api = "rbac.authorization.k8s.io/v1";
        for (kind, namespace, object) in [
            (
                "ClusterRole",
                "",
                json!({"metadata": {"name": "read"}, "rules": [
                {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]},
                {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"]}]}),
            ),
            (
                "ClusterRoleBinding",
                "",
                json!({"metadata": {"name": "a"}, "roleRef": {"kind": "ClusterRole", "name": "read"},
                "subjects": [{"kind": "Group", "name": "approvers"}]}),
            ),
            (
                "RoleBinding",
                "kube-system",
                json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "read"},
                "subjects": [{"kind": "User", "name": "somebody"}]}),
            ),
        ] {
            let resource = cluster.kind(api, kind).unwrap();
            cluster.create(&Write::by(&resource, namespace, "test"), object).unwrap();
        }
        let (approver, somebody) = (User::new("a", &["approvers"]), User::new("somebody", &[]));
        for (user, access, expected) in [
            (&approver, access("list", "configmaps", "", ""), true),
            (&approver, access("get", "secrets", "default", "one"), true),
            (&approver, access("get", "secrets", "default", "two"), false),
            (&approver, access("list", "secrets", "default", ""), false),
            (&approver, access("delete", "configmaps", "default", "x"), false),
            (&somebody, access("get", "configmaps", "kube-system", "x"), true),
            (&somebody, access("get", "configmaps", "default", "x"), false),
            (&somebody, access("list", "configmaps", "", ""), false),
            (&User::new("root", &[MASTERS]), access("delete", "nodes", "", "x"), true),
        ] {
            assert_eq!(is_allowed(&cluster, user, &access), expected, "{user:?} {access:?}");
        }
    }

    #[test]
    fn a_kubelet_writes_its_own_node_only() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster::open(&folder.path().join("log")).unwrap();
        let kubelet = User::new("system:node:a", &[super::super::NODES]);
        for (access, expected) in [
            (access("patch", "nodes", "", "a"), true),
            (access("patch", "nodes", "", "b"), false),
            (access("delete", "nodes", "", "a"), false),
            (access("get", "secrets", "kube-system", "x"), false),
            (
                Access { group: "coordination.k8s.io", ..access("update", "leases", "kube-node-lease", "a") },
                true,
            ),
            (
                Access { group: "coordination.k8s.io", ..access("update", "leases", "kube-node-lease", "b") },
                false,
            ),
        ] {
            assert_eq!(is_allowed(&cluster, &kubelet, &access), expected, "{access:?}");
        }
    }
}
