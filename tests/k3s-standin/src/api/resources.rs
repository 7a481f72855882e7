//! Which kinds there are: those of Kubernetes that the stand-in keeps, and those of custom resource definitions.

use std::sync::Arc;

use serde_json::Value;

use super::schema::Schema;

/// One kind in one version.
#[derive(Clone, Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural, as in paths.
    pub plural: String,
    /// Singular.
    pub singular: String,
    /// Short names of kubectl.
    pub short: Vec<String>,
    /// kubectl's `all` and the like.
    pub categories: Vec<String>,
    /// Whether it lies in namespaces.
    pub is_namespaced: bool,
    /// Whether `/status` is apart.
    pub has_status: bool,
    /// Of custom resources only.
    pub custom: Option<Custom>,
}

/// What a definition says about a custom resource.
#[derive(Clone, Debug)]
pub struct Custom {
    /// Of its objects.
    pub schema: Arc<Schema>,
    /// `additionalPrinterColumns`.
    pub columns: Vec<Value>,
}

impl Resource {
    /// `group/version`, or `v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `plural.group`, as in messages.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// A built-in kind.
    pub fn is_builtin(&self) -> bool {
        self.custom.is_none()
    }
}

/// (API version, kind, plural, short names, `n` namespaced, `s` with status, `a` in kubectl's `all`)
const BUILTIN: &[(&str, &str, &str, &str, &str)] = &[
    ("v1", "ConfigMap", "configmaps", "cm", "n"),
    ("v1", "Endpoints", "endpoints", "ep", "n"),
    ("v1", "Event", "events", "ev", "n"),
    ("v1", "LimitRange", "limitranges", "limits", "n"),
    ("v1", "Namespace", "namespaces", "ns", "s"),
    ("v1", "Node", "nodes", "no", "s"),
    ("v1", "PersistentVolume", "persistentvolumes", "pv", "s"),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "ns"),
    ("v1", "Pod", "pods", "po", "nsa"),
    ("v1", "ReplicationController", "replicationcontrollers", "rc", "nsa"),
    ("v1", "ResourceQuota", "resourcequotas", "quota", "ns"),
    ("v1", "Secret", "secrets", "", "n"),
    ("v1", "Service", "services", "svc", "nsa"),
    ("v1", "ServiceAccount", "serviceaccounts", "sa", "n"),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        "",
        "",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "",
        "",
    ),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", "crd,crds", "s"),
    ("apiregistration.k8s.io/v1", "APIService", "apiservices", "", "s"),
    ("apps/v1", "ControllerRevision", "controllerrevisions", "", "n"),
    ("apps/v1", "DaemonSet", "daemonsets", "ds", "nsa"),
    ("apps/v1", "Deployment", "deployments", "deploy", "nsa"),
    ("apps/v1", "ReplicaSet", "replicasets", "rs", "nsa"),
    ("apps/v1", "StatefulSet", "statefulsets", "sts", "nsa"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "nsa"),
    ("batch/v1", "CronJob", "cronjobs", "cj", "nsa"),
    ("batch/v1", "Job", "jobs", "", "nsa"),
    ("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", "csr", "s"),
    ("coordination.k8s.io/v1", "Lease", "leases", "", "n"),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", "", "n"),
    ("networking.k8s.io/v1", "Ingress", "ingresses", "ing", "ns"),
    ("networking.k8s.io/v1", "IngressClass", "ingressclasses", "", ""),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", "netpol", "n"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", "ns"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", "", ""),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", "", ""),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", "", "n"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", "", "n"),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "pc", ""),
    ("storage.k8s.io/v1", "CSIDriver", "csidrivers", "", ""),
    ("storage.k8s.io/v1", "CSINode", "csinodes", "", ""),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", "sc", ""),
];

/// All kinds of one moment.
#[derive(Clone, Debug)]
pub struct Registry {
    resources: Vec<Arc<Resource>>,
}

impl Registry {
    /// The built-in kinds and those of `definitions`.
    pub fn new<'a>(definitions: impl Iterator<Item = &'a Value>) -> Self {
        let builtin = BUILTIN.iter().map(|(api_version, kind, plural, short, flags)| {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: (*kind).to_owned(),
                plural: (*plural).to_owned(),
                singular: kind.to_lowercase(),
                short: short.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
                categories: flags.contains('a').then(|| "all".to_owned()).into_iter().collect(),
                is_namespaced: flags.contains('n'),
                has_status: flags.contains('s'),
                custom: None,
            }
        });
        let custom = definitions.flat_map(of_definition);
        Self { resources: builtin.chain(custom).map(Arc::new).collect() }
    }

    /// All, the built-in ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.iter()
    }

    /// By path.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.iter().find(|one| one.group == group && one.version == version && one.plural == plural)
    }

    /// By what objects say of themselves.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.iter().find(|one| one.kind == kind && one.api_version() == api_version)
    }

    /// Groups with their versions, in a constant order, the core group first.
    pub fn versions(&self) -> Vec<(String, String)> {
        let mut versions: Vec<(String, String)> =
            self.iter().map(|one| (one.group.clone(), one.version.clone())).collect();
        // Paths without objects of their own.
        versions.push(("authorization.k8s.io".to_owned(), "v1".to_owned()));
        versions.push(("authentication.k8s.io".to_owned(), "v1".to_owned()));
        versions.sort();
        versions.dedup();
        versions
    }
}

/// The served versions of a definition.
fn of_definition(definition: &Value) -> Vec<Resource> {
    let text =
        |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let texts = |pointer: &str| {
        let list = definition.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let versions =
        definition.pointer("/spec/versions").and_then(Value::as_array).cloned().unwrap_or_default();
    let served = versions.iter().filter(|version| version.get("served") == Some(&Value::Bool(true)));
    served
        .map(|version| Resource {
            group: text("/spec/group"),
            version: version.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            kind: text("/spec/names/kind"),
            plural: text("/spec/names/plural"),
            singular: Some(text("/spec/names/singular"))
                .filter(|singular| !singular.is_empty())
                .unwrap_or_else(|| text("/spec/names/kind").to_lowercase()),
            short: texts("/spec/names/shortNames"),
            categories: texts("/spec/names/categories"),
            is_namespaced: text("/spec/scope") == "Namespaced",
            has_status: version.pointer("/subresources/status").is_some(),
            custom: Some(Custom {
                schema: Arc::new(Schema::new(version.pointer("/schema/openAPIV3Schema"))),
                columns: version
                    .get("additionalPrinterColumns")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default(),
            }),
        })
        .collect()
}
