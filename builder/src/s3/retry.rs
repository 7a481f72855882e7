//! Which failures are worth another try: what AWS's own tools repeat (`SlowDown`, `InternalError`, `RequestTimeout`, the
//! statuses 429 and 5xx), and connections that break. All requests are such that they may be repeated.

use std::time::Duration;

use super::S3Error;
use crate::hetzner::Pace;

/// Whether another try may end otherwise.
fn is_passing(error: &S3Error) -> bool {
    match error {
        S3Error::Refused(refusal) => {
            let code = refusal.code.as_str();
            matches!(code, "OperationAborted" | "RequestTimeout" | "SlowDown" | "Throttling")
                || is_passing_status(refusal.status) && code != "NotImplemented"
        }
        S3Error::Status { status, .. } => is_passing_status(*status),
        S3Error::Transport { is_sent, is_known, .. } if *is_sent || *is_known => true,
        S3Error::Transport { source, .. } => source.is_timeout(),
        _ => false,
    }
}

const fn is_passing_status(status: u16) -> bool {
    matches!(status, 429 | 500 | 502..=504)
}

/// The pause before the next try, or none where the failure stays.
pub(super) fn pause(pace: &Pace, failed: u32, error: &S3Error) -> Option<Duration> {
    if failed >= pace.retries || !is_passing(error) {
        return None;
    }
    Some(pace.backoff(failed, pace.longest_pause))
}
