//! Bootstrap tokens: Secrets that anybody who may write Secrets can make.

use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::api::selector::Selector;
use crate::auth::{BOOTSTRAPPERS, User};
use crate::cluster::{Cluster, Deletion};
use crate::output;
use crate::token::is_bootstrap;

const NAMESPACE: &str = "kube-system";
const TYPE: &str = "bootstrap.kubernetes.io/token";

/// Who bears `id.secret`, if it is one and has not expired.
pub fn bearer(cluster: &Cluster, token: &str) -> Option<User> {
    let (id, secret) = token.split_once('.').filter(|_| is_bootstrap(token))?;
    let secrets = cluster.kind("v1", "Secret").ok()?;
    let found = cluster.get(&secrets, NAMESPACE, &format!("bootstrap-token-{id}")).ok()?;
    let is_good = found.get("type").and_then(Value::as_str) == Some(TYPE)
        && data(&found, "token-id").as_deref() == Some(id)
        && data(&found, "token-secret").as_deref() == Some(secret)
        && data(&found, "usage-bootstrap-authentication").as_deref() == Some("true")
        && found.pointer("/metadata/deletionTimestamp").is_none()
        && !is_expired(&found);
    let extra = data(&found, "auth-extra-groups").unwrap_or_default();
    let extra =
        extra.split(',').filter(|group| group.starts_with("system:bootstrappers:")).map(str::to_owned);
    let groups = [BOOTSTRAPPERS.to_owned()].into_iter().chain(extra).collect();
    is_good.then(|| User { name: format!("system:bootstrap:{id}"), groups })
}

/// Removes expired tokens, as the controller manager's `tokencleaner` does.
pub fn clean(cluster: &Cluster) {
    let Ok(secrets) = cluster.kind("v1", "Secret") else { return };
    let selector = Selector::parse("", &format!("type={TYPE}")).unwrap_or_default();
    for secret in
        cluster.list(&secrets, Some(NAMESPACE), &selector).0.iter().filter(|secret| is_expired(secret))
    {
        let name = secret.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        output::info(&format!("Deleting expired secret {NAMESPACE}/{name}"));
        drop(cluster.delete(&secrets, NAMESPACE, name, &Deletion::default()));
    }
}

fn data(secret: &Value, field: &str) -> Option<String> {
    let encoded = secret.get("data")?.get(field)?.as_str()?;
    String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()
}

/// An expiration that can't be read has passed.
fn is_expired(secret: &Value) -> bool {
    data(secret, "expiration").is_some_and(|time| {
        humantime::parse_rfc3339_weak(&time).map_or(true, |time| time <= SystemTime::now())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::Write;

    #[test]
    fn a_token_counts_until_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = Cluster::open(&folder.path().join("log")).unwrap();
        let secrets = cluster.kind("v1", "Secret").unwrap();
        let make = |id: &str, expiration: &str, usage: &str| {
            let object = json!({"metadata": {"name": format!("bootstrap-token-{id}")}, "type": TYPE, "stringData": {
                "token-id": id, "token-secret": "0123456789abcdef", "expiration": expiration,
                "usage-bootstrap-authentication": usage}});
            cluster.create(&Write::by(&secrets, NAMESPACE, "test"), object).unwrap();
        };
        make("aaaaaa", "2099-01-01T00:00:00Z", "true");
        make("bbbbbb", "2020-01-01T00:00:00Z", "true");
        make("cccccc", "2099-01-01T00:00:00Z", "false");
        let user = bearer(&cluster, "aaaaaa.0123456789abcdef").unwrap();
        assert!(user.is_in(BOOTSTRAPPERS) && user.name == "system:bootstrap:aaaaaa");
        for token in [
            "aaaaaa.0123456789abcdee",
            "bbbbbb.0123456789abcdef",
            "cccccc.0123456789abcdef",
            "dddddd.0123456789abcdef",
        ] {
            assert_eq!(bearer(&cluster, token), None, "{token}");
        }
        clean(&cluster);
        let left = cluster.list(&secrets, Some(NAMESPACE), &Selector::default()).0.len();
        assert_eq!(left, 2);
    }
}
