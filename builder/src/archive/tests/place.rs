//! A cache in a new folder, and downloaders that fill it.

use std::time::Duration;

use crate::archive::cache::Cache;
use crate::archive::download::{Downloader, Retries};
use crate::printer::Printer;

const RETRIES: Retries = Retries { tries: 3, first_pause: Duration::ZERO, longest_pause: Duration::ZERO };

pub(in super::super) struct Place {
    /// Removed with everything in it when dropped.
    _folder: tempfile::TempDir,
    pub(in super::super) cache: Cache,
    printer: Printer,
}

impl Place {
    pub(in super::super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        Self { _folder: folder, cache, printer: Printer::default() }
    }

    pub(in super::super) fn online(&self) -> Downloader<'_> {
        Downloader::online(&self.cache, &self.printer).unwrap().with_retries(RETRIES)
    }

    pub(in super::super) fn offline(&self) -> Downloader<'_> {
        Downloader::offline(&self.cache, &self.printer)
    }
}
