//! SSH keys.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::{Answer, kept_in, show};
use crate::call::Call;
use crate::error::ApiError;
use crate::page::Shape;
use crate::state::{Head, Kind, Resource, State};

#[derive(Clone, Debug)]
pub(crate) struct SshKey {
    head: Head,
    pub(crate) public_key: String,
    fingerprint: String,
}

impl Resource for SshKey {
    const KIND: Kind = Kind::SshKey;
    const SHAPE: Shape = Shape {
        name: "ssh_keys",
        sort: &["id", "name"],
        filters: &[("name", &[]), ("fingerprint", &[])],
        has_labels: true,
    };
    kept_in!(ssh_keys);

    fn json(&self, _state: &State) -> Value {
        json!({
            "id": self.head.id, "name": self.head.name, "created": self.head.created.to_string(),
            "labels": self.head.labels, "fingerprint": self.fingerprint, "public_key": self.public_key,
        })
    }
}

pub(crate) fn create(call: &mut Call<'_>) -> Answer {
    let body = call.body()?;
    let input = Call::input(&body)?;
    let name = input.maybe_name("name")?.ok_or_else(|| input.fault("name", "is required"))?;
    let public_key = input.text("public_key")?.trim();
    let labels = input.labels()?;
    let fingerprint =
        fingerprint(public_key).ok_or_else(|| input.fault("public_key", "is no key in OpenSSH's form"))?;
    call.state.check_limit(Kind::SshKey)?;
    call.state.ssh_keys.check_name(name, None)?;
    if call.state.ssh_keys.iter().any(|key| key.fingerprint == fingerprint) {
        return Err(ApiError::not_unique("public_key", "SSH key with the same fingerprint already exists"));
    }
    let head = call.state.head(name, labels);
    let id = head.id;
    call.state.ssh_keys.insert(SshKey { head, public_key: public_key.to_owned(), fingerprint });
    Ok(show::<SshKey>(call, id, 201))
}

/// MD5 in hexadecimal, as the API has it. The blob begins with the name of its algorithm (RFC 4253, 6.6).
fn fingerprint(public_key: &str) -> Option<String> {
    let mut parts = public_key.split_whitespace();
    let (algorithm, encoded) = (parts.next()?, parts.next()?);
    let blob = BASE64_STANDARD.decode(encoded).ok()?;
    let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?);
    let named = blob.get(4..usize::try_from(length).ok()?.checked_add(4)?)?;
    let bytes = Md5::digest(&blob);
    let pairs = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    (named == algorithm.as_bytes()).then_some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        // `ssh-keygen -l -E md5` says the same.
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKUoMdhCnH0zLXVBmAcHQQI8HfLJp3jdqCHzqdDTk3aG me";
        assert_eq!(fingerprint(key).as_deref(), Some("1c:3e:a0:ce:58:e0:9f:7f:47:25:69:db:d8:4f:61:98"));
        for broken in ["", "ssh-ed25519", "ssh-ed25519 !", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA", "ssh-rsa AAAA"]
        {
            assert_eq!(fingerprint(broken), None, "{broken}");
        }
    }
}
