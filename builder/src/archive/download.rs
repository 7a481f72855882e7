//! Downloads into the cache: in parallel, resumed where they stopped, every byte hashed.
//!
//! What is known by size and digest may come from any of several URLs. The only files fetched without
//! a digest are `InRelease` files, which carry a signature instead.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Client, Url};

pub use self::error::DownloadError;
use self::transfer::Fault;
use super::cache::{Cache, Claim, Finished, Partial};
use crate::http;
use crate::printer::{Printer, Task};
use crate::units::{Bytes, Sha256};

mod error;
mod transfer;

/// Larger files are refused before the first byte; the largest real ones are container images of 1 GiB.
pub const SIZE_LIMIT: Bytes = Bytes(8 << 30);

/// Mirrors serve many small files: more connections gain nothing, fewer leave the line idle.
const PARALLEL: usize = 8;

/// A server that is silent for so long is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// How failed transfers are repeated. Progress of [`Retries::PROGRESS`] starts the count anew.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Tries in all.
    pub tries: u32,
    /// Pause before the second try; doubles each time.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
}

impl Retries {
    /// A lost connection after at least so much does not count as a try.
    const PROGRESS: Bytes = Bytes(64 << 10);

    fn pause(&self, tried: u32) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << tried.saturating_sub(1).min(16));
        doubled.min(self.longest_pause)
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { tries: 5, first_pause: Duration::from_millis(500), longest_pause: Duration::from_secs(8) }
    }
}

/// A file that is wanted in the cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// What people call it.
    pub name: String,
    /// Where it may be, first choice first; the next is asked where one has no such file.
    pub urls: Vec<Url>,
    /// Its size, where it is known beforehand.
    pub size: Option<Bytes>,
    /// Its digest.
    pub sha256: Sha256,
}

/// Fetches files into a cache, or finds them there.
#[derive(Debug)]
pub struct Downloader<'a> {
    cache: &'a Cache,
    /// None when offline.
    client: Option<Client>,
    printer: &'a Printer,
    retries: Retries,
}

impl<'a> Downloader<'a> {
    /// Downloads what the cache lacks.
    pub fn online(cache: &'a Cache, printer: &'a Printer) -> Result<Self, DownloadError> {
        Ok(Self { cache, client: Some(client()?), printer, retries: Retries::default() })
    }

    /// Uses the cache only.
    pub fn offline(cache: &'a Cache, printer: &'a Printer) -> Self {
        Self { cache, client: None, printer, retries: Retries::default() }
    }

    /// Repeats failed transfers in another way.
    #[must_use]
    pub fn with_retries(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    /// Whether nothing is downloaded.
    pub fn is_offline(&self) -> bool {
        self.client.is_none()
    }

    /// The cache it fills.
    pub fn cache(&self) -> &'a Cache {
        self.cache
    }

    /// Returns the path of each wanted file in the cache, in the same order; `task` names the step.
    ///
    /// The first fault ends it; what was downloaded until then is kept.
    pub async fn fetch(&self, task: &str, wanted: &[Wanted]) -> Result<Vec<PathBuf>, DownloadError> {
        for file in wanted {
            if let Some(size) = file.size.filter(|size| *size > SIZE_LIMIT) {
                return Err(DownloadError::Absurd { name: file.name.clone(), size, limit: SIZE_LIMIT });
            }
        }
        let distinct: BTreeMap<Sha256, &Wanted> = wanted.iter().map(|file| (file.sha256, file)).collect();
        let (mut paths, missing) = self.look_up(distinct.into_values().collect()).await?;
        if !missing.is_empty() {
            let Some(client) = &self.client else {
                let mut missing: Vec<_> = missing.into_iter().map(|file| file.name.clone()).collect();
                missing.sort();
                return Err(DownloadError::Offline { missing });
            };
            // Without a total where not every size is known.
            let total = missing.iter().map(|file| file.size.map(|size| size.0)).sum::<Option<u64>>();
            let task = self.printer.task(task, total);
            let names: Vec<_> = missing.iter().map(|file| file.sha256).collect();
            let fetched = stream::iter(missing)
                .map(|file| self.fetch_one(client, file, &task))
                .buffer_unordered(PARALLEL)
                .try_collect::<Vec<_>>()
                .await?;
            paths.extend(fetched);
            let length = |sha256| std::fs::metadata(self.cache.path(sha256)).map_or(0, |file| file.len());
            let total = Bytes(names.iter().copied().map(length).sum());
            task.finish(&format!("{} files, {total}", names.len()));
        }
        Ok(wanted.iter().filter_map(|file| paths.get(&file.sha256).cloned()).collect())
    }

