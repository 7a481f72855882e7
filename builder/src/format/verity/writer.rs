//! Hashing data on their way to a file, or from one.

use std::io::{self, Read, Write};

use super::superblock::SuperBlock;
use super::{BLOCK, Digester, HashTree, Options, VerityError, levels};
use crate::units::{Bytes, RootHash, Sha256};

/// Data hashed at a time: enough blocks for every processor, and the bound of memory in use.
const CHUNK: usize = 1024 * BLOCK;

/// Passes data on to `W` and hashes them on all processors meanwhile, in bounded memory: 4 MiB, and
/// 1/128 of the data for their digests.
///
/// [`finish`](Self::finish) must be called at the end; [`flush`](Write::flush) hashes nothing that
/// does not fill a chunk.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
    digester: Digester,
    options: Options,
    /// Data not yet passed on; always less than a chunk between calls.
    chunk: Vec<u8>,
    digests: Vec<u8>,
}

impl<W: Write + Send> Writer<W> {
    /// Starts before the first block of data.
    pub fn new(inner: W, options: Options) -> Self {
        let digester = Digester::new(&options.salt);
        Self { inner, digester, options, chunk: Vec::with_capacity(CHUNK), digests: Vec::new() }
    }

    /// Passes on what is left, flushes, and builds the tree.
    pub fn finish(mut self) -> Result<(W, HashTree), VerityError> {
        let hashed = self.digests.len() / levels::DIGEST * BLOCK;
        let length = hashed + self.chunk.len();
        if length == 0 || !length.is_multiple_of(BLOCK) {
            let length = Bytes(u64::try_from(length).unwrap_or(u64::MAX));
            return Err(VerityError::Length { length });
        }
        self.pass_chunk()?;
        self.inner.flush()?;
        Ok((self.inner, tree(&self.digester, &self.options, self.digests)))
    }

    fn pass_chunk(&mut self) -> io::Result<()> {
        let Self { inner, digester, chunk, digests, .. } = self;
        let (written, hashed) = rayon::join(|| inner.write_all(chunk), || levels::digests(digester, chunk));
        digests.extend_from_slice(&hashed);
        chunk.clear();
        written
    }
}

impl<W: Write + Send> Write for Writer<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&data[..taken]);
        if self.chunk.len() == CHUNK {
            self.pass_chunk()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes `data` to its end, on all processors and in bounded memory.
pub fn hash_tree(mut data: impl Read, options: &Options) -> Result<HashTree, VerityError> {
    let mut writer = Writer::new(io::sink(), *options);
    io::copy(&mut data, &mut writer)?;
    Ok(writer.finish()?.1)
}

fn tree(digester: &Digester, options: &Options, digests: Vec<u8>) -> HashTree {
    let data_blocks = u64::try_from(digests.len() / levels::DIGEST).expect("a usize has at most 64 bits");
    let super_block =
        SuperBlock { uuid: options.uuid.into_bytes(), data_blocks, salt: options.salt.to_vec() };
    let (tree, root_hash) = levels::build(digester, digests);
    let mut bytes = super_block.encode().to_vec();
    bytes.resize(BLOCK, 0);
    bytes.extend_from_slice(&tree);
    let root_hash = <[u8; levels::DIGEST]>::try_from(root_hash).expect("one digest is left at the top");
    HashTree { bytes, root_hash: RootHash(Sha256(root_hash)), data_blocks }
}
