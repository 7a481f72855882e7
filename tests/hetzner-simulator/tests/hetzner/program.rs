//! The program: where it listens, and how it ends.

use std::io::{BufRead as _, BufReader};
#[expect(clippy::disallowed_types, reason = "the test is about a program")]
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

use crate::client::send;

#[test]
fn one_line_says_where_it_listens() {
    #[expect(clippy::disallowed_types, reason = "the test is about a program")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_hetzner-simulator"));
    let mut child = command.args(["--token", "t"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let answer = send(said["url"].as_str().unwrap(), "t", "GET", "/locations", &Value::Null);
    let resources = send(said["control"].as_str().unwrap(), "", "GET", "/resources", &Value::Null);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said["simulator"], "hetzner-simulator");
    assert_eq!(answer.unwrap().json()["locations"][0]["name"], "fsn1");
    assert_eq!(resources.unwrap().json()["servers"], serde_json::json!([]));
}
