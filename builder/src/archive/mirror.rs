//! Which Debian mirror to use: said by the user, or taken from the host's own apt sources.

use std::path::Path;
use std::time::Duration;

use reqwest::Url;
use thiserror::Error;

use super::apt::{apt_sources, is_release, is_security};
use super::date;
use crate::environment;
use crate::units::Timestamp;

/// Debian's archive of everything it ever published, by date; also the last resort for a locked version.
pub const SNAPSHOT: &str = "http://snapshot.debian.org/archive/";

/// After this time the snapshot archive has surely imported what was published.
const IMPORTED: Duration = Duration::from_hours(24);

/// Name and last path segment of the main archive.
pub const DEBIAN: &str = "debian";

/// Name and last path segment of the security archive.
pub const SECURITY: &str = "debian-security";

/// Folder of apt's settings on a Debian host.
pub const APT: &str = "/etc/apt";

/// Where packages come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirrors {
    /// Base URL of the main archive, without final slash.
    pub debian: Url,
    /// Base URL of the security archive, without final slash.
    pub security: Url,
    /// If these are the snapshot archive: the moment it shows.
    pub snapshot: Option<Timestamp>,
    /// Base URL of the snapshot archive, with final slash: what a mirror has dropped is there.
    pub archive: Url,
}

/// What a mirror can be chosen from; the first that says something wins.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// `--mirror`.
    pub argument: Option<&'a str>,
    /// Environment variable `IMGBUILD_MIRROR`.
    pub environment: Option<&'a str>,
    /// The cluster file's value.
    pub cluster: Option<&'a str>,
    /// Folder of apt's settings, [`APT`].
    pub apt: &'a Path,
    /// The lock's date, or now if there is no lock: the moment the snapshot archive would show.
    pub date: Timestamp,
}

/// Why a mirror cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
pub enum MirrorError {
    /// Not a URL of a Debian mirror.
    #[error("mirror `{value}` (from {origin}) is no http or https URL with a folder `/debian`")]
    Wrong {
        /// What was given.
        value: String,
        /// Who gave it.
        origin: &'static str,
    },
    /// A package of an archive that does not exist.
    #[error("archive `{name}` is unknown: there are `debian` and `debian-security`")]
    UnknownArchive {
        /// Its name.
        name: String,
    },
}

impl Mirrors {
    /// Chooses by argument, the environment, the cluster file's value, the host's apt sources; else snapshots.
    pub fn choose(
        argument: Option<&str>,
        cluster: Option<&str>,
        date: Timestamp,
    ) -> Result<Self, MirrorError> {
        let environment = std::env::var(environment::MIRROR).ok();
        let environment = environment.as_deref().filter(|value| !value.is_empty());
        Self::from_candidates(Candidates { argument, environment, cluster, apt: Path::new(APT), date })
    }

    /// Chooses among `candidates`.
    pub fn from_candidates(candidates: Candidates<'_>) -> Result<Self, MirrorError> {
        let said = [
            (candidates.argument, "--mirror"),
            (candidates.environment, environment::MIRROR),
            (candidates.cluster, "the cluster file"),
        ];
        if let Some((value, origin)) =
            said.into_iter().find_map(|(value, origin)| value.map(|value| (value, origin)))
        {
            return Self::from_debian(value)
                .ok_or_else(|| MirrorError::Wrong { value: value.to_owned(), origin });
        }
        Ok(Self::from_apt(candidates.apt).unwrap_or_else(|| Self::snapshot(candidates.date)))
    }

    /// The snapshot archive as it was at `date`.
    pub fn snapshot(date: Timestamp) -> Self {
        Self::snapshot_of(&snapshot_archive(), date)
    }

    /// A snapshot archive as it was at `date`.
    fn snapshot_of(archive: &Url, date: Timestamp) -> Self {
        let base = |name| {
            let mut url = archive.clone();
            url.set_path(&format!("{}{name}/{}", archive.path(), date::stamp(date)));
            url
        };
        let archive = archive.clone();
        Self { debian: base(DEBIAN), security: base(SECURITY), snapshot: Some(date), archive }
    }

    /// A mirror's main archive; the security archive lies beside it.
    fn from_debian(value: &str) -> Option<Self> {
        let debian = archive_url(value)?;
        let mut segments: Vec<&str> = debian.path_segments()?.collect();
        // The last such folder, since caching proxies put the mirror's own path behind theirs.
        let folder = segments.iter_mut().rfind(|segment| **segment == DEBIAN)?;
        *folder = SECURITY;
        let path = segments.join("/");
        let mut security = debian.clone();
        security.set_path(&path);
        // A moment of the snapshot archive that someone names is judged as of that moment, too.
        let snapshot = snapshot_moment(&debian);
        Some(Self { debian, security, snapshot, archive: snapshot_archive() })
    }

