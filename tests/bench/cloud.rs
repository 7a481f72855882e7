//! An upload to the cloud at the Hetzner simulator's machines, and beside it what others do: `xz | ssh dd`.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use imgbuild::bundle::manifest;
use imgbuild::units::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::program::{Cost, Program};

/// What the cluster file says of the cloud.
const CLOUD: &str = "\n[hetzner]\nlocation = \"fsn1\"\nserver-type = \"cx23\"\n";
/// What is sent is told apart from zeros in blocks of so many bytes, and compressed so many bytes at a time.
const BLOCK: usize = 64 << 10;
const CHUNK: usize = 8 << 20;
/// Of zstd.
const LEVEL: i32 = 3;

/// A cluster whose image is uploaded.
#[derive(Debug)]
pub(crate) struct Cloud {
    program: PathBuf,
    cluster: PathBuf,
    cache: PathBuf,
    work: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Uploads {
    pub(crate) ours: Upload,
    pub(crate) peer: Upload,
    /// Compressing the image, which the peer does before.
    pub(crate) xz: Cost,
    /// By zstd, what is not zero.
    pub(crate) least: Bytes,
}

/// From the first request until there is a snapshot, and the temporary server is gone.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Upload {
    pub(crate) seconds: f64,
    /// Seconds from the first byte of the image to the last, and to its check where there is one.
    pub(crate) writing: f64,
    /// Bytes over the server's interface, both ways.
    pub(crate) wire: Bytes,
    /// Requests of the API.
    pub(crate) calls: u16,
    /// Those that change something.
    pub(crate) changes: u16,
}

impl Cloud {
    /// Builds the image, in a cluster of its own in `work`.
    pub(crate) fn prepare(program: &Path, work: &Path, cache: &Path) -> anyhow::Result<Self> {
        let work = work.join("cloud");
        let cluster = work.join("cluster");
        Program::new(program).arguments(["--quiet", "init", "--no-identity"]).argument(&cluster).run()?;
        let file = cluster.join("cluster.toml");
        let text = fs::read_to_string(&file).context("reading the cluster file")?;
        fs::write(&file, text + CLOUD).context("writing the cluster file")?;
        let cloud = Self { program: program.to_owned(), cluster, cache: cache.to_owned(), work };
        let build = Program::new(&cloud.program).argument("--file").argument(file).argument("--cache");
        let build =
            build.argument(cache).arguments(["--quiet", "build", "cloud", "--without-artifacts", "-o"]);
        build.argument(cloud.built()).run()?;
        Ok(cloud)
    }

    fn built(&self) -> PathBuf {
        self.cluster.join("out/cloud-amd64")
    }

    fn disk(&self) -> PathBuf {
        self.built().join(manifest::DISK)
    }

    pub(crate) fn measure(&self) -> anyhow::Result<Uploads> {
        let (image, key) = (self.work.join("disk.raw.xz"), self.work.join("key"));
        let compress = Program::new("sh").arguments(["-c", "exec xz -T0 -c \"$0\" >\"$1\""]);
        let (xz, _) = compress.argument(self.disk()).argument(&image).run()?;
        Program::new("ssh-keygen").arguments(["-q", "-t", "ed25519", "-N", "", "-f"]).argument(&key).run()?;
        let beside = |name: &str| {
            let own = std::env::current_exe().context("finding this program")?;
            let program = own.with_file_name(name);
            ensure!(program.is_file(), "`{}` is missing", program.display());
            anyhow::Ok(program)
        };
        let machines = Program::new(beside("hetzner-machines")?)
            .argument("--folder")
            .argument(self.work.join("simulator"))
            .argument("--cache")
            .argument(&self.cache)
            .argument("--")
            .argument(beside("hetzner-bench")?)
            .argument(&self.program)
            .argument(self.cluster.join("cluster.toml"))
            .argument(&self.cache)
            .argument(&image)
            .argument(&key);
        let (_, told) = machines.run()?;
        let told: Value = serde_json::from_str(told.trim()).with_context(|| format!("reading `{told}`"))?;
        let upload = |side: &str| -> anyhow::Result<Upload> {
            serde_json::from_value(told[side].clone()).with_context(|| format!("reading `{told}`"))
        };
        Ok(Uploads { ours: upload("ours")?, peer: upload("peer")?, xz, least: least(&self.disk())? })
    }
}

/// What zstd makes of the blocks of a disk that are not zero, chunk by chunk.
fn least(disk: &Path) -> anyhow::Result<Bytes> {
    let reading = || format!("reading `{}`", disk.display());
    let mut file = File::open(disk).with_context(reading)?;
    let (mut block, mut chunk, mut least) = (Vec::new(), Vec::new(), 0_u64);
    loop {
        block.clear();
        let more = u64::try_from(BLOCK).context("a block is too large")?;
        let read = file.by_ref().take(more).read_to_end(&mut block).with_context(reading)?;
        if block.iter().any(|byte| *byte != 0) {
            chunk.extend_from_slice(&block);
        }
        if chunk.len() >= CHUNK || (read == 0 && !chunk.is_empty()) {
            let packed = zstd::bulk::compress(&chunk, LEVEL).context("compressing a chunk")?;
            least += Bytes::of(&packed).0;
            chunk.clear();
        }
        if read == 0 {
            return Ok(Bytes(least));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn zeros_cost_nothing_and_all_else_is_compressed_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let noise: Vec<u8> = (0..1_u32 << 16).flat_map(|n| n.wrapping_mul(n | 1).to_le_bytes()).collect();
        let disk = file.as_file();
        disk.set_len(64 << 20).unwrap();
        let without = least(file.path()).unwrap();
        disk.write_all_at(&noise, 10 << 20).unwrap();
        let once = least(file.path()).unwrap();
        disk.write_all_at(&noise, 40 << 20).unwrap();
        let twice = least(file.path()).unwrap();
        assert_eq!(without, Bytes(0));
        // The second lies in the same chunk as the first.
        assert!(once.0 > 1000 && twice.0 < once.0 + once.0 / 10, "{once} {twice}");
    }
}
