//! The build folder: made under another name, then put in place whole.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::SeekFrom;
use sha2::Digest as _;

use super::super::Note as _;
use super::cached::BuildFacts;
use crate::bundle::manifest::{self, FileFacts, Manifest};
use crate::units::{Bytes, Sha256};

/// The disk image's file name.
pub(super) const DISK: &str = "disk.raw";
/// Bytes read or hashed at a time.
const BUFFER: usize = 256 << 10;

/// A build under way.
#[derive(Debug)]
pub(super) struct Staging {
    output: PathBuf,
    path: PathBuf,
    is_published: bool,
}

/// Refuses to replace what no build has made: a folder given by mistake keeps its files.
pub(super) fn check_replaceable(output: &Path) -> anyhow::Result<()> {
    let mut entries = match fs::read_dir(output) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(anyhow::Error::from(error)
                .context(format!("reading folder `{}`", output.display()))
                .input());
        }
    };
    if output.join(manifest::FILE).is_file() || entries.next().is_none() {
        return Ok(());
    }
    let fault = anyhow::anyhow!("`{}` holds files that no build has made", output.display());
    Err(fault.input().hint("give another folder with `--output`"))
}

impl Staging {
    /// Makes the folder; what an interrupted build left there is removed.
    pub(super) fn begin(output: &Path, path: &Path) -> anyhow::Result<Self> {
        let making = || format!("making folder `{}`", path.display());
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(making),
            _ => {}
        }
        fs::create_dir_all(path).with_context(making)?;
        Ok(Self { output: output.to_owned(), path: path.to_owned(), is_published: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds manifest and build facts and puts the folder in place of an older build.
    pub(super) fn publish(mut self, manifest: &Manifest, facts: BuildFacts) -> anyhow::Result<BuildFacts> {
        self.write_json(manifest::FILE, manifest)?;
        let facts = facts.with_files(&self.path, manifest)?;
        self.write_json(super::cached::FILE, &facts)?;
        let placing = || format!("putting the build in place as `{}`", self.output.display());
        let mut old = self.path.clone().into_os_string();
        old.push(".old");
        let old = PathBuf::from(old);
        let _ = fs::remove_dir_all(&old);
        match fs::rename(&self.output, &old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(placing),
            _ => {}
        }
        fs::rename(&self.path, &self.output).with_context(placing)?;
        self.is_published = true;
        if old.exists() {
            fs::remove_dir_all(&old)
                .with_context(|| format!("removing the older build `{}`", old.display()))?;
        }
        Ok(facts)
    }

    fn write_json(&self, name: &str, value: &impl serde::Serialize) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let mut text = serde_json::to_vec_pretty(value).with_context(|| format!("rendering `{name}`"))?;
        text.push(b'\n');
        fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_published {
            // A left-over is replaced by the next build; there is nobody to tell while failing.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Size and digest of a file. Holes are not read, though their zeros are hashed like any other.
pub(super) fn facts(path: &Path) -> anyhow::Result<FileFacts> {
    let reading = || format!("reading `{}` back", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let size = file.metadata().with_context(reading)?.len();
    let mut hasher = sha2::Sha256::new();
    let mut position = 0;
    while position < size {
        let data = next(&file, SeekFrom::Data(position)).with_context(reading)?.unwrap_or(size);
        hash_zeros(&mut hasher, data.saturating_sub(position));
        let hole = next(&file, SeekFrom::Hole(data)).with_context(reading)?.unwrap_or(size);
        file.seek(io::SeekFrom::Start(data)).with_context(reading)?;
        let mut section = io::BufReader::with_capacity(BUFFER, (&mut file).take(hole.saturating_sub(data)));
        io::copy(&mut section, &mut hasher).with_context(reading)?;
        position = hole;
    }
    Ok(FileFacts { size: Bytes(size), sha256: Sha256(hasher.finalize().into()) })
}

/// Where the next data or hole begins; `None` behind the last one.
fn next(file: &File, seek: SeekFrom) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, seek) {
        Ok(position) => Ok(Some(position)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn hash_zeros(hasher: &mut sha2::Sha256, mut count: u64) {
    let zeros = vec![0_u8; BUFFER];
    while count > 0 {
        let length = usize::try_from(count).unwrap_or(BUFFER).min(BUFFER);
        hasher.update(&zeros[..length]);
        count = count.saturating_sub(u64::try_from(length).unwrap_or(count));
    }
}
