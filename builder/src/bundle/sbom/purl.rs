//! Package URLs: names by which scanners look up what a package is.
//!
//! Specification: <https://github.com/package-url/purl-spec>, with the rules for `deb`, `cargo` and `generic`.

use std::fmt::Write as _;

use crate::units::Sha256;

/// The Debian release that packages come from, as purls name it.
const DISTRO: &str = "debian-13";

/// A binary package of Debian.
pub fn debian(name: &str, version: &str, arch: &str) -> String {
    let (name, version, arch) = (encoded(name), encoded(version), encoded(arch));
    // Qualifiers are sorted by key.
    format!("pkg:deb/debian/{name}@{version}?arch={arch}&distro={DISTRO}")
}

/// A crate of Rust's registry.
pub fn cargo(name: &str, version: &str) -> String {
    format!("pkg:cargo/{}@{}", encoded(name), encoded(version))
}

/// A program of this project. Not `cargo`: the registry may have a crate of that name that is none of ours.
pub fn own(name: &str, version: &str) -> String {
    format!("pkg:generic/{}@{}", encoded(name), encoded(version))
}

/// A file that its project publishes itself.
pub fn download(name: &str, version: &str, url: &str, sha256: Sha256) -> String {
    // Slashes stay in values of qualifiers, which are sorted by key.
    let url = encoded(url).replace("%2F", "/");
    format!("{}?checksum=sha256:{sha256}&download_url={url}", own(name, version))
}

/// All but letters, digits and `.-_~` becomes `%XX`; a colon stays ("Character encoding").
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'.' | b'-' | b'_' | b'~' | b':' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_the_specification_says() {
        for (name, version, purl) in [
            ("bash", "5.2.37-2+b5", "pkg:deb/debian/bash@5.2.37-2%2Bb5?arch=amd64&distro=debian-13"),
            ("g++", "4:14.2.0-1", "pkg:deb/debian/g%2B%2B@4:14.2.0-1?arch=amd64&distro=debian-13"),
            ("a", "1~rc1_x%", "pkg:deb/debian/a@1~rc1_x%25?arch=amd64&distro=debian-13"),
        ] {
            assert_eq!(debian(name, version, "amd64"), purl);
        }
        assert_eq!(cargo("zstd-sys", "2.0.16+zstd.1.5.7"), "pkg:cargo/zstd-sys@2.0.16%2Bzstd.1.5.7");
        assert_eq!(own("firstboot", "0.1.0"), "pkg:generic/firstboot@0.1.0");
        let sha256 = Sha256::of(b"");
        assert_eq!(
            download("k3s", "v1+k3s1", "https://example.org/v1%2Bk3s1/k3s?a=b", sha256),
            "pkg:generic/k3s@v1%2Bk3s1?checksum=sha256:\
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\
             &download_url=https://example.org/v1%252Bk3s1/k3s%3Fa%3Db"
        );
    }
}
