use super::*;

const PASSWD: &str =
    "root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:*:0:\nnogroup:*:65534:\n";

fn run(text: &str, locked: &Numbers) -> Result<(Accounts, Numbers), SysusersError> {
    let mut accounts = Accounts::parse(PASSWD, GROUP).unwrap();
    let lines = parse(text).unwrap();
    let added = evaluate(&mut accounts, &lines, locked)?;
    Ok((accounts, added))
}

fn numbers(users: &[(&str, u32)], groups: &[(&str, u32)]) -> Numbers {
    let map = |pairs: &[(&str, u32)]| pairs.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
    Numbers { users: map(users), groups: map(groups) }
}

#[test]
fn hands_out_numbers_downwards_and_pairs_user_and_group() {
    let text = "g input -\nu sshd -:nogroup \"sshd user\" /run/sshd\nu! net - \"Net\"\n";
    let (accounts, added) = run(text, &Numbers::default()).unwrap();
    assert_eq!(added, numbers(&[("sshd", 998), ("net", 997)], &[("input", 999), ("net", 997)]));
    assert!(accounts.passwd().ends_with(
        "sshd:x:998:65534:sshd user:/run/sshd:/usr/sbin/nologin\nnet:x:997:997:Net:/:/usr/sbin/nologin\n"
    ));
    assert!(accounts.shadow(7).ends_with("sshd:!*:7::::::\nnet:!*:7:::::1:\n"));
}

#[test]
fn keeps_locked_numbers_and_never_gives_them_to_another() {
    let locked = numbers(&[("gone", 999)], &[("net", 500)]);
    let (accounts, added) = run("u net -\ng input -\n", &locked).unwrap();
    assert_eq!(accounts.group("net").unwrap().gid, 500);
    assert_eq!(accounts.user("net").unwrap().uid, 500);
    assert_eq!(added, numbers(&[("net", 500)], &[("input", 998)]));
}

#[test]
fn is_stable_once_locked() {
    let text = "g input -\nu net -\n";
    let (first, added) = run(text, &Numbers::default()).unwrap();
    let (second, more) = run("u early -\ng input -\nu net -\n", &added).unwrap();
    assert_eq!(first.user("net").unwrap().uid, second.user("net").unwrap().uid);
    assert_eq!(more, numbers(&[("early", 997)], &[("early", 997)]));
}

#[test]
fn adds_members_and_what_they_need() {
    let (accounts, _) = run("m bob wheel\nm alice wheel\nm bob wheel\n", &Numbers::default()).unwrap();
    assert_eq!(accounts.group("wheel").unwrap().members, ["alice", "bob"]);
    assert!(accounts.user("bob").is_some());
}

#[test]
fn honours_ranges() {
    let (_, added) = run("r - 400-450\ng input -\n", &Numbers::default()).unwrap();
    assert_eq!(added, numbers(&[], &[("input", 450)]));
}

#[test]
fn explains_conflicts_with_the_lock() {
    let cases = [
        (
            "g input 7\n",
            numbers(&[], &[("input", 9)]),
            "`input` has number 9 in the lock, but a package asks for 7",
        ),
        (
            "g root 0\n",
            numbers(&[], &[("root", 9)]),
            "`root` has number 9 in the lock, but a package asks for 0",
        ),
        (
            "g input -\n",
            numbers(&[], &[("input", 0)]),
            "`input` has number 0 in the lock, which belongs to `root`",
        ),
        ("u a -:b\n", Numbers::default(), "user `a` wants group `b`, which no line and no master has"),
        ("r - 0-0\ng input -\n", Numbers::default(), "no number below 999 is left for `input`"),
    ];
    for (text, locked, message) in cases {
        assert_eq!(run(text, &locked).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn names_what_is_wrong_with_a_line() {
    let cases = [
        ("x y\n", "`x` is no type of sysusers.d"),
        ("u\n", "1 fields, where type `u` has 2 to 6"),
        ("m bob\n", "2 fields, where type `m` has 3 to 6"),
        ("u 7up -\n", "`7up` is no user or group name"),
        ("u a seven\n", "`seven` is no ID"),
        ("g a - %m\n", "specifier `%m` has no value in an image"),
        ("u a /usr/bin/x\n", "ID from the owner of `/usr/bin/x` is not supported"),
        ("u a - \"x\n", "a quote is not closed"),
    ];
    for (text, message) in cases {
        let (line, fault) = parse(&format!("# comment\n\n{text}")).unwrap_err();
        assert_eq!((line, fault.to_string().as_str()), (3, message));
    }
}
