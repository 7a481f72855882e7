//! On-disk types, under the names and offsets of `fs/erofs/erofs_fs.h` (Linux 6.12).
//!
//! All integers are little-endian. Fields of features that we neither write nor read are zero and
//! have no name here. What follows a compressed inode is in `clusters`.

use std::io::{self, Write};

use super::compression::{Algorithm, Compression};

/// `blkszbits`: the only block size we write, and the only one every kernel mounts.
pub(super) const BLOCK_BITS: u8 = 12;
/// Bytes per block.
pub(super) const BLOCK: usize = 1 << BLOCK_BITS;
/// Bytes per block, for file sizes.
pub(super) const BLOCK_BYTES: u64 = 1 << BLOCK_BITS;
/// `EROFS_SUPER_OFFSET`: the bytes before it are free for boot sectors.
pub(super) const SUPER_OFFSET: usize = 1024;
/// Size of `struct erofs_super_block` without extension slots.
pub(super) const SUPER_SIZE: usize = 128;
/// `EROFS_SUPER_MAGIC_V1`.
pub(super) const SUPER_MAGIC: u32 = 0xE0F5_E1E2;
/// `EROFS_FEATURE_COMPAT_SB_CHKSUM`: `checksum` is valid.
pub(super) const FEATURE_COMPAT_SB_CHKSUM: u32 = 1;
/// `EROFS_FEATURE_COMPAT_MTIME`: times are modification times.
pub(super) const FEATURE_COMPAT_MTIME: u32 = 2;
/// `EROFS_FEATURE_INCOMPAT_ZERO_PADDING`: zeros fill the last block of a compressed cluster in front.
const FEATURE_INCOMPAT_ZERO_PADDING: u32 = 1;
/// `EROFS_FEATURE_INCOMPAT_COMPR_CFGS` and `…_BIG_PCLUSTER`, one bit: records behind the super block
/// describe the algorithms.
const FEATURE_INCOMPAT_COMPR_CFGS: u32 = 2;
/// `EROFS_FEATURE_INCOMPAT_ZTAILPACKING`: a last compressed cluster may follow its inode.
const FEATURE_INCOMPAT_ZTAILPACKING: u32 = 0x10;
/// Of an image with compressed files.
pub(super) const FEATURES_COMPRESSED: u32 =
    FEATURE_INCOMPAT_ZERO_PADDING | FEATURE_INCOMPAT_COMPR_CFGS | FEATURE_INCOMPAT_ZTAILPACKING;
/// An inode's address is `meta_blkaddr * BLOCK + nid * SLOT`.
pub(super) const SLOT: usize = 32;
/// Size of `struct erofs_inode_compact`.
pub(super) const INODE_COMPACT: usize = 32;
/// Size of `struct erofs_inode_extended`.
pub(super) const INODE_EXTENDED: usize = 64;
/// Size of `struct erofs_dirent`.
pub(super) const DIRENT: usize = 12;
/// `EROFS_NAME_LEN`.
pub(super) const NAME_MAX: usize = 255;
/// `PATH_MAX` without the final NUL: the longest link target and path that Linux follows.
pub(super) const TARGET_MAX: usize = 4095;
/// Kernels before 6.12 want `volume_name` to end in a NUL, so one of its 16 bytes is lost.
pub(super) const VOLUME_NAME_MAX: usize = 15;
/// `LZ4_DISTANCE_MAX`: how far back a match of LZ4 can lie.
const LZ4_DISTANCE_MAX: u16 = u16::MAX;
/// `EROFS_NULL_ADDR`: start block of an inode that has no blocks.
pub(super) const NULL_ADDR: u32 = u32::MAX;

