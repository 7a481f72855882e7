//! HTTP/1.1 (RFC 9112) as far as nodes need it among each other, with the API of Kubernetes and with a cloud's metadata
//! service: one request and one answer per connection, and nothing longer than it may be. Requests have a
//! `Content-Length`; answers may come in chunks.

use std::io::{self, Read, Write};

use thiserror::Error;

/// Longest head of a request or an answer, in bytes.
const LONGEST_HEAD: usize = 8 << 10;
/// Most header fields.
const MOST_FIELDS: usize = 32;

/// Why a message was not taken.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The connection failed, or was too slow.
    #[error("the connection broke off")]
    Connection(#[from] io::Error),
    /// The other end stopped in the middle.
    #[error("the message ends after {0} bytes of its head")]
    Truncated(usize),
    /// Longer than any message of ours.
    #[error("{what} is longer than {limit} bytes")]
    Long {
        /// `head` or `body`.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// Not HTTP.
    #[error("this is no HTTP/1.1: {0}")]
    Syntax(#[from] httparse::Error),
    /// Without a length nobody knows where it ends.
    #[error("`Content-Length` is missing or no number")]
    Length,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// Path.
    pub path: String,
    /// Body.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// When to come again, in seconds.
    pub retry_after: Option<u32>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer for people.
    pub fn text(status: u16, text: &str) -> Self {
        Self { status, retry_after: None, body: text.as_bytes().to_vec() }
    }
}

/// Reads a request whose body has at most `limit` bytes.
pub fn read_request(stream: &mut impl Read, limit: usize) -> Result<Request, HttpError> {
    let (head, rest) = read_head(stream)?;
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(&head)?;
    let (method, path) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let length = if method == "GET" { 0 } else { content_length(request.headers)? };
    let (method, path) = (method.to_owned(), path.to_owned());
    Ok(Request { method, path, body: read_body(stream, rest, length, limit)? })
}

/// Reads an answer whose body has at most `limit` bytes.
pub fn read_answer(stream: &mut impl Read, limit: usize) -> Result<Answer, HttpError> {
    read(stream, limit, Unmeasured::Refused)
}

/// The same of a server that is none of ours: where it says no length, the body ends with the connection.
pub fn read_foreign_answer(stream: &mut impl Read, limit: usize) -> Result<Answer, HttpError> {
    read(stream, limit, Unmeasured::ToEnd)
}

/// What becomes of a body of unknown length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unmeasured {
    /// One that was cut off would look whole.
    Refused,
    /// RFC 9112, 6.3, rule 8.
    ToEnd,
}

fn read(stream: &mut impl Read, limit: usize, unmeasured: Unmeasured) -> Result<Answer, HttpError> {
    let (head, rest) = read_head(stream)?;
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    answer.parse(&head)?;
    let status = answer.code.unwrap_or_default();
    let retry_after = field(answer.headers, "retry-after").and_then(|value| value.parse().ok());
    let is_chunked = field(answer.headers, "transfer-encoding")
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
    let is_measured = field(answer.headers, "content-length").is_some();
    let body = if is_chunked {
        read_chunks(stream, rest, limit)?
    } else if !is_measured && unmeasured == Unmeasured::ToEnd {
        read_to_end(stream, rest, limit)?
    } else {
        let length = content_length(answer.headers)?;
        read_body(stream, rest, length, limit)?
    };
    Ok(Answer { status, retry_after, body })
}

/// Writes a request whose body has this media type.
pub fn write_request(
    stream: &mut impl Write,
    method: &str,
    path: &str,
    media_type: &str,
    body: &[u8],
) -> io::Result<()> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: imgbuild\r\nConnection: close\r\nAccept: application/json\r\n\
         Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // In one piece: two small packets would wait for each other.
    stream.write_all(&[head.as_bytes(), body].concat())?;
    stream.flush()
}

