//! What independent clients say: the provider's own library, and schemathesis with the OpenAPI document.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
#[expect(clippy::disallowed_types, reason = "the test runs the programs that it judges by")]
use std::process::Command;

use hetzner_simulator::{Options, Simulator};
use serde_json::Value;

/// Starts a simulator, and lets a judge look at it.
fn judge(kind: &str) -> Simulator {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = checkout.join("target/hetzner-judges/bin/python");
    assert!(
        python.is_file(),
        "`{}` is missing; `tests/setup/hetzner-judges.sh target/hetzner-judges` makes it",
        python.display()
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(kind);
    fs::create_dir_all(&folder).unwrap();
    let document = folder.join("document.json");
    fs::write(&document, document_text()).unwrap();
    // Judges are fast.
    let options = Options { requests_per_hour: 100_000_000, ..Options::default() };
    let simulator = Simulator::start(options).unwrap();
    #[expect(clippy::disallowed_types, reason = "the test runs the programs that it judges by")]
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hetzner/judge.py"));
    command.args([kind, &simulator.url(), simulator.token()]).arg(document).arg(folder);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{kind} refuses the simulator: {said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    simulator
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
fn the_provider_s_library_and_schemathesis_accept_every_operation() {
    let library = judge("library");
    assert!(library.is_empty(), "{}", library.resources());
    let document = judge("document");
    let mut missing: BTreeSet<String> =
        operations().into_iter().map(|(method, own)| format!("{method} {}", own.join("/"))).collect();
    assert_eq!(missing.len(), 111);
    for simulator in [&library, &document] {
        let succeeded = succeeded(simulator);
        missing.retain(|operation| !succeeded.contains(operation));
    }
    assert!(missing.is_empty(), "no judge has seen these succeed: {missing:#?}");
}