/// `struct erofs_super_block`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SuperBlock {
    /// CRC-32C of the rest of the first block, see [`checksum`].
    pub(super) checksum: u32,
    /// Features a kernel may ignore.
    pub(super) feature_compat: u32,
    /// Binary logarithm of the block size.
    pub(super) blkszbits: u8,
    /// Inode of the root directory; 16 bits only, so it must lie near the start.
    pub(super) root_nid: u16,
    /// Number of inodes.
    pub(super) inos: u64,
    /// Time of every compact inode, in seconds since 1970.
    pub(super) build_time: u64,
    /// Blocks of the whole file system.
    pub(super) blocks: u32,
    /// First block that nids count from.
    pub(super) meta_blkaddr: u32,
    /// Identifies the volume.
    pub(super) uuid: [u8; 16],
    /// Label, padded with NUL.
    pub(super) volume_name: [u8; 16],
    /// Features a kernel must know to mount.
    pub(super) feature_incompat: u32,
    /// Bits by [`Algorithm::code`] of the algorithms in use.
    pub(super) available_compr_algs: u16,
}

impl SuperBlock {
    pub(super) fn encode(&self) -> [u8; SUPER_SIZE] {
        let mut raw = [0; SUPER_SIZE];
        put(&mut raw, 0x00, SUPER_MAGIC.to_le_bytes());
        put(&mut raw, 0x04, self.checksum.to_le_bytes());
        put(&mut raw, 0x08, self.feature_compat.to_le_bytes());
        put(&mut raw, 0x0C, [self.blkszbits]);
        put(&mut raw, 0x0E, self.root_nid.to_le_bytes());
        put(&mut raw, 0x10, self.inos.to_le_bytes());
        put(&mut raw, 0x18, self.build_time.to_le_bytes());
        put(&mut raw, 0x24, self.blocks.to_le_bytes());
        put(&mut raw, 0x28, self.meta_blkaddr.to_le_bytes());
        put(&mut raw, 0x30, self.uuid);
        put(&mut raw, 0x40, self.volume_name);
        put(&mut raw, 0x50, self.feature_incompat.to_le_bytes());
        put(&mut raw, 0x54, self.available_compr_algs.to_le_bytes());
        raw
    }

    /// The reverse of [`encode`](Self::encode); `Err` holds what stands in place of the magic number.
    pub(super) fn decode(raw: &[u8; SUPER_SIZE]) -> Result<Self, u32> {
        let magic = u32::from_le_bytes(get(raw, 0x00));
        if magic != SUPER_MAGIC {
            return Err(magic);
        }
        Ok(Self {
            checksum: u32::from_le_bytes(get(raw, 0x04)),
            feature_compat: u32::from_le_bytes(get(raw, 0x08)),
            blkszbits: u8::from_le_bytes(get(raw, 0x0C)),
            root_nid: u16::from_le_bytes(get(raw, 0x0E)),
            inos: u64::from_le_bytes(get(raw, 0x10)),
            build_time: u64::from_le_bytes(get(raw, 0x18)),
            blocks: u32::from_le_bytes(get(raw, 0x24)),
            meta_blkaddr: u32::from_le_bytes(get(raw, 0x28)),
            uuid: get(raw, 0x30),
            volume_name: get(raw, 0x40),
            feature_incompat: u32::from_le_bytes(get(raw, 0x50)),
            available_compr_algs: u16::from_le_bytes(get(raw, 0x54)),
        })
    }
}

/// CRC-32C over `first_block` from the super block to its end, which takes in the inodes that lie
/// there; the checksum field must be zero. The kernel's variant skips the usual final inversion.
pub(super) fn checksum(first_block: &[u8]) -> u32 {
    !crc32c::crc32c(&first_block[SUPER_OFFSET..])
}

impl Algorithm {
    /// `Z_EROFS_COMPRESSION_LZ4`, `Z_EROFS_COMPRESSION_ZSTD`.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Lz4Hc => 0,
            Self::Zstd => 3,
        }
    }
}

/// The record that follows the super block: its length, then `struct z_erofs_lz4_cfgs` or
/// `struct z_erofs_zstd_cfgs`.
pub(super) fn compression_record(compression: Compression) -> Vec<u8> {
    let mut record = match compression.algorithm() {
        Algorithm::Lz4Hc => {
            let mut raw = vec![0; 2 + 14];
            put(&mut raw, 2, LZ4_DISTANCE_MAX.to_le_bytes());
            put(&mut raw, 4, (1_u16 << compression.cluster_block_bits()).to_le_bytes());
            raw
        }
        Algorithm::Zstd => {
            let mut raw = vec![0; 2 + 6];
            // `windowlog`, counted from ZSTD_WINDOWLOG_ABSOLUTEMIN.
            put(&mut raw, 3, [compression.extent_bits() - 10]);
            raw
        }
    };
    let length = u16::try_from(record.len() - 2).expect("records have 6 or 14 bytes");
    put(&mut record, 0, length.to_le_bytes());
    record
}

