//! Kubernetes paths: from a request to a verb on the cluster's objects.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde_json::{Value, json};

use super::body::{self, Body};
use super::query::Query;
use super::watch::{self, Watch};
use crate::api::patch::PatchKind;
use crate::api::protobuf::{self, ProtobufError};
use crate::api::resources::Resource;
use crate::api::selector::Selector;
use crate::api::status::Status;
use crate::api::{discovery, table};
use crate::auth::User;
use crate::auth::rbac::{self, Access};
use crate::cluster::{Cluster, Deletion, Write};
use crate::yaml;

/// What a path names.
#[derive(Debug, Default)]
struct Target {
    group: String,
    version: String,
    namespace: String,
    resource: String,
    name: String,
    subresource: String,
}

/// Answers a request of a known user.
pub(super) async fn answer(cluster: Arc<Cluster>, user: User, request: Request<Incoming>) -> Response<Body> {
    match dispatch(cluster, user, request).await {
        Ok(response) => response,
        Err(status) => body::refuse(&status),
    }
}

async fn dispatch(
    cluster: Arc<Cluster>,
    user: User,
    request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let path = request.uri().path().to_owned();
    let segments: Vec<String> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let target = target(&segments);
    let Some(target) = target.filter(|target| !target.resource.is_empty()) else {
        return without_objects(&cluster, &user, &path, &segments, &request);
    };
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let selector = Selector::parse(query.get("labelSelector"), query.get("fieldSelector"))?;
    let is_watch = query.flag("watch") && request.method() == Method::GET && target.name.is_empty();
    let verb = verb(request.method(), &target, is_watch)?;
    let access = Access {
        verb,
        group: &target.group,
        resource: &target.resource,
        subresource: &target.subresource,
        namespace: &target.namespace,
        // One object by its name is asked for by a list or watch too.
        name: if target.name.is_empty() { selector.name().unwrap_or_default() } else { &target.name },
    };
    if !rbac::is_allowed(&cluster, &user, &access) {
        return Err(forbidden(&user, &access));
    }
    if matches!(target.resource.as_str(), "selfsubjectaccessreviews" | "selfsubjectreviews") {
        return review(&cluster, &user, &target, request).await;
    }
    let registry = cluster.registry();
    let resource = registry
        .find(&target.group, &target.version, &target.resource)
        .cloned()
        .ok_or_else(Status::no_path)?;
    match target.subresource.as_str() {
        "" => {}
        "status" if resource.has_status => {}
        _ => return Err(Status::no_path()),
    }
    let namespace = (!target.namespace.is_empty()).then(|| target.namespace.clone());
    let as_table = wants_table(&request);
    match verb {
        "get" => {
            let object = cluster.get(&resource, &target.namespace, &target.name)?;
            Ok(body::json(200, &shown(&resource, object, as_table)))
        }
        "list" => {
            let (objects, revision) = cluster.list(&resource, namespace.as_deref(), &selector);
            Ok(body::json(200, &list(&resource, &objects, revision, as_table)))
        }
        "watch" => Ok(watch::start(Watch { cluster, resource, namespace, selector, as_table, query })),
        "delete" | "deletecollection" => {
            let content_type = body::header(&request, "content-type").to_owned();
            let body = body::read(request).await?;
            let options = if body.is_empty() { Value::Null } else { parse(&content_type, &body)? };
            let deletion = Deletion::parse(&options, query.flag("dryRun"));
            if verb == "delete" {
                let (told, _) = cluster.delete(&resource, &target.namespace, &target.name, &deletion)?;
                return Ok(body::json(200, &told));
            }
            let gone = cluster.delete_all(&resource, namespace.as_deref(), &selector, &deletion)?;
            Ok(body::json(200, &list(&resource, &gone, 0, false)))
        }
        _ => write(&cluster, &target, &resource, &query, request).await,
    }
}

