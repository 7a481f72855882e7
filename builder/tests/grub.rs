//! GRUB by trixie's own tools: `grub-mkimage` makes the same payload, its checkers read our scripts and block.

#![cfg(target_arch = "x86_64")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod debian;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use firstboot::slot::environment::{Environment, Trial};
use firstboot::slot::{Generation, Slot};
use imgbuild::format::grub::{self, Contents, Platform};
use imgbuild::medium::bios::{self, BiosSlot};
use liblzma::stream::{Action, Filters, LzmaOptions, Stream};

use debian::{Trixie, run};

/// Shared objects of `grub-mkimage`, which is linked against a newer libc than Debian 12 has.
const LIBRARIES: [&str; 6] = ["libc6", "liblzma5", "libselinux1", "libudev1", "libpcre2-8-0", "libcap2"];
/// Tests run side by side, and apt locks its folders.
static TRIXIE: LazyLock<Mutex<Trixie>> = LazyLock::new(|| Mutex::new(Trixie::new("grub")));
const MODULES: [&str; 6] = ["biosdisk", "part_gpt", "fat", "linux", "normal", "loadenv"];
const PREFIX: &str = "(,gpt2)/grub";
/// Its length is no multiple of 4.
const CONFIG: &str = "echo oracle\nsource $prefix/grub.cfg\n";
const CONTENTS: Contents<'_> = Contents { modules: &MODULES, config: Some(CONFIG), prefix: PREFIX };

/// The files of grub-pc-bin.
struct Files {
    folder: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Files {
    fn unpack() -> Self {
        let trixie = TRIXIE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = trixie.unpacked("grub-pc-bin").join("usr/lib/grub/i386-pc");
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
        let read =
            |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
        let files = entries.map(read).collect();
        Self { folder, files }
    }

    fn platform(&self) -> Platform<'_> {
        let modules =
            self.files.iter().filter_map(|(name, file)| Some((name.strip_suffix(".mod")?, file.as_slice())));
        Platform {
            boot: &self.files["boot.img"],
            disk_boot: &self.files["diskboot.img"],
            decompressor: &self.files["lzma_decompress.img"],
            kernel: &self.files["kernel.img"],
            dependencies: str::from_utf8(&self.files["moddep.lst"]).unwrap(),
            modules: modules.collect(),
        }
    }
}

/// Runs one of trixie's GRUB tools with the libraries it was linked against.
fn tool(name: &str, arguments: &[&OsStr]) -> String {
    let trixie = TRIXIE.lock().unwrap_or_else(PoisonError::into_inner);
    let program = trixie.unpacked("grub-common").join("usr/bin").join(name);
    let mapper = trixie.dependency("grub-common", "libdevmapper");
    let packages = LIBRARIES.into_iter().chain([mapper.as_str()]);
    let roots: Vec<PathBuf> = packages.map(|package| trixie.unpacked(package)).collect();
    let loader = roots[0].join("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
    let paths = roots.iter().map(|root| root.join("usr/lib/x86_64-linux-gnu").into_os_string());
    let search = paths.collect::<Vec<OsString>>().join(OsStr::new(":"));
    let start = ["--library-path".as_ref(), search.as_os_str(), program.as_ref()];
    let all: Vec<&OsStr> = start.into_iter().chain(arguments.iter().copied()).collect();
    run(loader.to_str().unwrap(), &all, &[])
}

/// What trixie's own tool makes, `diskboot.img` left out.
fn mkimage(files: &Path) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (config, out) = (folder.path().join("config"), folder.path().join("core.img"));
    fs::write(&config, CONFIG).unwrap();
    let target = ["-O", "i386-pc", "-p", PREFIX, "-c"].map(OsStr::new);
    let output = [config.as_os_str(), "-o".as_ref(), out.as_os_str()];
    let modules = MODULES.map(OsStr::new);
    let all = ["-d".as_ref(), files.as_os_str()].into_iter().chain(target).chain(output).chain(modules);
    tool("grub-mkimage", &all.collect::<Vec<_>>());
    fs::read(&out).unwrap().split_off(512)
}

/// What the decompressor of a core makes in memory, by the sizes in its header.
fn unpack(core: &[u8], decompressor: &[u8]) -> Vec<u8> {
    let field =
        |at: usize| usize::try_from(u32::from_le_bytes(core[at..at + 4].try_into().unwrap())).unwrap();
    let (compressed, size) = (&core[decompressor.len()..], field(0x0c));
    assert_eq!(compressed.len(), field(0x08));
    let mut options = LzmaOptions::new_preset(6).unwrap();
    options.dict_size(1 << 20).literal_context_bits(3).literal_position_bits(0).position_bits(2);
    let mut stream = Stream::new_raw_decoder(Filters::new().lzma1(&options)).unwrap();
    let mut output = vec![0; size];
    stream.process(compressed, &mut output, Action::Run).unwrap();
    assert_eq!(stream.total_out(), u64::try_from(size).unwrap());
    output
}

