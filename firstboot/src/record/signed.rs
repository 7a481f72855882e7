//! Records that a cluster's operator vouches for. A medium that carries a cluster record is configured by no other.

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{NodeRecord, RecordError, parse};
use crate::cluster::ClusterRecord;
use crate::document::{self, Document};

/// A record in a signed document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    /// The record, judged by its own rules once the signature is.
    record: Value,
}

impl Document for Signed {
    const KIND: &'static str = "record";
    const VERSION: u32 = 1;
}

/// Signs a record with the operator's key.
pub fn sign(record: &NodeRecord, key: &SigningKey) -> Result<String, serde_json::Error> {
    document::sign(&Signed { record: serde_json::to_value(record)? }, key)
}

/// Opens a record: of `cluster` and signed by its operator, or, on a medium without a cluster record, a plain one.
pub fn open(text: &[u8], cluster: Option<&ClusterRecord>) -> Result<NodeRecord, RecordError> {
    let is_signed = text.trim_ascii_start().starts_with(b"imgbuild-");
    let Some(cluster) = cluster else {
        return if is_signed { Err(RecordError::NoCluster) } else { parse(text) };
    };
    if !is_signed {
        return Err(RecordError::Unsigned { cluster: cluster.name.clone() });
    }
    let Signed { record } = document::open(text, &cluster.operator_key)?;
    let record = parse(record.to_string().as_bytes())?;
    if record.cluster.name != cluster.name {
        return Err(RecordError::Cluster { found: record.cluster.name, own: cluster.name.clone() });
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::tests::{example as cluster, operator_key, ticket_key};
    use crate::record::example;

    fn refusal(text: &str, cluster: Option<&ClusterRecord>) -> String {
        open(text.as_bytes(), cluster).unwrap_err().to_string()
    }

    #[test]
    fn a_medium_of_a_cluster_takes_what_its_operator_has_signed_and_nothing_else() {
        let plain = serde_json::to_vec(&example()).unwrap();
        let signed = sign(&example(), &operator_key()).unwrap();
        assert_eq!(open(&plain, None).unwrap(), example());
        assert_eq!(open(format!("{signed}\n").as_bytes(), Some(&cluster())).unwrap(), example());
        let unsigned = refusal(&String::from_utf8(plain).unwrap(), Some(&cluster()));
        assert_eq!(
            unsigned,
            "this medium is of cluster `demo`, and the record is not signed by its operator"
        );
        assert_eq!(refusal(&signed, None), "the record is signed, and no cluster record is beside it");
        let forged = sign(&example(), &ticket_key()).unwrap();
        assert!(refusal(&forged, Some(&cluster())).starts_with("record is not signed by key "));
        let other = ClusterRecord { name: "other".to_owned(), ..cluster() };
        assert_eq!(
            refusal(&signed, Some(&other)),
            "the record is of cluster `demo`, this medium is of `other`"
        );
        let mut wrong = example();
        wrong.node.name = "../etc".to_owned();
        let wrong = sign(&wrong, &operator_key()).unwrap();
        assert!(refusal(&wrong, Some(&cluster())).starts_with("`node.name` is `../etc`, not a DNS label"));
    }
}
