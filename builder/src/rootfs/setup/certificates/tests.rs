use super::*;

#[test]
fn names_files_as_update_ca_certificates_does() {
    let cases = [("a/b/ISRG_Root_X1.crt", "ISRG_Root_X1.pem"), ("x/A B (C),D.crt", "A_B_=C=_D.pem")];
    for (path, expected) in cases {
        assert_eq!(link_name(path), expected);
    }
}

#[test]
fn refuses_cut_off_certificates_at_every_length() {
    let der = pem_body(include_str!("fixtures/mixed-strings.pem")).unwrap();
    assert!(subject::hash(&der).is_ok());
    let subject_end = 300;
    for length in 0..subject_end.min(der.len()) {
        assert!(matches!(subject::hash(&der[..length]), Err(offset) if offset <= length), "{length}");
    }
}

/// `openssl x509 -noout -subject_hash` of certificates whose subjects need canonical form.
#[test]
fn hashes_subjects_as_openssl_does() {
    let cases = [
        (include_str!("fixtures/mixed-strings.pem"), 0x36e5_1c49),
        (include_str!("fixtures/multi-value.pem"), 0xd990_2222),
    ];
    for (pem, expected) in cases {
        assert_eq!(subject::hash(&pem_body(pem).unwrap()), Ok(expected), "{expected:08x}");
    }
}