/// Bits 1 to 3 of `i_format`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DataLayout {
    /// `EROFS_INODE_FLAT_PLAIN`: consecutive blocks hold everything.
    FlatPlain,
    /// `EROFS_INODE_FLAT_INLINE`: the last, partial block follows the inode instead.
    FlatInline,
    /// `EROFS_INODE_COMPRESSED_COMPACT`: a map of compressed clusters follows the inode.
    Compressed,
}

impl DataLayout {
    const fn bits(self) -> u16 {
        match self {
            Self::FlatPlain => 0,
            Self::FlatInline => 2,
            Self::Compressed => 3,
        }
    }
}

/// `struct erofs_inode_compact` or `struct erofs_inode_extended`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Inode {
    /// Seconds since 1970 of an extended inode; a compact one has the super block's `build_time`.
    pub(super) mtime: Option<u64>,
    pub(super) layout: DataLayout,
    /// File type and permission bits, as `st_mode`.
    pub(super) mode: u16,
    pub(super) nlink: u32,
    /// Bytes of data.
    pub(super) size: u64,
    /// `i_u.raw_blkaddr`: first data block, or [`NULL_ADDR`]; of a compressed inode `i_u.compressed_blocks`,
    /// the number of its blocks.
    pub(super) blkaddr: u32,
    /// Serial number, for 32-bit `stat`.
    pub(super) ino: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Why an inode cannot be decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum InodeFault {
    /// `i_format` is unknown to us.
    Format(u16),
    /// `i_xattr_icount` is not 0.
    Xattrs(u16),
}

impl Inode {
    /// Whether `uid`, `gid`, `nlink` and `size` fit a compact inode.
    pub(super) fn fits_compact(uid: u32, gid: u32, nlink: u32, size: u64) -> bool {
        [uid, gid, nlink].iter().all(|value| u16::try_from(*value).is_ok()) && u32::try_from(size).is_ok()
    }

    /// Bytes on disk.
    pub(super) const fn length(&self) -> usize {
        if self.mtime.is_some() { INODE_EXTENDED } else { INODE_COMPACT }
    }

