//! Where things are fetched from: mirrors, Git repositories, k3s versions.

use std::str::FromStr;

use thiserror::Error;

use super::text::checked_text;

checked_text! {
    /// Base URL of a Debian mirror, `https://mirror.example/debian`, without trailing slash.
    MirrorUrl
}

checked_text! {
    /// URL of a Git repository: `https://…`, `ssh://…` or `user@host:path`.
    RepositoryUrl
}

checked_text! {
    /// A Git branch, tag or commit.
    Revision
}

checked_text! {
    /// A folder inside a repository, relative, without `..`.
    FolderPath
}

checked_text! {
    /// A k3s release, `v1.36.4+k3s1`.
    K3sVersion
}

/// Why a text is no location of its kind.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum LocationError {
    /// Not http or https, or no host.
    #[error("`{text}` is no mirror such as `https://mirror.example/debian`")]
    Mirror {
        /// The text.
        text: String,
    },
    /// No form that Git knows.
    #[error("`{text}` is no repository such as `https://git.example/team/cluster.git`")]
    Repository {
        /// The text.
        text: String,
    },
    /// A password in a URL would be stored in every copy of the file.
    #[error("the URL holds a password; secrets have no place in the cluster file")]
    Password,
    /// Not allowed in a reference name.
    #[error("`{text}` is no Git branch, tag or commit")]
    Revision {
        /// The text.
        text: String,
    },
    /// Absolute, or leaving the repository.
    #[error("`{text}` is no folder inside the repository")]
    Folder {
        /// The text.
        text: String,
    },
    /// Not a release tag.
    #[error("`{text}` is no k3s release such as `v1.36.4+k3s1`")]
    K3s {
        /// The text.
        text: String,
    },
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| !c.is_whitespace() && !c.is_control())
}

/// The host and path of a URL with one of `schemes`.
fn split_url<'text>(text: &'text str, schemes: &[&str]) -> Option<&'text str> {
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.split('/').next()?;
    (schemes.contains(&scheme) && !host.is_empty() && is_plain(rest)).then_some(rest)
}

fn has_password(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

impl FromStr for MirrorUrl {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = split_url(text, &["http", "https"])
            .filter(|rest| !rest.contains(['?', '#']))
            .ok_or_else(|| LocationError::Mirror { text: text.to_owned() })?;
        if has_password(rest) {
            return Err(LocationError::Password);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl FromStr for RepositoryUrl {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = split_url(text, &["https", "http", "ssh"]) {
            return if has_password(rest) { Err(LocationError::Password) } else { Ok(Self(text.to_owned())) };
        }
        let is_short = !text.contains("://")
            && is_plain(text)
            && text
                .split_once('@')
                .and_then(|(user, rest)| rest.split_once(':').map(|rest| (user, rest)))
                .is_some_and(|(user, (host, path))| !user.is_empty() && !host.is_empty() && !path.is_empty());
        if is_short {
            Ok(Self(text.to_owned()))
        } else {
            Err(LocationError::Repository { text: text.to_owned() })
        }
    }
}

impl FromStr for Revision {
    type Err = LocationError;

    /// The rules of git-check-ref-format(1) that a person can run into.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_fine = !text.is_empty()
            && is_plain(text)
            && !text.starts_with(['-', '/'])
            && !text.ends_with(['/', '.'])
            && !text.contains("..")
            && !text.contains("//")
            && !text.contains(['~', '^', ':', '?', '*', '[', '\\']);
        if is_fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(LocationError::Revision { text: text.to_owned() })
        }
    }
}

impl FromStr for FolderPath {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_inside = !text.contains('\\')
            && !text.chars().any(char::is_control)
            && text.split('/').all(|part| !part.is_empty() && part != "..");
        if is_inside {
            Ok(Self(text.to_owned()))
        } else {
            Err(LocationError::Folder { text: text.to_owned() })
        }
    }
}

impl FromStr for K3sVersion {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_release = text.strip_prefix('v').and_then(|text| text.split_once("+k3s")).is_some_and(
            |(kubernetes, release)| {
                let (numbers, candidate) =
                    kubernetes.split_once("-rc").map_or((kubernetes, None), |(n, rc)| (n, Some(rc)));
                numbers.split('.').count() == 3
                    && numbers.split('.').all(is_number)
                    && candidate.is_none_or(is_number)
                    && is_number(release)
            },
        );
        if is_release { Ok(Self(text.to_owned())) } else { Err(LocationError::K3s { text: text.to_owned() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_forms_of_a_repository() {
        for url in
            ["https://git.example/a.git", "ssh://git@git.example:22/a.git", "git@git.example:team/a.git"]
        {
            assert_eq!(url.parse::<RepositoryUrl>().map(|url| url.to_string()), Ok(url.to_owned()));
        }
        for url in ["", "git.example/a", "ftp://git.example/a", "https://", "git@:x", "https://a b/c"] {
            let error = LocationError::Repository { text: url.to_owned() };
            assert_eq!(url.parse::<RepositoryUrl>(), Err(error), "{url}");
        }
    }

    #[test]
    fn keeps_passwords_out_of_the_file_and_the_message() {
        for url in ["https://ada:hunter2@git.example/a.git", "http://ada:hunter2@mirror.example/debian"] {
            assert_eq!(url.parse::<RepositoryUrl>(), Err(LocationError::Password));
            assert_eq!(url.parse::<MirrorUrl>(), Err(LocationError::Password));
            assert!(!LocationError::Password.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn accepts_k3s_releases_only() {
        for (text, is_release) in [
            ("v1.36.4+k3s1", true),
            ("v1.36.0-rc2+k3s1", true),
            ("1.36.4+k3s1", false),
            ("v1.36.4", false),
            ("v1.36+k3s1", false),
            ("latest", false),
        ] {
            assert_eq!(text.parse::<K3sVersion>().is_ok(), is_release, "{text}");
        }
    }

    #[test]
    fn keeps_folders_and_revisions_plain() {
        for (text, is_fine) in
            [("deployment", true), ("a/b", true), (".", true), ("/a", false), ("a/../b", false), ("", false)]
        {
            assert_eq!(text.parse::<FolderPath>().is_ok(), is_fine, "{text}");
        }
        for (text, is_fine) in
            [("main", true), ("v1.2", true), ("a..b", false), ("-x", false), ("a b", false), ("", false)]
        {
            assert_eq!(text.parse::<Revision>().is_ok(), is_fine, "{text}");
        }
    }
}
