//! Faults on demand.

/// What goes wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FaultKind {
    /// Not carried out; answered with a status and an error of S3.
    Answer {
        /// HTTP status.
        status: u16,
        /// For programs.
        code: &'static str,
    },
    /// Not carried out; answered with a text.
    Text {
        /// HTTP status.
        status: u16,
        /// The text.
        body: &'static str,
    },
    /// The connection is closed before the request is carried out.
    CloseBefore,
    /// The connection is closed after the request was carried out: its outcome is unknown.
    CloseAfter,
    /// Carried out, and not answered.
    Hang,
}

/// A fault, and the requests that it meets.
#[derive(Clone, Debug)]
pub struct Fault {
    request: Option<String>,
    after: u64,
    times: u64,
    kind: FaultKind,
}

impl Fault {
    /// Meets every request of a method and path, `PUT /lab-etcd`, until it is told otherwise.
    pub fn on(request: &str, kind: FaultKind) -> Self {
        Self { request: Some(request.to_owned()), after: 0, times: u64::MAX, kind }
    }

    /// The same for requests of any method and path.
    pub fn on_any(kind: FaultKind) -> Self {
        Self { request: None, after: 0, times: u64::MAX, kind }
    }

    /// Passes over the first so many of them.
    #[must_use]
    pub fn after(self, after: u64) -> Self {
        Self { after, ..self }
    }

    /// Meets so many of them.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    /// What a request meets.
    pub(crate) fn meet(&mut self, request: &str) -> Option<FaultKind> {
        if self.request.as_ref().is_some_and(|own| own != request) {
            return None;
        }
        if self.after > 0 {
            self.after -= 1;
            return None;
        }
        let is_met = self.times > 0;
        self.times = self.times.saturating_sub(1);
        is_met.then(|| self.kind.clone())
    }
}
