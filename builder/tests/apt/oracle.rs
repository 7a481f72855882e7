//! Debian's apt with a private state: own lists, own status file, nothing of the host but its mirror.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use imgbuild::archive::index::Package;

use super::packages;

/// Where lists and caches stay between runs; default: a folder in the temporary directory.
const CACHE_VARIABLE: &str = "IMGBUILD_APT_CACHE";
/// The mirror to use, e.g. `http://mirror.example/debian`; default: the host's apt sources.
const MIRROR_VARIABLE: &str = "IMGBUILD_MIRROR";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const LISTS_STAY_FRESH: Duration = Duration::from_hours(24);
/// Suites in the order of sources.list, which apt's preference among providers depends on.
const SUITES: [(&str, &str); 3] =
    [("trixie", "debian"), ("trixie-updates", "debian"), ("trixie-security", "debian-security")];

/// Packages by name, each with its version.
pub(crate) type Selection = BTreeMap<String, String>;

/// An apt for trixie, main, amd64.
pub(crate) struct Apt {
    directory: PathBuf,
    /// Numbers the files of each call, as tests call apt at the same time.
    calls: AtomicUsize,
}

impl Apt {
    /// Prepares the state; downloads lists if there are none or they are a day old.
    pub(crate) fn prepare() -> Self {
        let directory = std::env::var_os(CACHE_VARIABLE)
            .map_or_else(|| std::env::temp_dir().join("imgbuild-apt-oracle"), PathBuf::from);
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(part)).expect("the cache directory is writable");
        }
        let apt = Self { directory, calls: AtomicUsize::new(0) };
        let mirrors = find_mirrors();
        let sources = SUITES.iter().fold(String::new(), |mut text, (suite, archive)| {
            let mirror = &mirrors[*archive];
            writeln!(text, "deb [arch=amd64 signed-by={KEYRING}] {mirror} {suite} main")
                .expect("a String takes all");
            text
        });
        let is_current = fs::read_to_string(apt.path("sources.list")).is_ok_and(|known| known == sources)
            && SUITES.iter().all(|(suite, _)| apt.list_of(suite).is_some_and(|path| is_fresh(&path)));
        if !is_current {
            fs::write(apt.path("sources.list"), sources).expect("the cache directory is writable");
            let (code, output) =
                apt.run(&["update".to_owned()], Path::new("/dev/null"), Path::new("/dev/null"));
            assert_eq!(code, Some(0), "apt-get update: {output}");
        }
        apt
    }

    /// The very packages apt chooses from, in apt's order.
    pub(crate) fn packages(&self) -> Vec<Package> {
        let read = |(suite, archive): &(&str, &str)| {
            let path = self.list_of(suite).unwrap_or_else(|| panic!("apt downloaded a list of {suite}"));
            packages::parse(&fs::read_to_string(path).expect("the list is text"), suite, archive)
        };
        SUITES.iter().flat_map(read).collect()
    }

    /// What apt would install, or its refusal.
    ///
    /// `installed` appear in the status file at the given package's version, without dependencies of
    /// their own; `forbidden` names have no candidate.
    pub(crate) fn install(
        &self,
        names: &[String],
        installed: &[&Package],
        forbidden: &[String],
    ) -> Result<Selection, String> {
        let call = format!("{}-{}", std::process::id(), self.calls.fetch_add(1, Ordering::Relaxed));
        let status = self.path(&format!("status-{call}"));
        let preferences = self.path(&format!("preferences-{call}"));
        fs::write(&status, installed.iter().map(|package| status_of(package)).collect::<String>())
            .expect("the cache directory is writable");
        let forbid = |name: &String| format!("Package: {name}\nPin: release *\nPin-Priority: -1\n\n");
        fs::write(&preferences, forbidden.iter().map(forbid).collect::<String>())
            .expect("the cache directory is writable");
        let mut arguments: Vec<_> =
            ["-s", "--no-install-recommends", "install"].map(ToOwned::to_owned).to_vec();
        arguments.extend_from_slice(names);
        let (code, output) = self.run(&arguments, &status, &preferences);
        fs::remove_file(status).expect("the status file is there");
        fs::remove_file(preferences).expect("the preferences are there");
        match code {
            Some(0) => Ok(output.lines().filter_map(parse_inst).collect()),
            Some(100) if output.contains("unmet dependencies") => Err(output),
            _ => panic!("apt-get install {}: {output}", names.join(" ")),
        }
    }

    #[expect(
        clippy::disallowed_types,
        reason = "apt is the oracle of this test, not a helper of the program"
    )]
    fn run(&self, arguments: &[String], status: &Path, preferences: &Path) -> (Option<i32>, String) {
        let state = self.directory.display();
        let settings = [
            format!("Dir::State={state}"),
            format!("Dir::State::lists={state}/lists"),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::State::extended_states={state}/extended_states"),
            format!("Dir::Cache={state}/cache"),
            // Lists without status file: kept, else apt reads all of them at each call. Together with the
            // status file: not kept, as each call has its own.
            "Dir::Cache::pkgcache=".to_owned(),
            "Dir::Cache::srcpkgcache=srcpkgcache.bin".to_owned(),
            format!("Dir::Etc::sourcelist={state}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::Etc::preferences={}", preferences.display()),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures=amd64".to_owned(),
            "APT::Sandbox::User=".to_owned(),
            // Else apt replaces a dropped package, as its stanza in the status file is not the index's.
            "APT::Get::Upgrade-By-Source-Package=false".to_owned(),
            "APT::Solver=internal".to_owned(),
            "Acquire::GzipIndexes=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        let output = std::process::Command::new("apt-get")
            .args(settings.iter().flat_map(|setting| ["-o", setting]))
            .args(arguments)
            .env("LC_ALL", "C")
            .output()
            .expect("apt-get runs");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.code(), text.concat())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn list_of(&self, suite: &str) -> Option<PathBuf> {
        let suffix = format!("_dists_{suite}_main_binary-amd64_Packages");
        let entries = fs::read_dir(self.path("lists")).ok()?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.find(|path| path.to_string_lossy().ends_with(&suffix))
    }
}

