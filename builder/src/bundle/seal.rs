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
use crate::derived::DerivedCache;
use crate::format::signer::Signer;
use crate::format::uki::{self, Uki};
use crate::format::{authenticode, erofs, verity};
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
    /// The medium's own arguments as an add-on to the UKI.
    pub addon: bytes::Bytes,
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
    /// Kernel arguments that the medium adds, in an add-on.
    pub image: &'a Image,
    /// The initrd's `/init`.
    pub stage0: &'a bytes::Bytes,
    /// Who signs the boot programs, if anybody does.
    pub signer: Option<&'a Signer>,
    /// What need not be compressed again.
    pub cache: &'a dyn DerivedCache,
}

/// Seals a root into files in `folder`.
pub fn seal(parts: &Parts<'_>, folder: &Path, printer: &Printer) -> anyhow::Result<Bundle> {
    let Parts { root, boot, profile, image, stage0, signer, cache } = *parts;
    let task = printer.task("sealing the root", None);
    let (initrd, sealed) = rayon::join(
        || {
            let modules = &profile.kernel.initrd_modules;
            let archive = initrd::disk_archive(&root.kernel, &root.tree, modules, stage0, root.date)?;
            initrd::compress(&archive, cache)
        },
        || write_root(parts, salt(parts)?, folder),
    );
    let (initrd, (tree, root_facts)) = (initrd?, sealed?);
    let verity = write(folder, VERITY, &tree.bytes)?;
    let command_line = full_command_line(profile, tree.root_hash);
    let uki = boot_program(
        "the UKI",
        signer,
        &Uki {
            stub: stub(boot, profile)?,
            kernel: Some(&root.kernel.image),
            microcode: root.microcode.as_deref(),
            initrd: Some(&initrd),
            command_line: Some(&command_line),
            os_release: Some(OS_RELEASE),
            uname: Some(&root.kernel.release),
            sbat: None,
        },
    )?;
    let uki = write(folder, UKI, &uki)?;
    let boot_loader = boot_file(boot, &format!("systemd-boot{}.efi", profile.arch.efi()))?;
    task.finish(&format!("root {}, initrd {}, UKI {}", root_facts.size, Bytes::of(&initrd), uki.size));
    Ok(Bundle {
        root_hash: tree.root_hash,
        command_line,
        initrd,
        boot_loader: sign("systemd-boot", boot_loader.clone(), signer)?,
        addon: addon(boot, profile, image, signer)?,
        files: vec![(ROOT, root_facts), (VERITY, verity), (UKI, uki)],
    })
}

/// What every medium of the bundle needs; its own arguments come as an add-on.
fn full_command_line(profile: &Profile, root_hash: RootHash) -> String {
    let mut words = vec![format!("roothash={root_hash}")];
    words.extend(profile.kernel.command_line.iter().cloned());
    words.join(" ")
}

fn addon(
    boot: &Tree,
    profile: &Profile,
    image: &Image,
    signer: Option<&Signer>,
) -> anyhow::Result<bytes::Bytes> {
    let stub = boot_file(boot, &format!("addon{}.efi.stub", profile.arch.efi()))?;
    let command_line = image.full_command_line();
    let addon = Uki { stub, command_line: Some(&command_line), ..Uki::default() };
    boot_program("the add-on", signer, &addon)
}

fn boot_program(name: &'static str, signer: Option<&Signer>, uki: &Uki<'_>) -> anyhow::Result<bytes::Bytes> {
    let assembled = uki::assemble(uki).with_context(|| format!("assembling {name}"))?;
    sign(name, assembled.into(), signer)
}

fn sign(name: &'static str, program: bytes::Bytes, signer: Option<&Signer>) -> anyhow::Result<bytes::Bytes> {
    let Some(signer) = signer else { return Ok(program) };
    Ok(authenticode::sign(&program, signer).with_context(|| format!("signing {name}"))?.into())
}

/// systemd's stub of a UKI.
fn stub<'tree>(boot: &'tree Tree, profile: &Profile) -> anyhow::Result<&'tree bytes::Bytes> {
    boot_file(boot, &format!("linux{}.efi.stub", profile.arch.efi()))
}

fn boot_file<'tree>(boot: &'tree Tree, name: &str) -> anyhow::Result<&'tree bytes::Bytes> {
    let path = format!("usr/lib/systemd/boot/efi/{name}");
    boot.file(&path).with_context(|| format!("no boot package of the profile has `{path}`"))
}

/// The hash tree's salt: a digest of what goes into the UKI besides the root. So the root hash, by which a disk tells its
/// slots apart, is another one where only kernel arguments or stage0 are, and such a bundle can be staged as any other.
/// The initrd stands here by what it is made of, because it is compressed while the root is written. Signatures stay
/// out: who has no key can still build the same root.
fn salt(parts: &Parts<'_>) -> anyhow::Result<[u8; 32]> {
    let Parts { root, boot, profile, stage0, .. } = *parts;
    let arguments = profile.kernel.command_line.join(" ");
    let modules = profile.kernel.initrd_modules.join(" ");
    let inputs: [&[u8]; 8] = [
        b"imgbuild verity salt",
        stub(boot, profile)?,
        &root.kernel.image,
        root.microcode.as_deref().unwrap_or_default(),
        stage0,
        modules.as_bytes(),
        arguments.as_bytes(),
        OS_RELEASE.as_bytes(),
    ];
    Ok(Sha256::of_all(&inputs).0)
}

/// Writes the root once, hashing it on the way for the hash tree and for the manifest.
fn write_root(
    parts: &Parts<'_>,
    salt: [u8; 32],
    folder: &Path,
) -> anyhow::Result<(verity::HashTree, FileFacts)> {
    let Parts { root, profile, cache, .. } = *parts;
    let path = folder.join(ROOT);
    let at = || format!("writing `{}`", path.display());
    let file = Hashing::new(File::create(&path).with_context(at)?);
    let options = verity::Options { salt, uuid: uuid("verity") };
    let mut file = verity::Writer::new(file, options);
    let options = erofs::Options {
        timestamp: root.date,
        uuid: uuid("root"),
        volume_name: "root".to_owned(),
        compression: profile.root.compression,
    };
    erofs::write(&root.tree, &options, cache, &mut file).with_context(at)?;
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
        let line = full_command_line(&profile, RootHash(Sha256::of(b"root")));
        let line = format!("{line} {}", image.full_command_line());
        let read = firstboot::stage0::cmdline::Arguments::parse(&line).unwrap();
        assert_eq!(read.root_hash.to_string(), Sha256::of(b"root").to_string());
        assert_eq!(read.state_minimum, image.state_minimum.0);
    }
}
