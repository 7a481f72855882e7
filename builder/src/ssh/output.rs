//! What a command says: as much as its caller can use, and the last of its complaints.

use bytes::Bytes as Packet;

use super::SshError;
use super::error::Ended;
use crate::printable;
use crate::units::Bytes;

/// Bytes of standard error that enter an error.
const COMPLAINT: usize = 1024;

/// Collects the output of one command.
#[derive(Debug)]
pub(super) struct Output {
    what: &'static str,
    limit: Bytes,
    said: Vec<u8>,
    complaint: Vec<u8>,
    ended: Option<Ended>,
}

impl Output {
    /// `what` is a gerund and its object, for messages; more than `limit` bytes on standard output are an error.
    pub(super) const fn new(what: &'static str, limit: Bytes) -> Self {
        Self { what, limit, said: Vec::new(), complaint: Vec::new(), ended: None }
    }

    pub(super) const fn what(&self) -> &'static str {
        self.what
    }

    pub(super) fn say(&mut self, packet: &Packet) -> Result<(), SshError> {
        self.said.extend_from_slice(packet);
        if Bytes::of(&self.said) > self.limit {
            return Err(SshError::TooLong { what: self.what, limit: self.limit });
        }
        Ok(())
    }

    pub(super) fn complain(&mut self, packet: &Packet) {
        self.complaint.extend_from_slice(packet);
        let surplus = self.complaint.len().saturating_sub(COMPLAINT);
        self.complaint.drain(..surplus);
    }

    pub(super) fn end(&mut self, ended: Ended) {
        self.ended = Some(ended);
    }

    /// Its standard output, when it ended well; nothing when nobody said how it ended.
    pub(super) fn finish(self) -> Option<Result<Vec<u8>, SshError>> {
        let result = match self.ended? {
            Ended::Status(0) => Ok(self.said),
            ended => {
                let complaint = String::from_utf8_lossy(&self.complaint).trim().to_owned();
                let complaint = printable::lines(&complaint).into_owned();
                Err(SshError::Failed { what: self.what, ended, complaint })
            }
        };
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_complaints_and_no_more_words_than_allowed() {
        let mut output = Output::new("testing", Bytes(4));
        output.say(&Packet::from_static(b"four")).unwrap();
        for _ in 0..99 {
            output.complain(&Packet::from_static(b"0123456789abcdef\x1b[2J\n"));
        }
        output.complain(&Packet::from_static(b"last"));
        let error = output.say(&Packet::from_static(b"5")).unwrap_err();
        assert_eq!(error.to_string(), "testing: the machine answers with more than 4 B");
        output.end(Ended::Status(3));
        let said = output.finish().unwrap().unwrap_err().to_string();
        assert!(said.starts_with("testing failed there with status 3:\n"), "{said}");
        assert!(said.ends_with("\\u{1b}[2J\nlast") && said.len() < 2 * COMPLAINT, "{said}");
    }

    #[test]
    fn no_end_is_no_success() {
        assert!(Output::new("testing", Bytes(4)).finish().is_none());
    }
}