fn is_fresh(path: &Path) -> bool {
    // apt gives lists the mirror's time; the change time is when they arrived.
    use std::os::unix::fs::MetadataExt as _;
    let arrived = fs::metadata(path).ok().and_then(|metadata| u64::try_from(metadata.ctime()).ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later than 1970");
    arrived.is_some_and(|arrived| now.saturating_sub(Duration::from_secs(arrived)) < LISTS_STAY_FRESH)
}

/// `Inst name (version origin [amd64])`, with `[old version]` before the parenthesis for upgrades.
fn parse_inst(line: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix("Inst ")?;
    let (name, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once('(')?;
    let (version, _) = rest.split_once(' ')?;
    Some((name.to_owned(), version.to_owned()))
}

fn status_of(package: &Package) -> String {
    let Package { name, version, arch, multi_arch, provides, priority, .. } = package;
    let optional = |field: &str, value: &str| {
        if value.is_empty() { String::new() } else { format!("{field}: {value}\n") }
    };
    format!(
        "Package: {name}\nStatus: install ok installed\nArchitecture: {arch}\nVersion: {version}\n\
         Maintainer: nobody\nDescription: appears installed\n{}{}{}\n",
        optional("Priority", priority),
        optional("Multi-Arch", multi_arch),
        optional("Provides", provides),
    )
}

/// Mirrors of `debian` and `debian-security`, from the environment or the host's apt sources.
fn find_mirrors() -> BTreeMap<&'static str, String> {
    if let Ok(mirror) = std::env::var(MIRROR_VARIABLE) {
        let mirror = mirror.trim_end_matches('/').to_owned();
        let security = format!("{mirror}-security");
        return BTreeMap::from([("debian", mirror), ("debian-security", security)]);
    }
    let directory = fs::read_dir("/etc/apt/sources.list.d");
    let parts = directory.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = [PathBuf::from("/etc/apt/sources.list")].into_iter().chain(parts).collect();
    files.sort();
    let text: String = files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    let of_archive = |archive: &'static str| {
        let words = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
        let mut addresses = words.filter(|word| word.contains("://")).map(|word| word.trim_end_matches('/'));
        let address = addresses.find(|address| address.rsplit('/').next() == Some(archive));
        let address = address.unwrap_or_else(|| panic!("set {MIRROR_VARIABLE}: no apt source of {archive}"));
        (archive, address.to_owned())
    };
    BTreeMap::from(["debian", "debian-security"].map(of_archive))
}
