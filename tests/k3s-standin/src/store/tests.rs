use std::io::Write as _;

use serde_json::json;

use super::*;

fn key(name: &str) -> Key {
    Key { group: String::new(), resource: "configmaps".into(), namespace: "a".into(), name: name.into() }
}

fn object(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"k": name}})
}

#[test]
fn what_was_put_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db/log");
    let mut store = Store::open(&path).unwrap();
    for name in ["one", "two", "three"] {
        store.put(key(name), Some(object(name))).unwrap();
    }
    store.put(key("two"), None).unwrap();
    let revision = store.revision();
    // No closing: the process is gone, in the middle of a line.
    std::mem::forget(store);
    std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(b"{\"revision\":99,\"ke")
        .unwrap();

    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.revision(), revision);
    let names: Vec<_> = store.list("", "configmaps", None).map(|(key, _)| key.name.clone()).collect();
    assert_eq!(names, ["one", "three"]);
    store.put(key("four"), Some(object("four"))).unwrap();
    assert_eq!(Store::open(&path).unwrap().list("", "configmaps", Some("a")).count(), 3);
}

#[test]
fn damage_is_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut store = Store::open(&path).unwrap();
    store.put(key("one"), Some(object("one"))).unwrap();
    store.put(key("two"), Some(object("two"))).unwrap();
    let text = std::fs::read_to_string(&path).unwrap().replacen("one", "o\"ne", 1);
    std::fs::write(&path, text).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, LogError::Damaged { line: 1, .. }), "{error}");
}

#[test]
fn changes_follow_a_revision() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("log")).unwrap();
    store.put(key("one"), Some(object("one"))).unwrap();
    let revision = store.revision();
    store.put(key("one"), Some(object("uno"))).unwrap();
    store.put(key("one"), None).unwrap();
    let changes: Vec<_> =
        store.changes(revision).map(|change| (change.before.is_some(), change.after.is_some())).collect();
    assert_eq!(changes, [(true, true), (true, false)]);
}
