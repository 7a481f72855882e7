//! The `ar` container that a .deb is.
//!
//! ```text
//! "!<arch>\n" | header (60 bytes of text) | content | padding to an even offset | header | …
//! ```
//!
//! Subset: the short names Debian allows (deb(5)); the GNU and BSD forms of long names are not read.

use std::io::{self, Read, Seek, SeekFrom, Take};

use thiserror::Error;

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_SIZE: u64 = 60;
/// Ends every member header.
const HEADER_END: &[u8] = b"`\n";

/// Why a file is no readable `ar` archive. Offsets count bytes from the start of the file.
#[derive(Debug, Error)]
pub enum ArError {
    /// The file does not begin with the archive magic.
    #[error("the file begins with {found:02x?}, not with the magic of an ar archive")]
    Magic {
        /// The first bytes, at most eight.
        found: Vec<u8>,
    },
    /// A member header lacks its end mark, or a field is no number.
    #[error("no member header at byte {offset}")]
    Header {
        /// Where the header should be.
        offset: u64,
    },
    /// The file ends inside a member header.
    #[error("the file ends at byte {length}, inside the member header at byte {offset}")]
    HeaderTruncated {
        /// Where the header begins.
        offset: u64,
        /// Size of the file.
        length: u64,
    },
    /// The file ends inside a member's content.
    #[error("member `{member}` at byte {offset} has {size} bytes, the file only {available} more")]
    Truncated {
        /// Name of the member.
        member: String,
        /// Where its content begins.
        offset: u64,
        /// Size by its header.
        size: u64,
        /// Bytes from there to the end of the file.
        available: u64,
    },
    /// The file cannot be read.
    #[error("unreadable at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
}

/// Appends a member to the archive in `archive`, beginning it where there is none.
pub fn append(archive: &mut Vec<u8>, name: &str, content: &[u8]) {
    if archive.is_empty() {
        archive.extend_from_slice(MAGIC);
    }
    let (time, owner, group, mode, size) = (0, 0, 0, 100_644, content.len());
    let fields = format!("{name:<16}{time:<12}{owner:<6}{group:<6}{mode:<8}{size:<10}");
    archive.extend_from_slice(fields.as_bytes());
    archive.extend_from_slice(HEADER_END);
    archive.extend_from_slice(content);
    if archive.len() % 2 == 1 {
        archive.push(b'\n');
    }
}

/// One member's name and place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// Name without padding and trailing slash.
    pub name: String,
    /// Where its content begins, in bytes.
    pub offset: u64,
    /// Size of its content in bytes.
    pub size: u64,
}

/// Walks the members of an archive in order.
#[derive(Debug)]
pub struct Archive<R> {
    reader: R,
    /// Size of the whole file.
    length: u64,
    /// Where the next header begins.
    next: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Opens an archive by its magic.
    pub fn open(mut reader: R) -> Result<Self, ArError> {
        let at_start = |source| ArError::Read { offset: 0, source };
        let length = reader.seek(SeekFrom::End(0)).map_err(at_start)?;
        reader.rewind().map_err(at_start)?;
        let mut found = Vec::with_capacity(MAGIC.len());
        reader.by_ref().take(8).read_to_end(&mut found).map_err(at_start)?;
        if found != MAGIC {
            return Err(ArError::Magic { found });
        }
        Ok(Self { reader, length, next: 8 })
    }

    /// The next member, or none at the end of the archive.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArError> {
        let offset = self.next;
        if offset >= self.length {
            return Ok(None);
        }
        if self.length - offset < HEADER_SIZE {
            return Err(ArError::HeaderTruncated { offset, length: self.length });
        }
        let mut header = [0_u8; 60];
        let unreadable = |source| ArError::Read { offset, source };
        self.reader.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        self.reader.read_exact(&mut header).map_err(unreadable)?;
        let member = parse_header(&header, offset).ok_or(ArError::Header { offset })?;
        let available = self.length - member.offset;
        if member.size > available {
            let Member { name: member, offset, size } = member;
            return Err(ArError::Truncated { member, offset, size, available });
        }
        let end = member.offset + member.size;
        self.next = end + end % 2;
        Ok(Some(member))
    }

    /// The content of `member`, which this archive's [`Self::next_member`] gave.
    pub fn content(&mut self, member: &Member) -> Result<Take<&mut R>, ArError> {
        let offset = member.offset;
        self.reader.seek(SeekFrom::Start(offset)).map_err(|source| ArError::Read { offset, source })?;
        Ok(self.reader.by_ref().take(member.size))
    }
}

/// Reads name and size of a header at `offset`; the fields between (time, owner, mode) mean nothing in a .deb.
fn parse_header(header: &[u8; 60], offset: u64) -> Option<Member> {
    let text = std::str::from_utf8(header.strip_suffix(HEADER_END)?).ok()?;
    let name = text.get(..16)?.trim_end_matches(' ');
    let name = name.strip_suffix('/').unwrap_or(name);
    let size = text.get(48..58)?.trim_end_matches(' ');
    // `parse` would take a sign.
    if name.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Member { name: name.to_owned(), offset: offset + HEADER_SIZE, size: size.parse().ok()? })
}