async fn write(
    cluster: &Cluster,
    target: &Target,
    resource: &Resource,
    query: &Query,
    request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let method = request.method().clone();
    let content_type = body::header(&request, "content-type").to_owned();
    let agent = body::header(&request, "user-agent").split('/').next().unwrap_or_default().to_owned();
    let as_table = wants_table(&request);
    let manager = Some(query.get("fieldManager")).filter(|manager| !manager.is_empty()).unwrap_or(&agent);
    let kind = PatchKind::of(&content_type);
    let write = Write {
        // Apply has no default: who applies must say who they are.
        manager: if kind == Some(PatchKind::Apply) { query.get("fieldManager") } else { manager },
        subresource: (!target.subresource.is_empty()).then_some(target.subresource.as_str()),
        is_dry: query.flag("dryRun"),
        is_strict: query.get("fieldValidation") == "Strict",
        is_forced: query.flag("force"),
        ..Write::by(resource, &target.namespace, "")
    };
    let object = parse(&content_type, &body::read(request).await?)?;
    let (code, object) = match method {
        Method::POST => (201, cluster.create(&write, object)?),
        Method::PUT => (200, cluster.update(&write, &target.name, object)?),
        _ => {
            let kind = kind.ok_or_else(|| Status::unsupported_media_type(&content_type))?;
            let (object, is_new) = cluster.patch(&write, &target.name, kind, &object)?;
            (if is_new { 201 } else { 200 }, object)
        }
    };
    Ok(body::json(code, &shown(resource, object, as_table)))
}

fn parse(content_type: &str, body: &[u8]) -> Result<Value, Status> {
    if content_type.contains("cbor") {
        return Err(Status::unsupported_media_type(content_type));
    }
    if content_type.contains("protobuf") {
        return protobuf::parse(body).map_err(|error| match error {
            ProtobufError::Kind { .. } => Status::unsupported_media_type(&format!("{content_type}: {error}")),
            error => Status::bad_request(error.to_string()),
        });
    }
    serde_json::from_slice(body).or_else(|error| {
        let text = std::str::from_utf8(body).map_err(|_| Status::bad_request(error.to_string()))?;
        yaml::parse(text).map_err(|error| Status::bad_request(format!("the object is no YAML: {error}")))
    })
}

/// `/api/v1/…` and `/apis/GROUP/VERSION/…`
fn target(segments: &[String]) -> Option<Target> {
    let (group, version, rest) = match segments {
        [api, version, rest @ ..] if api == "api" => ("", version, rest),
        [apis, group, version, rest @ ..] if apis == "apis" => (group.as_str(), version, rest),
        _ => return None,
    };
    let mut target = Target { group: group.to_owned(), version: version.clone(), ..Target::default() };
    let rest = match rest {
        // `namespaces/NAME` alone, or one of its own subresources, is the namespace.
        [first, _] if first == "namespaces" => rest,
        [first, _, third] if first == "namespaces" && (third == "status" || third == "finalize") => rest,
        [first, namespace, rest @ ..] if first == "namespaces" => {
            target.namespace.clone_from(namespace);
            rest
        }
        rest => rest,
    };
    let part = |index: usize| rest.get(index).cloned().unwrap_or_default();
    (target.resource, target.name, target.subresource) = (part(0), part(1), part(2));
    (rest.len() <= 3).then_some(target)
}

fn verb(method: &Method, target: &Target, is_watch: bool) -> Result<&'static str, Status> {
    Ok(match (method.as_str(), target.name.is_empty()) {
        ("GET", _) if is_watch => "watch",
        ("GET", true) => "list",
        ("GET", false) => "get",
        ("POST", true) => "create",
        ("PUT", false) => "update",
        ("PATCH", false) => "patch",
        ("DELETE", true) => "deletecollection",
        ("DELETE", false) => "delete",
        _ => return Err(Status::method_not_allowed()),
    })
}

fn forbidden(user: &User, access: &Access<'_>) -> Status {
    let resource = match access.subresource {
        "" => access.resource.to_owned(),
        subresource => format!("{}/{subresource}", access.resource),
    };
    let place = match access.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let qualified = if access.group.is_empty() {
        access.resource.to_owned()
    } else {
        format!("{}.{}", access.resource, access.group)
    };
    let name = if access.name.is_empty() { String::new() } else { format!(" \"{}\"", access.name) };
    Status::forbidden(format!(
        "{qualified}{name} is forbidden: User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}",
        user.name, access.verb, access.group
    ))
}

