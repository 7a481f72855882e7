use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::format::oracle;
use crate::format::signer::tests::signer;

const SIGNATURE: usize = 64;
const OPTIONAL: usize = SIGNATURE + 24;
const TABLE: usize = OPTIONAL + 240;

/// A PE32+ file with two sections of 512 bytes behind headers of 1024 bytes, and `more` bytes behind them.
fn program(more: usize) -> Vec<u8> {
    let mut file = vec![0; 2048];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &u32::try_from(SIGNATURE).unwrap().to_le_bytes());
    put(SIGNATURE, b"PE\0\0");
    put(SIGNATURE + 4, &0x8664_u16.to_le_bytes());
    put(SIGNATURE + 6, &2_u16.to_le_bytes());
    put(SIGNATURE + 20, &240_u16.to_le_bytes());
    put(SIGNATURE + 22, &0x0022_u16.to_le_bytes());
    put(OPTIONAL, &0x020b_u16.to_le_bytes());
    for (at, value) in
        [(16, 4096_u32), (32, 4096), (36, 512), (56, 12288), (60, 1024), (64, 0xdead_beef), (108, 16)]
    {
        put(OPTIONAL + at, &value.to_le_bytes());
    }
    put(OPTIONAL + 68, &10_u16.to_le_bytes());
    for (index, name) in [b".text", b".data"].into_iter().enumerate() {
        let number = u32::try_from(index).unwrap();
        let header = TABLE + 40 * index;
        put(header, name);
        for (at, value) in
            [(8, 500), (12, 4096 * (number + 1)), (16, 512), (20, 1024 + 512 * number), (36, 0x6000_0020)]
        {
            put(header + at, &value.to_le_bytes());
        }
        put(1024 + 512 * index, &[0x90; 500]);
    }
    file.extend(std::iter::repeat_n(7, more));
    file
}

fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = program(0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("test.pem"), signer().certificate_pem().unwrap()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// `sbverify` with our certificate as the only trusted one.
    fn judge(&self, file: &Path) -> oracle::Verdict {
        let certificate = self.path("test.pem");
        oracle::ask("sbverify", &["--cert".as_ref(), certificate.as_os_str(), file.as_os_str()])
    }
}

#[test]
fn sbverify_accepts_a_signed_program_of_any_length() {
    let place = Place::new();
    for more in [0, 1, 7, 8, 511] {
        let signed = sign(&program(more), &signer()).unwrap();
        assert!(signed.len().is_multiple_of(8));
        let verdict = place.judge(&place.put("signed", &signed));
        assert!(
            verdict.accepts && verdict.output.contains("Signature verification OK"),
            "{more}: {}",
            verdict.output
        );
        assert_eq!(sign(&program(more), &signer()).unwrap(), signed, "the same inputs, other bytes");
    }
}

/// Two independent tools that reckon the hash by walking the sections.
#[test]
fn the_image_hash_is_that_of_pesign_and_osslsigncode() {
    let place = Place::new();
    for more in [0, 8, 512] {
        let unsigned = program(more);
        let expected = digest(&unsigned).unwrap().to_string();
        let signed = sign(&unsigned, &signer()).unwrap();
        assert_eq!(digest(&signed).unwrap().to_string(), expected, "the hash of the signed program");
        for (name, content) in [("unsigned", &unsigned), ("signed", &signed)] {
            let path = place.put(name, content);
            let input = format!("--in={}", path.display());
            let words = oracle::must_accept("pesign", &["-h".as_ref(), input.as_ref()]);
            assert!(words.contains(&expected), "{name} with {more}: {words}, ours {expected}");
        }
        let path = place.path("signed");
        let words = oracle::ask("osslsigncode", &["verify".as_ref(), path.as_os_str()]).output.to_lowercase();
        assert_eq!(words.matches(&expected).count(), 2, "told and reckoned: {words}");
    }
}

#[test]
fn sbverify_refuses_every_changed_byte_that_counts() {
    let place = Place::new();
    let signed = sign(&program(3), &signer()).unwrap();
    for at in [2, SIGNATURE + 4, OPTIONAL + 16, TABLE + 12, 1024, 2047, 2050] {
        let mut tampered = signed.clone();
        tampered[at] ^= 1;
        let verdict = place.judge(&place.put("tampered", &tampered));
        assert!(!verdict.accepts, "byte {at}: {}", verdict.output);
    }
    // The checksum is outside the hash: tools set it after signing.
    let mut tampered = signed;
    tampered[OPTIONAL + 64] ^= 1;
    assert!(place.judge(&place.put("tampered", &tampered)).accepts);
}

/// Our content says what sbsign's says: the same structure, byte for byte.
#[test]
fn the_signed_content_is_that_of_sbsign() {
    let place = Place::new();
    let unsigned = place.put("unsigned", &program(0));
    let key = place.put("key", include_bytes!("../signer/test-key.pem"));
    let (certificate, output) = (place.path("test.pem"), place.path("theirs"));
    let arguments =
        ["--key".as_ref(), key.as_os_str(), "--cert".as_ref(), certificate.as_os_str(), "--output".as_ref()];
    let arguments: Vec<_> = arguments.into_iter().chain([output.as_os_str(), unsigned.as_os_str()]).collect();
    oracle::must_accept("sbsign", &arguments);
    let ours = sign(&program(0), &signer()).unwrap();
    let theirs = fs::read(output).unwrap();
    let content = content::of(digest(&program(0)).unwrap()).unwrap();
    for (whose, signed) in [("ours", &ours), ("theirs", &theirs)] {
        assert!(signed.windows(content.len()).any(|window| window == content), "{whose} has another content");
    }
}

#[test]
fn refuses_each_unfit_program_with_its_own_error() {
    let fault = |program: &[u8]| sign(program, &signer()).unwrap_err().to_string();
    for (program, expected) in [
        (program(0)[..50].to_vec(), "the program is a corrupt PE file"),
        (program(0)[..1800].to_vec(), "the program is a corrupt PE file"),
        (
            changed(OPTIONAL, &0x010b_u16.to_le_bytes()),
            "the program is a PE file with 32-bit headers, which is not supported",
        ),
        (
            changed(OPTIONAL + 108, &[4]),
            "the program is a PE file with no place for a signature, which is not supported",
        ),
        (
            changed(OPTIONAL + 60, &[0, 2]),
            "the program is a PE file with gaps or overlaps between its sections, which is not supported",
        ),
        (
            changed(TABLE + 60, &[0, 4]),
            "the program is a PE file with gaps or overlaps between its sections, which is not supported",
        ),
        (
            changed(OPTIONAL + 144, &[8]),
            "the program is a PE file with data behind or beside its signature, which is not supported",
        ),
        (sign(&program(0), &signer()).unwrap(), "the program is signed already"),
    ] {
        assert_eq!(fault(&program), expected);
    }
    // No section has contents, so nothing but the size of the headers bounds them.
    let mut short = changed(TABLE + 16, &[0; 4]);
    short[TABLE + 56..TABLE + 60].fill(0);
    short[OPTIONAL + 60..OPTIONAL + 64].copy_from_slice(&100_u32.to_le_bytes());
    assert_eq!(fault(&short), "the program is a PE file with headers beyond its end, which is not supported");
}
