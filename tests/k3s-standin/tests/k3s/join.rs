//! Agents join by k3s' rules, and are refused by them.

use std::fs;
use std::time::Duration;

use crate::process::{Server, wait_for};
use hyper::Method;
use k3s_standin::agent::client::{Believes, Client, ClientError};
use k3s_standin::pki::{Authority, Key, Leaf};
use k3s_standin::token::{Credentials, Token};

const GRACE: &str = "--kube-controller-manager-arg=node-monitor-grace-period=4s";
const PERIOD: &str = "--kube-controller-manager-arg=node-monitor-period=1s";

fn bootstrap_token(id: &str, expiration: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: bootstrap-token-{id}, namespace: kube-system}}\ntype: bootstrap.kubernetes.io/token\nstringData:\n  token-id: {id}\n  token-secret: 0123456789abcdef\n  expiration: \"{expiration}\"\n  usage-bootstrap-authentication: \"true\"\n  usage-bootstrap-signing: \"true\"\n"
    )
}

#[test]
fn an_agent_joins_by_a_bootstrap_token_and_comes_back_without() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent", GRACE, PERIOD]).ready();
    server.run_with(&["create", "-f", "-"], &bootstrap_token("abcdef", "2099-01-01T00:00:00Z"));
    let hash = Token::parse(&server.token()).unwrap().hash.unwrap();
    let token = format!("K10{hash}::abcdef.0123456789abcdef");
    let root = folder.path().join("a");
    let flags = ["--node-label=imgbuild.io/role=edge", "--node-taint=a=b:NoSchedule", "--node-ip=10.0.0.2"];
    let agent = server.agent(&root, "edge-1", &token, &flags);
    server.wait_for_node("edge-1", "True", &agent);
    let node = server.run(&["get", "node", "edge-1", "-o=jsonpath={.metadata.labels.imgbuild\\.io/role} {.spec.taints[0].key} {.status.addresses[0].address}"]);
    assert_eq!(node, "edge 10.0.0.2".replace("edge ", "edge a "));
    let secret = "edge-1.node-password.k3s";
    wait_for(
        "owner of the password",
        || {
            !server
                .kubectl(&[
                    "get",
                    "secret",
                    secret,
                    "-n=kube-system",
                    "-o=jsonpath={.metadata.ownerReferences[0].name}",
                ])
                .stdout
                .is_empty()
        },
        || server.process.log(),
    );

    agent.kill();
    let agent = server.agent(&folder.path().join("nothing"), "other", "wrong", &[]);
    server.wait_for_node("edge-1", "Unknown", &agent);
    wait_for("refusal", || agent.log().contains("401"), || agent.log());
    drop(agent);
    server.run(&["delete", "secret", "bootstrap-token-abcdef", "-n=kube-system"]);
    let agent = server.agent(&root, "edge-1", &token, &flags);
    server.wait_for_node("edge-1", "True", &agent);
    let taints = ["get", "node", "edge-1", "-o=jsonpath={.spec.taints[*].key}"];
    wait_for("taints as they were", || server.run(&taints) == "a", || server.process.log());

    // Another box by the same name.
    let thief = server.agent(&folder.path().join("thief"), "edge-1", &server.token(), &[]);
    wait_for(
        "refusal",
        || thief.log().contains("Node password rejected, duplicate hostname"),
        || thief.log(),
    );
    drop((thief, agent));
    server.run(&["delete", "node", "edge-1"]);
    assert!(server.refused(&["get", "secret", secret, "-n=kube-system"], "").contains("NotFound"));
}

#[test]
fn a_wrong_hash_is_told_and_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("s"), &["--disable-agent"]).ready();
    let token = format!("K10{}::server:secret", "0".repeat(64));
    let mut agent = server.agent(&folder.path().join("a"), "edge-1", &token, &[]);
    wait_for(
        "message",
        || agent.log().contains("token CA hash does not match the Cluster CA certificate hash: 0000"),
        || agent.log(),
    );
    assert!(!agent.has_ended());
}

