//! What independent clients say: the provider's own library, and schemathesis with the OpenAPI document.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
#[expect(clippy::disallowed_types, reason = "the test runs the programs that it judges by")]
use std::process::Command;

use hetzner_simulator::{Failure, Fault, FaultKind, Options, Simulator};
use serde_json::Value;

/// Judges are fast.
fn simulator() -> Simulator {
    Simulator::start(Options { requests_per_hour: 100_000_000, ..Options::default() }).unwrap()
}

/// Lets a judge look at a simulator, in a folder; what it says if it accepts or refuses it.
fn judge(kind: &str, folder: &str, simulator: &Simulator) -> Result<String, String> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = checkout.join("target/hetzner-judges/bin/python");
    assert!(
        python.is_file(),
        "`{}` is missing; `tests/setup/hetzner-judges.sh target/hetzner-judges` makes it",
        python.display()
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    // What schemathesis remembers of earlier runs is not asked for.
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    let document = folder.join("document.json");
    fs::write(&document, document_text()).unwrap();
    #[expect(clippy::disallowed_types, reason = "the test runs the programs that it judges by")]
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hetzner/judge.py"));
    command.args([kind, &simulator.url(), simulator.token()]).arg(document).arg(folder);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said.into_owned()) } else { Err(said.into_owned()) }
}

fn document_text() -> Vec<u8> {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/hetzner-cloud-5134cbc.json.zst");
    zstd::decode_all(File::open(packed).unwrap()).unwrap()
}

/// Operations of the document: method, and the steps of the path.
fn operations() -> Vec<(String, Vec<String>)> {
    let document: Value = serde_json::from_slice(&document_text()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let steps: Vec<String> = path.split('/').map(str::to_owned).collect();
        methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), steps.clone()))
    });
    operations.collect()
}

/// Which operations were answered with success.
fn succeeded(simulator: &Simulator) -> BTreeSet<String> {
    let operations = operations();
    let mut found = BTreeSet::new();
    for request in simulator.requests() {
        if !matches!(request.status, Some(200..300)) {
            continue;
        }
        let path = request.path.split('?').next().unwrap().strip_prefix("/v1").unwrap().to_owned();
        let steps: Vec<&str> = path.split('/').collect();
        let fits = |own: &Vec<String>| {
            own.len() == steps.len()
                && own.iter().zip(&steps).all(|(own, step)| own.starts_with('{') || own == step)
        };
        let fitting = operations.iter().filter(|(method, own)| *method == request.method && fits(own));
        let nearest = fitting.min_by_key(|(_, own)| own.iter().filter(|step| step.starts_with('{')).count());
        found.extend(nearest.map(|(method, own)| format!("{method} {}", own.join("/"))));
    }
    found
}

#[test]
fn the_library_of_the_provider_uses_every_operation_and_leaves_nothing() {
    let simulator = simulator();
    judge("library", "library", &simulator).unwrap_or_else(|said| panic!("{said}"));
    assert!(simulator.is_empty(), "{}", simulator.resources());
    let succeeded = succeeded(&simulator);
    let all = operations().into_iter().map(|(method, steps)| format!("{method} {}", steps.join("/")));
    let missing: Vec<String> = all.filter(|operation| !succeeded.contains(operation)).collect();
    assert!(missing.is_empty(), "never succeeded: {missing:#?}");
}

#[test]
fn the_library_of_the_provider_can_say_no() {
    let simulator = simulator();
    let failure = Failure::new("action_failed", "no power");
    simulator.add_fault(Fault::on("POST", "/servers/*/actions/poweron", FaultKind::ActionError(failure)));
    let said = judge("library", "refusal", &simulator).unwrap_err();
    assert!(said.contains("ActionFailedException: The pending action failed: no power"), "{said}");
}

#[test]
fn schemathesis_finds_nothing_that_the_document_does_not_say() {
    let said = judge("document", "document", &simulator()).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(said.matches("No issues found").count(), 2, "{said}");
}