    /// Takes the mirror that the host itself is fed from; any Debian release's mirror has trixie as well.
    fn from_apt(folder: &Path) -> Option<Self> {
        let all = apt_sources(folder);
        let found = |name: &str, is_suite: fn(&str) -> bool| {
            all.iter()
                .filter(|source| source.is_debian(is_suite))
                .filter_map(|source| archive_url(&source.uri))
                .find(|url| url.path_segments().and_then(|mut segments| segments.next_back()) == Some(name))
        };
        let mut mirrors = Self::from_debian(found(DEBIAN, is_release)?.as_str())?;
        if let Some(security) = found(SECURITY, is_security) {
            mirrors.security = security;
        }
        Some(mirrors)
    }

    /// Base URL of the archive that is named in index and lock.
    pub fn base(&self, archive: &str) -> Result<&Url, MirrorError> {
        match archive {
            DEBIAN => Ok(&self.debian),
            SECURITY => Ok(&self.security),
            _ => Err(MirrorError::UnknownArchive { name: archive.to_owned() }),
        }
    }

    /// URL of `path` in an archive.
    pub fn url(&self, archive: &str, path: &str) -> Result<Url, MirrorError> {
        let mut url = self.base(archive)?.clone();
        let path = format!("{}/{path}", url.path());
        url.set_path(&path);
        Ok(url)
    }

    /// Where to look for a locked file: the mirror, then the snapshot archive at the lock's `date` and a while later.
    ///
    /// The archive shows for a moment what it had imported *before*, and it imports a few times a day: what came with
    /// the very Release file that gave the lock its date is only in the next import.
    pub fn sources(&self, archive: &str, path: &str, date: Timestamp) -> Result<Vec<Url>, MirrorError> {
        let mut urls = vec![self.url(archive, path)?];
        if self.snapshot.is_none() {
            for later in [Duration::ZERO, IMPORTED] {
                let date = Timestamp(date.0.saturating_add(later.as_secs()));
                urls.push(Self::snapshot_of(&self.archive, date).url(archive, path)?);
            }
        }
        Ok(urls)
    }
}

fn snapshot_archive() -> Url {
    Url::parse(SNAPSHOT).expect("the constant is a URL")
}