    /// Splits into what the cache has, intact, and what it lacks.
    async fn look_up<'w>(
        &self,
        wanted: Vec<&'w Wanted>,
    ) -> Result<(BTreeMap<Sha256, PathBuf>, Vec<&'w Wanted>), DownloadError> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let found = stream::iter(wanted)
            .map(|file| async move {
                let (cache, size, sha256) = (self.cache.clone(), file.size, file.sha256);
                let found = tokio::task::spawn_blocking(move || cache.find(size, sha256)).await;
                Ok::<_, DownloadError>((file, found.map_err(DownloadError::Interrupted)??))
            })
            .buffered(threads)
            .try_collect::<Vec<_>>()
            .await?;
        let mut paths = BTreeMap::new();
        let mut missing = Vec::new();
        for (file, path) in found {
            match path {
                Some(path) => drop(paths.insert(file.sha256, path)),
                None => missing.push(file),
            }
        }
        Ok((paths, missing))
    }

    async fn fetch_one(
        &self,
        client: &Client,
        file: &Wanted,
        task: &Task,
    ) -> Result<(Sha256, PathBuf), DownloadError> {
        let mut partial = match self.cache.take(file.size, file.sha256).await? {
            Claim::Present(path) => return Ok((file.sha256, path)),
            Claim::Partial(partial) => partial,
        };
        let mut was_resumed = partial.length() > Bytes(0);
        loop {
            let url = self.fill(client, file, &mut partial, task).await?;
            match partial.finish(file.sha256).await? {
                Finished::Kept(path) => return Ok((file.sha256, path)),
                // The old beginning may be what is wrong, after a power cut for example.
                Finished::Dropped { .. } if was_resumed => was_resumed = false,
                Finished::Dropped { found } => {
                    return Err(DownloadError::Digest { url, expected: file.sha256, found });
                }
            }
            partial = match self.cache.take(file.size, file.sha256).await? {
                Claim::Present(path) => return Ok((file.sha256, path)),
                Claim::Partial(partial) => partial,
            };
        }
    }

    /// Completes the partial from the first URL that has the file; returns that URL.
    async fn fill(
        &self,
        client: &Client,
        file: &Wanted,
        partial: &mut Partial,
        task: &Task,
    ) -> Result<String, DownloadError> {
        let mut absent = Vec::new();
        for url in &file.urls {
            match self.fill_from(client, url, file.size, partial, task).await {
                Ok(true) => return Ok(url.to_string()),
                Ok(false) => absent.push(url.to_string()),
                Err(error) if absent.is_empty() => return Err(error),
                // That the first choice has dropped the file is what people must know first.
                Err(error) => return Err(DownloadError::absent(file, absent, Some(error))),
            }
        }
        Err(DownloadError::absent(file, absent, None))
    }

    /// Completes the partial from `url`, trying again as long as that makes sense; false if it is not there.
    async fn fill_from(
        &self,
        client: &Client,
        url: &Url,
        size: Option<Bytes>,
        partial: &mut Partial,
        task: &Task,
    ) -> Result<bool, DownloadError> {
        let mut tried = 1;
        let mut furthest = partial.length();
        loop {
            let fault = match transfer::resume(client, url, size, partial, task).await {
                Ok(()) => return Ok(true),
                Err(fault) => fault,
            };
            // What came stays, also when this ends with an error.
            partial.flush().await?;
            // Progress is what no try before had: a server may have less than the whole file for ever.
            if partial.length().0.saturating_sub(furthest.0) >= Retries::PROGRESS.0 {
                tried = 1;
                furthest = partial.length();
            }
            match fault {
                Fault::Absent => return Ok(false),
                Fault::Fatal(error) => return Err(*error),
                Fault::Passing(error) if tried >= self.retries.tries => return Err(*error),
                Fault::Passing(_) => tokio::time::sleep(self.retries.pause(tried)).await,
            }
            tried += 1;
        }
    }

    /// Fetches a file of at most `limit` into memory, without any check of its content.
    pub async fn fetch_unchecked(&self, url: &Url, limit: Bytes) -> Result<Vec<u8>, DownloadError> {
        let Some(client) = &self.client else {
            return Err(DownloadError::Offline { missing: vec![url.to_string()] });
        };
        let mut tried = 1;
        loop {
            match transfer::to_memory(client, url, limit).await {
                Ok(data) => return Ok(data),
                Err(Fault::Absent) => {
                    let (name, urls) = (url.path().to_owned(), vec![url.to_string()]);
                    return Err(DownloadError::Absent { name, urls, source: None });
                }
                Err(Fault::Fatal(error)) => return Err(*error),
                Err(Fault::Passing(error)) if tried >= self.retries.tries => return Err(*error),
                Err(Fault::Passing(_)) => tokio::time::sleep(self.retries.pause(tried)).await,
            }
            tried += 1;
        }
    }
}

fn client() -> Result<Client, DownloadError> {
    http::client(|builder| builder.read_timeout(SILENCE)).map_err(|source| DownloadError::Client { source })
}