    /// Writes 32 or 64 bytes. A compact inode must have passed [`fits_compact`](Self::fits_compact).
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        const FITS: &str = "planned as compact only if it fits";
        let mut raw = [0; INODE_EXTENDED];
        let format = u16::from(self.mtime.is_some()) | self.layout.bits() << 1;
        put(&mut raw, 0x00, format.to_le_bytes());
        put(&mut raw, 0x04, self.mode.to_le_bytes());
        put(&mut raw, 0x10, self.blkaddr.to_le_bytes());
        put(&mut raw, 0x14, self.ino.to_le_bytes());
        if let Some(mtime) = self.mtime {
            put(&mut raw, 0x08, self.size.to_le_bytes());
            put(&mut raw, 0x18, self.uid.to_le_bytes());
            put(&mut raw, 0x1C, self.gid.to_le_bytes());
            put(&mut raw, 0x20, mtime.to_le_bytes());
            put(&mut raw, 0x2C, self.nlink.to_le_bytes());
        } else {
            put(&mut raw, 0x06, u16::try_from(self.nlink).expect(FITS).to_le_bytes());
            put(&mut raw, 0x08, u32::try_from(self.size).expect(FITS).to_le_bytes());
            put(&mut raw, 0x18, u16::try_from(self.uid).expect(FITS).to_le_bytes());
            put(&mut raw, 0x1A, u16::try_from(self.gid).expect(FITS).to_le_bytes());
        }
        out.write_all(&raw[..self.length()])
    }

    /// Whether the inode whose first bytes are `raw` takes 64 bytes instead of 32.
    pub(super) fn is_extended(raw: &[u8; INODE_COMPACT]) -> bool {
        u16::from_le_bytes(get(raw, 0x00)) & 1 == 1
    }

    /// Decodes either form; of a compact inode only the first 32 bytes are looked at.
    pub(super) fn decode(raw: &[u8; INODE_EXTENDED]) -> Result<Self, InodeFault> {
        let format = u16::from_le_bytes(get(raw, 0x00));
        let layout = match format >> 1 {
            0 => DataLayout::FlatPlain,
            2 => DataLayout::FlatInline,
            3 => DataLayout::Compressed,
            _ => return Err(InodeFault::Format(format)),
        };
        let xattr_icount = u16::from_le_bytes(get(raw, 0x02));
        if xattr_icount != 0 {
            return Err(InodeFault::Xattrs(xattr_icount));
        }
        let is_extended = format & 1 == 1;
        Ok(Self {
            mtime: is_extended.then(|| u64::from_le_bytes(get(raw, 0x20))),
            layout,
            mode: u16::from_le_bytes(get(raw, 0x04)),
            nlink: if is_extended {
                u32::from_le_bytes(get(raw, 0x2C))
            } else {
                u16::from_le_bytes(get(raw, 0x06)).into()
            },
            size: if is_extended {
                u64::from_le_bytes(get(raw, 0x08))
            } else {
                u32::from_le_bytes(get(raw, 0x08)).into()
            },
            blkaddr: u32::from_le_bytes(get(raw, 0x10)),
            ino: u32::from_le_bytes(get(raw, 0x14)),
            uid: if is_extended {
                u32::from_le_bytes(get(raw, 0x18))
            } else {
                u16::from_le_bytes(get(raw, 0x18)).into()
            },
            gid: if is_extended {
                u32::from_le_bytes(get(raw, 0x1C))
            } else {
                u16::from_le_bytes(get(raw, 0x1A)).into()
            },
        })
    }
}

/// What an inode is: `S_IFMT` of its mode, and `file_type` of directory entries that name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FileType {
    /// `S_IFREG`, `EROFS_FT_REG_FILE`.
    Regular,
    /// `S_IFDIR`, `EROFS_FT_DIR`.
    Directory,
    /// `S_IFLNK`, `EROFS_FT_SYMLINK`.
    Symlink,
}

impl FileType {
    /// The bits of `st_mode` outside the permissions.
    pub(super) const fn mode(self) -> u16 {
        match self {
            Self::Regular => 0o100_000,
            Self::Directory => 0o040_000,
            Self::Symlink => 0o120_000,
        }
    }

    /// The type of an inode with `mode`, if it is one that has a place in an image.
    pub(super) fn from_mode(mode: u16) -> Option<Self> {
        [Self::Regular, Self::Directory, Self::Symlink]
            .into_iter()
            .find(|file_type| file_type.mode() == mode & 0o170_000)
    }

    /// The code in directory entries.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Regular => 1,
            Self::Directory => 2,
            Self::Symlink => 7,
        }
    }
}

/// `struct erofs_dirent`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Dirent {
    /// The inode named.
    pub(super) nid: u64,
    /// Where the name starts, from the start of the directory block.
    pub(super) nameoff: u16,
    /// [`FileType::code`] of the inode named.
    pub(super) file_type: u8,
}

impl Dirent {
    pub(super) fn encode(&self) -> [u8; DIRENT] {
        let mut raw = [0; DIRENT];
        put(&mut raw, 0x00, self.nid.to_le_bytes());
        put(&mut raw, 0x08, self.nameoff.to_le_bytes());
        put(&mut raw, 0x0A, [self.file_type]);
        raw
    }

    pub(super) fn decode(raw: &[u8; DIRENT]) -> Self {
        Self {
            nid: u64::from_le_bytes(get(raw, 0x00)),
            nameoff: u16::from_le_bytes(get(raw, 0x08)),
            file_type: u8::from_le_bytes(get(raw, 0x0A)),
        }
    }
}

pub(super) fn put<const N: usize>(raw: &mut [u8], offset: usize, field: [u8; N]) {
    raw[offset..offset + N].copy_from_slice(&field);
}

pub(super) fn get<const N: usize>(raw: &[u8], offset: usize) -> [u8; N] {
    std::array::from_fn(|index| raw[offset + index])
}