#[test]
fn ca_files_that_lie_there_are_the_cluster_s() {
    let folder = tempfile::tempdir().unwrap();
    let tls = folder.path().join("var/lib/rancher/k3s/server/tls");
    fs::create_dir_all(&tls).unwrap();
    let mut bundles = Vec::new();
    for name in ["server-ca", "client-ca"] {
        let (authority, key) = Authority::generate(name).unwrap();
        fs::write(tls.join(format!("{name}.crt")), &authority.bundle).unwrap();
        fs::write(tls.join(format!("{name}.key")), key.to_pem().unwrap()).unwrap();
        bundles.push((authority, key));
    }
    let server =
        Server::start(folder.path(), &["--disable-agent", "--tls-san=api.example.org", "--token=secret"])
            .ready();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // An admin's certificate, made without the server.
    let key = Key::generate().unwrap();
    let leaf = Leaf { common_name: "somebody", organizations: &["approvers"], ..Leaf::default() };
    let certificate = bundles[1].0.issue(&leaf, &key).unwrap();
    let believes = Believes::Bundle(bundles[0].0.bundle.clone());
    let client = Client::new(&server.url(), &believes, Some((&certificate, &key.to_pem().unwrap()))).unwrap();
    let error = runtime.block_on(client.get("/api/v1/secrets")).unwrap_err();
    assert!(
        error.to_string().contains("User \\\"somebody\\\" cannot list resource \\\"secrets\\\""),
        "{error}"
    );
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: approvers}\nrules: [{apiGroups: [''], resources: [secrets], verbs: [list]}]\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: approvers}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: approvers}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: approvers}]\n";
    server.run_with(&["apply", "-f", "-"], role);
    runtime.block_on(client.get("/api/v1/secrets")).unwrap();
    assert!(server.token().ends_with("::server:secret"));
}

