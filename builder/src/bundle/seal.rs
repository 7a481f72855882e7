//! Sealing: the tree becomes an EROFS image with its hash tree, an initrd and a UKI.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;
use sha2::Digest as _;
use uuid::Uuid;

use super::initrd;
use super::manifest::FileFacts;
use super::root::Root;
use crate::format::uki::{self, Uki};
use crate::format::{erofs, verity};
use crate::image::Image;
use crate::printer::Printer;
use crate::profile::Profile;
use crate::tree::Tree;
use crate::units::{Bytes, RootHash, Sha256};

/// File names in a build folder.
pub const ROOT: &str = "root.erofs";
/// The hash tree, with its superblock.
pub const VERITY: &str = "root.verity";
/// The UKI.
pub const UKI: &str = "os.efi";

/// Identifies the operating system to systemd-boot. It sorts by `IMAGE_VERSION` and `VERSION_ID` before
/// it looks at the file name, which holds the generation; so there is no `IMAGE_VERSION`, and
/// `VERSION_ID` never changes.
const OS_RELEASE: &str = "ID=imgbuild\nNAME=imgbuild\nPRETTY_NAME=imgbuild\nVERSION_ID=1\n";

/// A sealed bundle; its files lie in the build folder.
#[derive(Debug)]
pub struct Bundle {
    /// What vouches for the root.
    pub root_hash: RootHash,
    /// The arguments in the UKI.
    pub command_line: String,
    /// The initrd inside the UKI.
    pub initrd: bytes::Bytes,
    /// systemd-boot.
    pub boot_loader: bytes::Bytes,
    /// The files by name.
    pub files: Vec<(&'static str, FileFacts)>,
}

/// What is sealed.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The composed root.
    pub root: &'a Root,
    /// The unpacked boot packages.
    pub boot: &'a Tree,
    /// Kernel arguments, modules of the initrd.
    pub profile: &'a Profile,
    /// Kernel arguments that the medium adds.
    pub image: &'a Image,
    /// The initrd's `/init`.
    pub stage0: &'a bytes::Bytes,
    /// What need not be compressed again.
    pub extents: &'a dyn erofs::ExtentCache,
}

/// Seals a root into files in `folder`.
pub fn seal(parts: &Parts<'_>, folder: &Path, printer: &Printer) -> anyhow::Result<Bundle> {
    let Parts { root, boot, profile, image, stage0, extents } = *parts;
    let task = printer.task("sealing the root", None);
    let (initrd, sealed) = rayon::join(
        || initrd::disk_initrd(&root.kernel, &root.tree, &profile.kernel.initrd_modules, stage0, root.date),
        || write_root(root, profile, extents, folder),
    );
    let (initrd, (tree, root_facts)) = (initrd?, sealed?);
    let verity = write(folder, VERITY, &tree.bytes)?;
    let command_line = full_command_line(profile, image, tree.root_hash);
    let uki = uki::assemble(&Uki {
        stub: boot_file(boot, &format!("linux{}.efi.stub", profile.arch.efi()))?,
        kernel: Some(&root.kernel.image),
        microcode: root.microcode.as_deref(),
        initrd: Some(&initrd),
        command_line: Some(&command_line),
        os_release: Some(OS_RELEASE),
        uname: Some(&root.kernel.release),
        sbat: None,
    })?;
    let uki = write(folder, UKI, &uki)?;
    task.finish(&format!("root {}, initrd {}, UKI {}", root_facts.size, Bytes::of(&initrd), uki.size));
    Ok(Bundle {
        root_hash: tree.root_hash,
        command_line,
        initrd: initrd.into(),
        boot_loader: boot_file(boot, &format!("systemd-boot{}.efi", profile.arch.efi()))?.clone(),
        files: vec![(ROOT, root_facts), (VERITY, verity), (UKI, uki)],
    })
}

fn full_command_line(profile: &Profile, image: &Image, root_hash: RootHash) -> String {
    let mut words = vec![format!("roothash={root_hash}")];
    words.push(format!("imgbuild.state-minimum={}", image.state_minimum.0));
    words.extend(profile.kernel.command_line.iter().chain(&image.command_line).cloned());
    words.join(" ")
}

fn boot_file<'tree>(boot: &'tree Tree, name: &str) -> anyhow::Result<&'tree bytes::Bytes> {
    let path = format!("usr/lib/systemd/boot/efi/{name}");
    boot.file(&path).with_context(|| format!("no boot package of the profile has `{path}`"))
}

/// Writes the root once, hashing it on the way for the hash tree and for the manifest.
fn write_root(
    root: &Root,
    profile: &Profile,
    extents: &dyn erofs::ExtentCache,
    folder: &Path,
) -> anyhow::Result<(verity::HashTree, FileFacts)> {
    let path = folder.join(ROOT);
    let at = || format!("writing `{}`", path.display());
    let file = Hashing::new(File::create(&path).with_context(at)?);
    // Fixed: the salt's purpose is to differ between products, not between builds of one.
    let options = verity::Options { salt: Sha256::of(b"imgbuild verity salt").0, uuid: uuid("verity") };
    let mut file = verity::Writer::new(file, options);
    let options = erofs::Options {
        timestamp: root.date,
        uuid: uuid("root"),
        volume_name: "root".to_owned(),
        compression: profile.root.compression,
    };
    erofs::write(&root.tree, &options, extents, &mut file).with_context(at)?;
    let (file, hashes) = file.finish().with_context(at)?;
    Ok((hashes, file.facts()))
}

fn write(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<FileFacts> {
    let path = folder.join(name);
    std::fs::write(&path, content).with_context(|| format!("writing `{}`", path.display()))?;
    Ok(FileFacts { size: Bytes::of(content), sha256: Sha256::of(content) })
}

/// A UUID of version 8 (RFC 9562, 5.8) that names what it identifies.
fn uuid(name: &str) -> Uuid {
    Sha256::of(format!("imgbuild {name}").as_bytes()).uuid()
}

/// Passes data on and keeps their digest and number.
struct Hashing<W> {
    inner: W,
    hasher: sha2::Sha256,
    size: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: sha2::Sha256::new(), size: 0 }
    }

    fn facts(self) -> FileFacts {
        FileFacts { size: Bytes(self.size), sha256: Sha256(self.hasher.finalize().into()) }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(data)?;
        self.hasher.update(&data[..written]);
        self.size = self.size.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Arch;

    #[test]
    fn the_command_line_tells_stage0_what_it_reads() {
        let nowhere = Path::new("/nowhere");
        let profile = Profile::load("cloud", Arch::Amd64, nowhere).unwrap();
        let image = Image::load("disk", nowhere).unwrap();
        let line = full_command_line(&profile, &image, RootHash(Sha256::of(b"root")));
        let read = firstboot::stage0::cmdline::Arguments::parse(&line).unwrap();
        assert_eq!(read.root_hash.to_string(), Sha256::of(b"root").to_string());
        assert_eq!(read.state_minimum, image.state_minimum.0);
    }
}