#[test]
fn the_payload_is_that_of_grub_mkimage() {
    let files = Files::unpack();
    let platform = files.platform();
    let start = std::time::Instant::now();
    let ours = grub::core(&platform, &CONTENTS).unwrap();
    println!("core of {} bytes in {:?}", ours.len(), start.elapsed());
    let theirs = mkimage(&files.folder);
    println!("grub-mkimage: {} bytes", theirs.len());
    assert!(ours.len() <= theirs.len() + theirs.len() / 50, "{} and {}", ours.len(), theirs.len());
    let unpacked = unpack(&ours, platform.decompressor);
    assert!(unpacked == unpack(&theirs, platform.decompressor));
    assert!(unpacked == grub::payload(&platform, &CONTENTS).unwrap());
    // Beside the sizes and the stream nothing differs.
    let is_same = |at: &usize| ours[*at] == theirs[*at] || (0x08..0x10).contains(at);
    assert!((0..platform.decompressor.len()).all(|at| is_same(&at)));
}

#[test]
fn damaged_files_are_refused_by_name() {
    let files = Files::unpack();
    let whole = files.platform();
    let refusal = |platform: &Platform<'_>| {
        let fault = grub::core(platform, &CONTENTS).unwrap_err();
        let source = std::error::Error::source(&fault).map(|source| format!(": {source}"));
        format!("{fault}{}", source.unwrap_or_default())
    };
    let cut = Platform { kernel: &whole.kernel[..0x4000], ..whole.clone() };
    assert_eq!(
        refusal(&cut),
        "`kernel.img` is a corrupt ELF file: Invalid ELF section header offset/size/alignment"
    );
    let module = Platform { kernel: whole.modules["fat"], ..whole.clone() };
    assert_eq!(refusal(&module), "`kernel.img` is no program for 32-bit x86");
    let with_fat = |fat: &'static str| {
        let mut modules = whole.modules.clone();
        modules.remove("fat");
        modules.extend(whole.modules.get(fat).map(|file| ("fat", *file)));
        Platform { modules, ..whole.clone() }
    };
    assert_eq!(refusal(&with_fat("ext2")), "GRUB module `fat.mod` calls itself `ext2`");
    assert_eq!(refusal(&with_fat("none")), "there is no GRUB module `fat`");
    let list = whole.dependencies.replace("fat: fshelp\n", "fat:\n");
    let unsaid = Platform { dependencies: &list, ..whole.clone() };
    assert_eq!(refusal(&unsaid), "GRUB module `fat` needs `fshelp`, which `moddep.lst` does not say");
    let large = vec![0; 4000];
    let large = Platform { decompressor: &large, ..whole.clone() };
    assert_eq!(refusal(&large), "`lzma_decompress.img` has 3.9 KiB, at most 3.5 KiB fit");
}

/// Whatever single bytes of the headers are changed to: an error or another core, never a panic.
#[test]
fn no_damage_of_headers_panics() {
    let files = Files::unpack();
    let whole = files.platform();
    let contents = Contents { modules: &["part_gpt"], config: None, prefix: PREFIX };
    let tables = whole.kernel.len() - 6 * 40..whole.kernel.len();
    let mut refused = 0;
    for at in (0..52).chain(tables) {
        for value in [0, 1, 0x7f, 0xff] {
            let mut kernel = whole.kernel.to_vec();
            kernel[at] = value;
            refused += usize::from(
                grub::payload(&Platform { kernel: &kernel, ..whole.clone() }, &contents).is_err(),
            );
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn grubs_own_tools_read_our_scripts_and_our_environment_block() {
    let folder = tempfile::tempdir().unwrap();
    let slot = BiosSlot {
        kernel: "".into(),
        microcode: Some("".into()),
        initrd: "".into(),
        command_line: "quiet dyndbg=\"file a.c +p\"".to_owned(),
    };
    let files = bios::shared_files().into_iter().chain(slot.files(Slot::B, Generation(7)).unwrap());
    let files: BTreeMap<String, PathBuf> = files
        .map(|(path, content)| {
            let file = folder.path().join(path.replace('/', "-"));
            fs::write(&file, content).unwrap();
            (path, file)
        })
        .collect();
    for script in ["grub/grub.cfg", "grub/b/slot.cfg"] {
        tool("grub-script-check", &[files[script].as_os_str()]);
    }
    let block = files["grub/grubenv"].as_os_str();
    let listed = tool("grub-editenv", &[block, "list".as_ref()]);
    assert_eq!(listed, "committed=a\ngeneration=1\ntrial=\ntrial_generation=\ntries=\nfailures=0\n");
    let change = ["trial=b", "trial_generation=12", "tries=2", "failures=4"].map(OsStr::new);
    tool("grub-editenv", &[block, "set".as_ref()].into_iter().chain(change).collect::<Vec<_>>());
    let trial = Some(Trial { slot: Slot::B, generation: Generation(12), tries: 2 });
    let expected = Environment { trial, failures: 4, ..Environment::NEW };
    assert_eq!(Environment::parse(&fs::read(block).unwrap()).unwrap(), expected);
}