/// Status codes of "k3s as it really behaves", asked as an agent asks.
#[test]
fn the_supervisor_s_status_codes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        &folder.path().join("s"),
        &["--disable-agent", "--token=secret", "--agent-token=agents"],
    )
    .ready();
    server.run_with(&["create", "-f", "-"], &bootstrap_token("abcdef", "2099-01-01T00:00:00Z"));
    server.run_with(&["create", "-f", "-"], &bootstrap_token("expire", "2020-01-01T00:00:00Z"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask =
        |method: Method, path: &str, credentials: Option<Credentials>, headers: &[(&'static str, &str)]| {
            let client = Client::new(&server.url(), &Believes::Anybody, None).unwrap().with(credentials);
            match runtime.block_on(client.send(method, path, headers, Vec::new().into())) {
                Ok(_) => 200,
                Err(ClientError::Status { code, .. }) => code,
                Err(error) => panic!("{error}"),
            }
        };
    let password = |text: &str| Some(Credentials::Password(text.to_owned()));
    let bearer = |text: &str| Some(Credentials::Bearer(text.to_owned()));
    let good = [("k3s-Node-Name", "n"), ("k3s-Node-Password", "p")];
    let wrong = [("k3s-Node-Name", "n"), ("k3s-Node-Password", "q")];
    let kubelet = "/v1-k3s/client-kubelet.crt";
    for (method, path, credentials, headers, code) in [
        (Method::GET, "/ping", None, &[][..], 200),
        (Method::GET, "/cacerts", None, &[], 200),
        (Method::GET, "/readyz", None, &[], 401),
        (Method::GET, "/v1-k3s/readyz", None, &[], 403),
        (Method::GET, "/v1-k3s/readyz", password("agents"), &[], 200),
        // The client says who it is, and as `node` the server's token counts only without an agent token.
        (Method::GET, "/v1-k3s/config", password("secret"), &[], 401),
        (Method::GET, "/v1-k3s/config", password("wrong"), &[], 401),
        (Method::GET, "/v1-k3s/config", bearer("abcdef.0123456789abcdef"), &[], 200),
        (Method::GET, "/v1-k3s/config", bearer("expire.0123456789abcdef"), &[], 401),
        (Method::GET, "/v1-k3s/config", bearer("nobody.0123456789abcdef"), &[], 401),
        (Method::GET, "/v1-k3s/server-bootstrap", bearer("abcdef.0123456789abcdef"), &[], 403),
        (Method::GET, "/v1-k3s/server-bootstrap", password("agents"), &[], 403),
        (Method::POST, kubelet, password("agents"), &good[..1], 400),
        (Method::POST, kubelet, password("agents"), &good[1..], 400),
        (Method::POST, kubelet, password("agents"), &good, 200),
        (Method::POST, kubelet, bearer("abcdef.0123456789abcdef"), &wrong, 403),
        (Method::POST, "/v1-k3s/client-kube-proxy.crt", password("agents"), &[], 200),
    ] {
        assert_eq!(
            ask(method, path, credentials.clone(), headers),
            code,
            "{path} {credentials:?} {headers:?}"
        );
    }
    // A kubelet's certificate whose Node is missing.
    let tls = server.data().join("server/tls");
    let read = |name: &str| fs::read_to_string(tls.join(name)).unwrap();
    let authority = Authority::parse(&read("client-ca.crt"), &read("client-ca.key")).unwrap();
    let key = Key::generate().unwrap();
    let leaf = Leaf { common_name: "system:node:n", organizations: &["system:nodes"], ..Leaf::default() };
    let certificate = authority.issue(&leaf, &key).unwrap();
    let identity = (certificate.as_str(), key.to_pem().unwrap());
    let client = Client::new(&server.url(), &Believes::Anybody, Some((identity.0, &identity.1))).unwrap();
    let post = |headers: &[(&'static str, &str)]| {
        runtime.block_on(client.send(Method::POST, kubelet, headers, Vec::new().into()))
    };
    assert_eq!(post(&good).unwrap_err().code(), Some(401));
    assert_eq!(post(&[("k3s-Node-Name", "m"), good[1]]).unwrap_err().code(), Some(400));
    server.run_with(&["create", "-f", "-"], "apiVersion: v1\nkind: Node\nmetadata: {name: 'n'}\n");
    post(&good).unwrap();
    assert_eq!(post(&wrong).unwrap_err().code(), Some(403));
}

/// Each phase lasts long enough to be seen.
#[test]
fn a_server_says_what_it_is_not_ready_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_in(
        folder.path(),
        &["--disable-agent", "--token=secret"],
        &[("K3S_STAND_IN_PHASE_MS", "1500")],
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(&server.url(), &Believes::Anybody, None).unwrap();
    let bearer = client.clone().with(Some(Credentials::Bearer("abcdef.0123456789abcdef".to_owned())));
    let node = client.clone().with(Some(Credentials::Password("secret".to_owned())));
    let mut seen = Vec::new();
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        let ask = |client: &Client, path: &str| match runtime.block_on(client.get(path)) {
            Ok(_) => "200".to_owned(),
            Err(ClientError::Status { code, body, .. }) => {
                let message = serde_json::from_str::<serde_json::Value>(&body).unwrap()["message"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                format!("{code} {message}")
            }
            Err(_) => String::new(),
        };
        let answers = [
            ask(&client, "/ping"),
            ask(&client, "/api"),
            ask(&bearer, "/v1-k3s/config"),
            ask(&node, "/v1-k3s/readyz"),
        ];
        // A change between two of the four is no phase.
        if answers.iter().all(|answer| !answer.is_empty()) && seen.last() != Some(&answers) {
            seen.push(answers.clone());
        }
        if answers[3] == "200" {
            break;
        }
    }
    for expected in [
        ["503 starting", "503 starting", "503 starting", "503 starting"],
        ["200", "503 apiserver not ready", "403 forbidden", "503 runtime core not ready"],
        ["200", "401 Unauthorized", "401 not authorized", "503 runtime core not ready"],
        ["200", "401 Unauthorized", "401 not authorized", "200"],
    ] {
        assert!(seen.contains(&expected.map(str::to_owned)), "{expected:?} is missing: {seen:#?}");
    }
}
