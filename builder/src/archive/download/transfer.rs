//! One HTTP request: the rest of a partial, or a small file into memory.

use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode, Url};

use super::{DownloadError, SIZE_LIMIT};
use crate::archive::cache::Partial;
use crate::printer::Task;
use crate::units::Bytes;

/// Why a request brought not everything.
#[derive(Debug)]
pub(super) enum Fault {
    /// This server has no such file; another may.
    Absent,
    /// May be gone when tried again.
    Passing(Box<DownloadError>),
    /// Will stay.
    Fatal(Box<DownloadError>),
}

impl<E: Into<DownloadError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Fatal(Box::new(error.into()))
    }
}

/// Requests what `partial` lacks and appends it, until it has `size` bytes, or as many as the server says.
pub(super) async fn resume(
    client: &Client,
    url: &Url,
    size: Option<Bytes>,
    partial: &mut Partial,
    task: &Task,
) -> Result<(), Fault> {
    let most = size.unwrap_or(SIZE_LIMIT);
    if partial.length() > most {
        partial.restart().await?;
    }
    let start = partial.length();
    if size == Some(start) && start > Bytes(0) {
        return Ok(());
    }
    let mut request = client.get(url.clone());
    if start > Bytes(0) {
        request = request.header(RANGE, format!("bytes={}-", start.0));
    }
    let response = request.send().await.map_err(|error| transport(url, error))?;
    if start > Bytes(0) && response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        // The server's file is shorter than our beginning of it.
        let found = start;
        partial.restart().await?;
        return Err(truncated(url, most, found));
    }
    check_status(url, &response)?;
    let is_continued = response.status() == StatusCode::PARTIAL_CONTENT;
    if is_continued && range_start(&response) != Some(start) {
        partial.restart().await?;
        return Err(truncated(url, most, Bytes(0)));
    }
    if !is_continued && start > Bytes(0) {
        // It ignores ranges and sends the whole file.
        partial.restart().await?;
    }
    append_body(url, response, size, partial, task).await
}

async fn append_body(
    url: &Url,
    response: Response,
    size: Option<Bytes>,
    partial: &mut Partial,
    task: &Task,
) -> Result<(), Fault> {
    let most = size.unwrap_or(SIZE_LIMIT);
    let left = most.0.saturating_sub(partial.length().0);
    let announced = response.content_length();
    if announced.is_some_and(|length| length > left) {
        return Err(too_long(url, most, partial)?);
    }
    let announced = announced.map(|length| Bytes(partial.length().0.saturating_add(length)));
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| transport(url, error))?;
        let length = Bytes::of(&chunk);
        if length.0 > most.0.saturating_sub(partial.length().0) {
            return Err(too_long(url, most, partial)?);
        }
        partial.append(&chunk).await?;
        task.advance(length.0);
    }
    match size.or(announced) {
        Some(size) if partial.length() < size => Err(truncated(url, size, partial.length())),
        // A server that says no size and breaks off shows by the digest.
        _ => Ok(()),
    }
}

/// Fetches at most `limit` into memory.
pub(super) async fn to_memory(client: &Client, url: &Url, limit: Bytes) -> Result<Vec<u8>, Fault> {
    let response = client.get(url.clone()).send().await.map_err(|error| transport(url, error))?;
    check_status(url, &response)?;
    let mut data = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        data.extend_from_slice(&chunk.map_err(|error| transport(url, error))?);
        if Bytes::of(&data) > limit {
            return Err(DownloadError::TooLong { url: url.to_string(), limit }.into());
        }
    }
    Ok(data)
}

fn check_status(url: &Url, response: &Response) -> Result<(), Fault> {
    let status = response.status();
    let error = || Box::new(DownloadError::Status { url: url.to_string(), status: status.as_u16() });
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(Fault::Absent),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Fault::Passing(error())),
        _ if status.is_server_error() => Err(Fault::Passing(error())),
        _ => Err(Fault::Fatal(error())),
    }
}

/// The first position of `Content-Range: bytes 100-199/200` (RFC 9110, 14.4).
fn range_start(response: &Response) -> Option<Bytes> {
    let value = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (start, _) = value.strip_prefix("bytes ")?.split_once('-')?;
    start.parse().ok().map(Bytes)
}

fn transport(url: &Url, source: reqwest::Error) -> Fault {
    let is_lasting = source.is_builder() || source.is_redirect();
    let error = Box::new(DownloadError::Transport { url: url.to_string(), source: source.without_url() });
    if is_lasting { Fault::Fatal(error) } else { Fault::Passing(error) }
}

fn truncated(url: &Url, expected: Bytes, found: Bytes) -> Fault {
    Fault::Passing(Box::new(DownloadError::Truncated { url: url.to_string(), expected, found }))
}

/// Drops what there is, since its source is not the file that was asked for.
fn too_long(url: &Url, size: Bytes, partial: &Partial) -> Result<Fault, Fault> {
    partial.remove()?;
    Ok(DownloadError::TooLong { url: url.to_string(), limit: size }.into())
}
