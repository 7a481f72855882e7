use super::*;

/// The common files of a fresh Debian 13 with `unix` and `systemd` enabled, as pam-auth-update
/// wrote them; comments left out.
const TRIXIE: [(&str, &str); 5] = [
    (
        "auth",
        "auth\t[success=1 default=ignore]\tpam_unix.so nullok\n\
         auth\trequisite\t\t\tpam_deny.so\n\
         auth\trequired\t\t\tpam_permit.so\n",
    ),
    (
        "account",
        "account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so \n\
         account\trequisite\t\t\tpam_deny.so\n\
         account\trequired\t\t\tpam_permit.so\n",
    ),
    (
        "password",
        "password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt\n\
         password\trequisite\t\t\tpam_deny.so\n\
         password\trequired\t\t\tpam_permit.so\n",
    ),
    (
        "session",
        "session\t[default=1]\t\t\tpam_permit.so\n\
         session\trequisite\t\t\tpam_deny.so\n\
         session\trequired\t\t\tpam_permit.so\n\
         session\trequired\tpam_unix.so \n\
         session\toptional\tpam_systemd.so \n",
    ),
    (
        "session-noninteractive",
        "session\t[default=1]\t\t\tpam_permit.so\n\
         session\trequisite\t\t\tpam_deny.so\n\
         session\trequired\t\t\tpam_permit.so\n\
         session\trequired\tpam_unix.so \n",
    ),
];

const UNIX: &str = "Name: Unix authentication\nDefault: yes\nPriority: 256\nAuth-Type: Primary\nAuth:\n\
\t[success=end default=ignore]\tpam_unix.so nullok try_first_pass\nAuth-Initial:\n\
\t[success=end default=ignore]\tpam_unix.so nullok\nAccount-Type: Primary\nAccount:\n\
\t[success=end new_authtok_reqd=done default=ignore]\tpam_unix.so\nAccount-Initial:\n\
\t[success=end new_authtok_reqd=done default=ignore]\tpam_unix.so\nSession-Type: Additional\nSession:\n\
\trequired\tpam_unix.so\nSession-Initial:\n\trequired\tpam_unix.so\nPassword-Type: Primary\nPassword:\n\
\t[success=end default=ignore]\tpam_unix.so obscure use_authtok try_first_pass yescrypt\nPassword-Initial:\n\
\t[success=end default=ignore]\tpam_unix.so obscure yescrypt\n";
const SYSTEMD: &str = "Name: Sessions\nDefault: yes\nPriority: 0\nSession-Interactive-Only: yes\n\
Session-Type: Additional\nSession:\n\toptional\tpam_systemd.so\n";
const KRB5: &str = "Name: Kerberos\nDefault: yes\nPriority: 704\nConflicts: krb5-openafs, ldap\nAuth-Type: Primary\nAuth:\n\
\t[success=end default=ignore]\tpam_krb5.so minimum_uid=1000 try_first_pass\nAuth-Initial:\n\
\t[success=end default=ignore]\tpam_krb5.so minimum_uid=1000\n";

fn template(kind: &str) -> String {
    format!(
        "{PRIMARY}\n${kind}_primary\n{FALLBACK}\n{kind}\trequisite\t\t\tpam_deny.so\n\
         {kind}\trequired\t\t\tpam_permit.so\n{ADDITIONAL}\n${kind}_additional\n{END}\n"
    )
}

fn code(text: &str) -> String {
    words::lines(text.lines().filter(|line| !line.starts_with('#')))
}

#[test]
fn equals_pam_auth_update_of_trixie() {
    let profiles =
        enabled(vec![Profile::parse("systemd", SYSTEMD).unwrap(), Profile::parse("unix", UNIX).unwrap()]);
    for ((file, field), (name, expected)) in FILES.into_iter().zip(TRIXIE) {
        assert_eq!(file, name);
        let kind = file.replace("-noninteractive", "");
        assert_eq!(code(&fill(file, &template(&kind), &profiles, field).unwrap()), expected, "{file}");
    }
}

#[test]
fn jumps_over_what_is_left_of_the_block() {
    let profiles =
        enabled(vec![Profile::parse("unix", UNIX).unwrap(), Profile::parse("krb5", KRB5).unwrap()]);
    assert_eq!(
        block(&profiles, "Auth", "Primary"),
        "auth\t[success=2 default=ignore]\tpam_krb5.so minimum_uid=1000\n\
         auth\t[success=1 default=ignore]\tpam_unix.so nullok try_first_pass\n"
    );
}

#[test]
fn a_profile_excludes_those_it_conflicts_with() {
    let ldap = KRB5.replace("704", "128").replace("Conflicts: krb5-openafs, ldap\n", "");
    let chosen = enabled(vec![Profile::parse("ldap", &ldap).unwrap(), Profile::parse("krb5", KRB5).unwrap()]);
    let names: Vec<_> = chosen.iter().map(|profile| profile.name.as_str()).collect();
    assert_eq!(names, ["krb5"]);
}

#[test]
fn names_what_is_malformed() {
    assert_eq!(
        Profile::parse("x", "\trequired pam_x.so\n").unwrap_err().to_string(),
        "line 1 of profile `x` belongs to no field"
    );
    assert_eq!(
        Profile::parse("x", "Priority: high\n").unwrap_err().to_string(),
        "profile `x` has priority `high`, which is no number"
    );
    let fault = fill("t", &format!("{PRIMARY}\n"), &[], "Auth").unwrap_err();
    assert_eq!(fault, PamError::Marker { template: "t".into(), marker: FALLBACK });
}