/// Writes a request for what `host` has at `path`.
pub fn write_get(stream: &mut impl Write, host: &str, path: &str) -> io::Result<()> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: */*\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.flush()
}

/// Writes an answer.
pub fn write_answer(stream: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let retry = answer.retry_after.map_or_else(String::new, |seconds| format!("Retry-After: {seconds}\r\n"));
    let head = format!(
        "HTTP/1.1 {} {}\r\nConnection: close\r\n{retry}Content-Length: {}\r\n\r\n",
        answer.status,
        reason(answer.status),
        answer.body.len()
    );
    stream.write_all(&[head.as_bytes(), &answer.body].concat())?;
    stream.flush()
}

/// Bytes up to the empty line, that included, and what was read behind it.
fn read_head(stream: &mut impl Read) -> Result<(Vec<u8>, Vec<u8>), HttpError> {
    const END: &[u8] = b"\r\n\r\n";
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let begin = head.len().saturating_sub(END.len() - 1);
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(HttpError::Truncated(head.len()));
        }
        head.extend_from_slice(&buffer[..count]);
        if let Some(at) = head[begin..].windows(END.len()).position(|window| window == END) {
            let rest = head.split_off(begin + at + END.len());
            return Ok((head, rest));
        }
        if head.len() > LONGEST_HEAD {
            return Err(HttpError::Long { what: "head", limit: LONGEST_HEAD });
        }
    }
}

fn read_body(
    stream: &mut impl Read,
    mut body: Vec<u8>,
    length: usize,
    limit: usize,
) -> Result<Vec<u8>, HttpError> {
    if length > limit {
        return Err(HttpError::Long { what: "body", limit });
    }
    let have = body.len();
    // What follows a body belongs to nobody.
    body.resize(length, 0);
    if have < length {
        stream.read_exact(&mut body[have..])?;
    }
    Ok(body)
}

fn read_to_end(stream: &mut impl Read, mut body: Vec<u8>, limit: usize) -> Result<Vec<u8>, HttpError> {
    let room = limit.saturating_add(1).saturating_sub(body.len());
    stream.take(u64::try_from(room).unwrap_or(u64::MAX)).read_to_end(&mut body)?;
    if body.len() > limit { Err(HttpError::Long { what: "body", limit }) } else { Ok(body) }
}

/// A body in chunks (RFC 9112, 7.1); what follows the last one is nobody's.
fn read_chunks(stream: &mut impl Read, mut buffer: Vec<u8>, limit: usize) -> Result<Vec<u8>, HttpError> {
    /// Longer than the line before any chunk.
    const LONGEST_LINE: usize = 256;
    let mut body = Vec::new();
    loop {
        let (begin, size) = loop {
            match httparse::parse_chunk_size(&buffer) {
                Ok(httparse::Status::Complete(found)) => break found,
                Ok(httparse::Status::Partial) if buffer.len() < LONGEST_LINE => more(stream, &mut buffer)?,
                _ => return Err(HttpError::Length),
            }
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size == 0 {
            return Ok(body);
        }
        if size > limit.saturating_sub(body.len()) {
            return Err(HttpError::Long { what: "body", limit });
        }
        let end = begin + size;
        // With the line's end behind it.
        while buffer.len() < end + 2 {
            more(stream, &mut buffer)?;
        }
        body.extend_from_slice(&buffer[begin..end]);
        buffer.drain(..end + 2);
    }
}

fn more(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Result<(), HttpError> {
    let mut part = [0; 4096];
    let count = stream.read(&mut part)?;
    if count == 0 {
        return Err(HttpError::Connection(io::ErrorKind::UnexpectedEof.into()));
    }
    buffer.extend_from_slice(&part[..count]);
    Ok(())
}

fn content_length(fields: &[httparse::Header<'_>]) -> Result<usize, HttpError> {
    field(fields, "content-length").and_then(|value| value.parse().ok()).ok_or(HttpError::Length)
}

fn field<'a>(fields: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok()
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, as slow networks do.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            (buffer[0], self.0) = (*first, rest);
            Ok(1)
        }
    }

    #[test]
    fn what_is_written_is_read_however_it_arrives() {
        let mut wire = Vec::new();
        write_request(&mut wire, "POST", "/v1/claim", "text/plain", b"body").unwrap();
        let whole = read_request(&mut wire.as_slice(), 4).unwrap();
        let slow = read_request(&mut Dribble(&wire), 4).unwrap();
        for request in [whole, slow] {
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/claim"));
            assert_eq!(request.body, b"body");
        }
        let mut wire = Vec::new();
        write_answer(&mut wire, &Answer { status: 503, retry_after: Some(7), body: Vec::new() }).unwrap();
        let answer = read_answer(&mut wire.as_slice(), 0).unwrap();
        assert_eq!((answer.status, answer.retry_after), (503, Some(7)));
    }

    #[test]
    fn chunks_are_put_together_within_the_bound() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let whole = format!("{head}4\r\nab\r\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n");
        for limit in [14, 100] {
            let answer = read_answer(&mut Dribble(whole.as_bytes()), limit).unwrap();
            assert_eq!(answer.body, b"ab\r\n0123456789");
            assert_eq!(read_answer(&mut whole.as_bytes(), limit).unwrap().body, answer.body);
        }
        for (chunks, expected) in [
            ("4\r\nabcd\r\nB\r\n0123456789a\r\n0\r\n\r\n", "body is longer than 14 bytes"),
            ("FFFFFFFFFFFFFFFF\r\n", "body is longer than 14 bytes"),
            ("x\r\n", "`Content-Length` is missing or no number"),
            ("4\r\nab", "the connection broke off"),
            ("", "the connection broke off"),
        ] {
            let text = format!("{head}{chunks}");
            let fault = read_answer(&mut Dribble(text.as_bytes()), 14).unwrap_err();
            assert_eq!(fault.to_string(), expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_body_may_end_with_the_connection_where_the_server_is_none_of_ours() {
        let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
        for body in ["", "ab", "0123456789"] {
            let text = answer(body);
            assert_eq!(read_foreign_answer(&mut Dribble(text.as_bytes()), 10).unwrap().body, body.as_bytes());
            assert_eq!(read_foreign_answer(&mut text.as_bytes(), 10).unwrap().body, body.as_bytes());
            assert!(matches!(read_answer(&mut text.as_bytes(), 10), Err(HttpError::Length)));
        }
        let long = answer("0123456789a");
        for fault in [
            read_foreign_answer(&mut Dribble(long.as_bytes()), 10).unwrap_err(),
            read_foreign_answer(&mut long.as_bytes(), 10).unwrap_err(),
        ] {
            assert_eq!(fault.to_string(), "body is longer than 10 bytes");
        }
        let measured = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab";
        let fault = read_foreign_answer(&mut &measured[..], 10).unwrap_err();
        assert_eq!(fault.to_string(), "the connection broke off");
    }

    #[test]
    fn a_get_has_what_a_server_needs() {
        let mut wire = Vec::new();
        write_get(&mut wire, "169.254.169.254", "/hetzner/v1/userdata").unwrap();
        assert!(wire.starts_with(b"GET /hetzner/v1/userdata HTTP/1.1\r\nHost: 169.254.169.254\r\n"));
        assert_eq!(read_request(&mut wire.as_slice(), 0).unwrap().path, "/hetzner/v1/userdata");
    }

    #[test]
    fn what_is_none_or_too_long_is_refused() {
        let refusal = |text: &[u8]| read_request(&mut Dribble(text), 10).unwrap_err().to_string();
        let long_head = [b"GET / HTTP/1.1\r\nA: ", [b'a'; 9000].as_slice()].concat();
        for (text, expected) in [
            (&b""[..], "the message ends after 0 bytes of its head"),
            (b"GET / HT", "the message ends after 8 bytes of its head"),
            (b"\x16\x03\x01\r\n\r\n", "this is no HTTP/1.1: invalid token"),
            (b"POST / HTTP/1.1\r\n\r\n", "`Content-Length` is missing or no number"),
            (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "`Content-Length` is missing or no number"),
            (b"POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", "body is longer than 10 bytes"),
            (b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab", "the connection broke off"),
            (&long_head, "head is longer than 8192 bytes"),
        ] {
            assert_eq!(refusal(text), expected, "{:?}", String::from_utf8_lossy(text));
        }
    }
}