/// An http(s) URL without final slash, query and fragment.
fn archive_url(value: &str) -> Option<Url> {
    let mut url = Url::parse(value.trim()).ok()?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.has_host();
    if !is_plain || !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

/// The moment that a folder of the snapshot archive shows, by either scheme.
fn snapshot_moment(url: &Url) -> Option<Timestamp> {
    let snapshot = Url::parse(SNAPSHOT).expect("a constant URL");
    let is_there = url.host() == snapshot.host() && url.path().starts_with(snapshot.path());
    is_there.then(|| url.path_segments()?.next_back()).flatten().and_then(date::parse_stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: Timestamp = Timestamp(1_795_227_046);

    fn apt(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sources.list.d")).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn chosen(files: &[(&str, &str)]) -> (String, String) {
        let folder = apt(files);
        let mirrors = Mirrors::from_candidates(Candidates {
            argument: None,
            environment: None,
            cluster: None,
            apt: folder.path(),
            date: DATE,
        });
        let mirrors = mirrors.unwrap();
        (mirrors.debian.to_string(), mirrors.security.to_string())
    }

    #[test]
    fn argument_goes_before_environment_before_cluster_file_before_apt() {
        let folder = apt(&[("sources.list", "deb http://apt.example/debian trixie main\n")]);
        let all = Candidates {
            argument: Some("http://argument.example/debian/"),
            environment: Some("http://environment.example/debian"),
            cluster: Some("http://cluster.example/debian"),
            apt: folder.path(),
            date: DATE,
        };
        for (candidates, host) in [
            (all, "argument.example"),
            (Candidates { argument: None, ..all }, "environment.example"),
            (Candidates { argument: None, environment: None, ..all }, "cluster.example"),
            (Candidates { argument: None, environment: None, cluster: None, ..all }, "apt.example"),
        ] {
            let mirrors = Mirrors::from_candidates(candidates).unwrap();
            assert_eq!(mirrors.debian.as_str(), format!("http://{host}/debian"));
            assert_eq!(mirrors.security.as_str(), format!("http://{host}/debian-security"));
        }
    }

    #[test]
    fn reads_both_forms_of_apt_sources() {
        let deb822 = "Types: deb deb-src\n# comment: here\nURIs: http://a.example/debian/\nSuites: bookworm\nComponents: main\n\n\
                      Types: deb\nURIs:\n http://s.example/x/debian-security\nSuites: bookworm-security\nComponents: main\n";
        let expected =
            ("http://a.example/debian".to_owned(), "http://s.example/x/debian-security".to_owned());
        assert_eq!(chosen(&[("sources.list.d/debian.sources", deb822)]), expected);
        let lines = "# deb http://no.example/debian x main\ndeb cdrom:[Debian]/ x main\n\
                     deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.pgp] http://a.example/debian bookworm main # here\n\
                     deb http://s.example/x/debian-security/ bookworm-security main\n";
        assert_eq!(chosen(&[("sources.list", lines)]), expected);
    }

    #[test]
    fn passes_over_sources_that_are_no_debian_mirror() {
        let disabled = "Types: deb\nEnabled: no\nURIs: http://no.example/debian\n";
        let sources = "Types: deb-src\nURIs: http://no.example/debian\n";
        let files = [
            ("sources.list.d/0.sources", disabled),
            ("sources.list.d/1.sources", sources),
            ("sources.list.d/2.sources", "broken\n"),
            ("sources.list.d/3.list.disabled", "deb http://no.example/debian x main\n"),
            (
                "sources.list.d/4.list",
                "deb https://no.example/ubuntu x main\ndeb-src http://no.example/debian x\n",
            ),
            ("sources.list.d/5.list", "deb https://third.example/linux/debian trixie stable\n"),
            (
                "sources.list.d/51.list",
                "deb [signed-by=/usr/share/keyrings/third.gpg] https://third.example/debian trixie main\n",
            ),
            (
                "sources.list.d/52.sources",
                "Types: deb\nURIs: https://third.example/debian\nSuites: trixie\nComponents: main\n\
                 Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n",
            ),
            ("sources.list.d/6.list", "deb https://third.example/debian any-version main\n"),
            ("sources.list.d/7.list", "deb https://third.example/debian ./\n"),
        ];
        assert_eq!(
            chosen(&files),
            (
                "http://snapshot.debian.org/archive/debian/20261121T021046Z".to_owned(),
                "http://snapshot.debian.org/archive/debian-security/20261121T021046Z".to_owned()
            )
        );
    }

    #[test]
    fn finds_the_security_archive_beside_the_main_one() {
        for (value, security) in [
            ("http://m.example/debian/", "http://m.example/debian-security"),
            (
                "http://cache.example:3142/m.example/debian",
                "http://cache.example:3142/m.example/debian-security",
            ),
            (
                "https://s.example/archive/debian/20250520T000000Z/",
                "https://s.example/archive/debian-security/20250520T000000Z",
            ),
        ] {
            assert_eq!(Mirrors::from_debian(value).unwrap().security.as_str(), security);
        }
    }

    #[test]
    fn knows_a_moment_of_the_snapshot_archive() {
        let moment = Mirrors::snapshot(DATE);
        assert_eq!(moment.snapshot, Some(DATE));
        assert_eq!(Mirrors::from_debian(moment.debian.as_str()), Some(moment.clone()));
        assert_eq!(Mirrors::from_debian("http://m.example/debian").unwrap().snapshot, None);
        let secure = moment.debian.as_str().replace("http://", "https://");
        assert_eq!(Mirrors::from_debian(&secure).unwrap().snapshot, Some(DATE));
        let elsewhere = secure.replace("snapshot.debian.org", "m.example");
        assert_eq!(Mirrors::from_debian(&elsewhere).unwrap().snapshot, None);
    }

    #[test]
    fn refuses_what_is_no_mirror_and_names_who_said_it() {
        for value in ["", "debian", "ftp://m.example/debian", "http://m.example/ubuntu", "http:///debian?x"] {
            let candidates = Candidates {
                argument: Some(value),
                environment: None,
                cluster: None,
                apt: Path::new("/nonexistent"),
                date: DATE,
            };
            assert_eq!(
                Mirrors::from_candidates(candidates).unwrap_err().to_string(),
                format!("mirror `{value}` (from --mirror) is no http or https URL with a folder `/debian`")
            );
        }
    }

    #[test]
    fn looks_for_locked_files_in_the_mirror_then_in_the_snapshot_archive() {
        let mirrors = Mirrors::from_debian("http://m.example/debian").unwrap();
        let urls = mirrors.sources(SECURITY, "pool/a+b_1~2.deb", DATE).unwrap();
        let urls: Vec<_> = urls.iter().map(Url::as_str).collect();
        assert_eq!(
            urls,
            [
                "http://m.example/debian-security/pool/a+b_1~2.deb",
                "http://snapshot.debian.org/archive/debian-security/20261121T021046Z/pool/a+b_1~2.deb",
                "http://snapshot.debian.org/archive/debian-security/20261122T021046Z/pool/a+b_1~2.deb",
            ]
        );
        assert_eq!(Mirrors::snapshot(DATE).sources(DEBIAN, "x", DATE).unwrap().len(), 1);
        assert_eq!(
            mirrors.sources("ubuntu", "x", DATE).unwrap_err().to_string(),
            "archive `ubuntu` is unknown: there are `debian` and `debian-security`"
        );
    }
}