fn wants_table(request: &Request<Incoming>) -> bool {
    body::header(request, "accept").contains("as=Table")
}

fn shown(resource: &Resource, object: Value, as_table: bool) -> Value {
    if as_table {
        let revision = object
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        return table::table(resource, &[object], &revision);
    }
    object
}

fn list(resource: &Resource, objects: &[Value], revision: u64, as_table: bool) -> Value {
    if as_table {
        return table::table(resource, objects, &revision.to_string());
    }
    json!({
        "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(),
        "metadata": {"resourceVersion": revision.to_string()}, "items": objects,
    })
}

/// `kubectl auth can-i` and `kubectl auth whoami`.
async fn review(
    cluster: &Cluster,
    user: &User,
    target: &Target,
    request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let content_type = body::header(&request, "content-type").to_owned();
    let mut object = parse(&content_type, &body::read(request).await?)?;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let status = if target.resource == "selfsubjectreviews" {
        json!({"userInfo": {"username": user.name, "groups": user.groups}})
    } else if object.pointer("/spec/nonResourceAttributes").is_some() {
        let (verb, path) =
            (text("/spec/nonResourceAttributes/verb"), text("/spec/nonResourceAttributes/path"));
        json!({"allowed": rbac::is_path_allowed(cluster, user, &verb, &path)})
    } else {
        let part = |name: &str| text(&format!("/spec/resourceAttributes/{name}"));
        let access = Access {
            verb: &part("verb"),
            group: &part("group"),
            resource: &part("resource"),
            subresource: &part("subresource"),
            namespace: &part("namespace"),
            name: &part("name"),
        };
        json!({"allowed": rbac::is_allowed(cluster, user, &access)})
    };
    if let Some(fields) = object.as_object_mut() {
        fields.insert("status".to_owned(), status);
    }
    Ok(body::json(201, &object))
}

fn without_objects(
    cluster: &Cluster,
    user: &User,
    path: &str,
    segments: &[String],
    request: &Request<Incoming>,
) -> Result<Response<Body>, Status> {
    if !rbac::is_path_allowed(cluster, user, "get", path) {
        return Err(Status::forbidden(format!(
            "forbidden: User \"{}\" cannot {} path \"{path}\"",
            user.name,
            request.method().as_str().to_lowercase()
        )));
    }
    let registry = cluster.registry();
    let accept = body::header(request, "accept");
    let wants_aggregated = accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2;");
    let aggregated = |is_core| {
        body::response(
            200,
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            discovery::aggregated(&registry, is_core).to_string(),
        )
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let value = match segments.as_slice() {
        ["version"] => discovery::version(),
        ["healthz" | "livez" | "readyz", ..] => return Ok(body::response(200, "text/plain", "ok")),
        ["api"] if wants_aggregated => return Ok(aggregated(true)),
        ["apis"] if wants_aggregated => return Ok(aggregated(false)),
        ["api"] => discovery::core_versions(),
        ["apis"] => discovery::groups(&registry),
        ["api", version] => discovery::resources(&registry, "", version).ok_or_else(Status::no_path)?,
        ["apis", group] => discovery::one_group(&registry, group).ok_or_else(Status::no_path)?,
        ["apis", group, version] => {
            discovery::resources(&registry, group, version).ok_or_else(Status::no_path)?
        }
        ["openapi", "v3"] => discovery::openapi_index(&registry),
        ["openapi", "v3", "api", version] => discovery::openapi(&registry, "", version),
        ["openapi", "v3", "apis", group, version] => discovery::openapi(&registry, group, version),
        ["openapi", "v2"] => {
            let kind = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
            return Ok(body::response(200, kind, discovery::openapi_v2()));
        }
        _ => return Err(Status::no_path()),
    };
    Ok(body::json(200, &value))
}
