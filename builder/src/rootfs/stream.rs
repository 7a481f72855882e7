//! A decompressed member of a package, or a decompressed artifact, as a bounded, counted stream.

use std::io::{self, BufRead, BufReader, Read, Write};

use thiserror::Error;

use crate::units::Bytes;
use crate::xz;

/// log2 of the largest zstd window: 128 MiB, as dpkg accepts.
const ZSTD_WINDOW_LOG: u32 = 27;
/// Read buffer before the decoder, in bytes.
const BUFFER: usize = 64 << 10;

/// How a member, or a disk image, is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// By what follows `control.tar` or `data.tar` in the member's name.
    pub(super) fn of_suffix(suffix: &str) -> Option<Self> {
        match suffix {
            "" => Some(Self::None),
            ".gz" => Some(Self::Gzip),
            ".xz" => Some(Self::Xz),
            ".zst" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What comes out of `reader`.
    pub(crate) fn decoder<'a>(self, reader: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::None => Box::new(reader),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            Self::Xz => Box::new(xz::decoder(reader)?),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        })
    }
}

/// Why a member cannot be decompressed. Offsets count decompressed bytes.
#[derive(Debug, Error)]
pub enum StreamFault {
    /// The decoder refused its input, or the input ended early.
    #[error("damaged after {offset} decompressed bytes")]
    Damaged {
        /// Bytes that came out before.
        offset: u64,
        /// The decoder's reason.
        source: io::Error,
    },
    /// More comes out than anything in an image holds.
    #[error("more than {limit} come out")]
    Limit {
        /// Most that is accepted.
        limit: Bytes,
    },
}

/// Decompresses, counts, and stops at a limit. A [`Read`] error leaves its reason in `fault`,
/// because the tar reader between here and there wraps errors in its own.
pub(super) struct Stream<'a> {
    decoder: Box<dyn Read + 'a>,
    /// Gets all that comes out.
    copy: Option<&'a mut dyn Write>,
    limit: Bytes,
    /// Bytes that came out so far.
    pub(super) position: u64,
    /// Why reading ended, if not at the end.
    pub(super) fault: Option<StreamFault>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        reader: impl Read + 'a,
        compression: Compression,
        limit: Bytes,
    ) -> Result<Self, StreamFault> {
        let damaged = |source| StreamFault::Damaged { offset: 0, source };
        let reader = BufReader::with_capacity(BUFFER, reader);
        let decoder = compression.decoder(reader).map_err(damaged)?;
        Ok(Self { decoder, copy: None, limit, position: 0, fault: None })
    }

    /// Writes what is read to `copy` too.
    pub(super) fn copying_to(self, copy: &'a mut dyn Write) -> Self {
        Self { copy: Some(copy), ..self }
    }

    /// Bytes that may still come out.
    pub(super) fn remaining(&self) -> u64 {
        self.limit.0.saturating_sub(self.position)
    }

    /// Reads to the end, where the compression's own checksum is.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.decoder.read(buffer) {
            Ok(count) => count,
            Err(reason) if reason.kind() == io::ErrorKind::Interrupted => return Err(reason),
            Err(source) => {
                self.fault = Some(StreamFault::Damaged { offset: self.position, source });
                return Err(io::ErrorKind::InvalidData.into());
            }
        };
        self.position = self.position.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if self.position > self.limit.0 {
            self.fault = Some(StreamFault::Limit { limit: self.limit });
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Some(copy) = &mut self.copy {
            copy.write_all(&buffer[..count])?;
        }
        Ok(count)
    }
}
