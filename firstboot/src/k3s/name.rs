//! The name that k3s' agent has had so far: it is in the kubelet's client certificate, which the agent shows whenever it
//! asks for the next one. Under another name a server answers 400 to that (`pkg/nodepassword/validate.go`), and the agent
//! would ask the same for ever: it leaves the certificate out after a 401 alone (`pkg/agent/config/config.go`,
//! `getNodeNamedCrt`). Everything else is made anew at each start, or has no name in it.

use super::DATA;
use crate::converge::{ConvergeError, System};

/// Below the data directory; the certificate first, which alone is shown without its key, and is worth nothing then.
const CERTIFICATE: [&str; 2] = ["agent/client-kubelet.crt", "agent/client-kubelet.key"];

/// Makes the next start one of a node that has not joined yet. Only while k3s does not run.
pub(crate) fn forget(system: &System) -> Result<(), ConvergeError> {
    CERTIFICATE.into_iter().try_for_each(|file| system.ensure_absent(&format!("{DATA}/{file}")).map(drop))
}
