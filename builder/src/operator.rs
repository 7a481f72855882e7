//! What the operator of a cluster does for a machine: gives it what its medium would carry, and pushes to a control plane
//! the bundle that it waits for.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use firstboot::claim::client;
use firstboot::cluster::ClusterId;
use firstboot::control_plane::order::Order;
use firstboot::control_plane::push::{self, PushError};
use firstboot::public_key::PublicKey;
use firstboot::random::random;
use firstboot::source::Item;
use firstboot::user_data::{self, EncodeError};
use firstboot::{record, ticket};
use serde_json::{Value, json};
use ssh_key::LineEnding;
use zeroize::Zeroizing;

use crate::cluster::{Cluster, Node, Role};
use crate::identity::ClusterSecrets;
use crate::machine::{Forward, USER_NETWORK_HOST};

/// Between two tries: a machine that is emulated needs a minute until it listens.
const AGAIN: Duration = Duration::from_secs(2);
/// For a connection to a node.
const KNOCKING: Duration = Duration::from_secs(5);

/// What a machine is switched on with.
#[derive(Debug, Default)]
pub struct Given {
    /// Items with their files.
    pub items: Vec<(Item, PathBuf)>,
    /// Ports that must lead into it.
    pub forwards: Vec<Forward>,
    /// Whether it joins a cluster.
    pub joins: bool,
    /// What is pushed to it.
    pub push: Option<Push>,
}

/// What a node of a cluster is given to join, or to begin the cluster.
pub struct Joining {
    /// Some of it is secret until it was used.
    pub items: Vec<(Item, Zeroizing<String>)>,
    /// What is pushed to a control plane.
    pub push: Option<Push>,
}

/// A bundle for a node that holds the private half of a one-time key.
pub struct Push {
    bundle: Zeroizing<String>,
    key: PublicKey,
    membership_key: PublicKey,
    port: u16,
}

impl std::fmt::Debug for Push {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Push").field("port", &self.port).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Joining {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let items: Vec<_> = self.items.iter().map(|(item, _)| item).collect();
        formatter.debug_struct("Joining").field("items", &items).field("push", &self.push).finish()
    }
}

/// What a node of a cluster without an identity is given, in files below `folder`: its record.
pub fn plain(cluster: &Cluster, node: &Node, folder: &Path) -> anyhow::Result<Given> {
    let text = serde_json::to_vec_pretty(&cluster.record(node)).context("rendering the node record")?;
    Ok(Given { items: vec![write(Item::Record, &text, folder)?], ..Given::default() })
}

/// What a node that joins is given, in files below `folder` that only this user can read.
pub fn joining(
    cluster: &Cluster,
    node: &Node,
    secrets: &ClusterSecrets,
    folder: &Path,
) -> anyhow::Result<Given> {
    let run: [u8; 8] = random().context("numbering the machine")?;
    let run = u64::from_be_bytes(run).to_string();
    let Joining { items, push } = Joining::new(cluster, node, secrets, &[USER_NETWORK_HOST.into()], &run)?;
    let items = items.iter().map(|(item, text)| write(*item, text.as_bytes(), folder));
    Ok(Given {
        items: items.collect::<anyhow::Result<_>>()?,
        forwards: push.as_ref().map(|push| Forward::both(push.port).into()).unwrap_or_default(),
        joins: true,
        push,
    })
}

impl Joining {
    /// What the machine that `run` makes of `node` is given. A control plane takes its bundle from one of `operators`, as
    /// it sees their addresses, or from anywhere where there is none: it is signed either way.
    pub fn new(
        cluster: &Cluster,
        node: &Node,
        secrets: &ClusterSecrets,
        operators: &[IpAddr],
        run: &str,
    ) -> anyhow::Result<Self> {
        let mut record = cluster.record(node);
        if node.role == Role::ControlPlane {
            record.operator_addresses.extend(operators);
        }
        let signed = record::sign(&record, &secrets.operator_key).context("signing the node record")?;
        let cluster_record =
            serde_json::to_string_pretty(&secrets.record(cluster)).context("rendering the cluster record")?;
        let mut items = vec![(Item::Record, signed.into()), (Item::Cluster, cluster_record.into())];
        if node.role != Role::ControlPlane {
            let ticket = secrets.ticket(node, ticket::VALID, false, SystemTime::now())?;
            items.push((Item::Ticket, ticket.into()));
            return Ok(Self { items, push: None });
        }
        let key = secrets.push_key(node.name.as_str(), run);
        let public = PublicKey::of(&SigningKey::from_bytes(key.bytes()));
        items.push((Item::PushKey, String::from(key).into()));
        let order = Order::init(ClusterId(random().context("numbering the order")?));
        let bundle = secrets.bundle(cluster, node, order, objects(cluster, secrets)?)?;
        let push = Push {
            bundle: secrets.sign_bundle(&bundle)?.into(),
            key: public,
            membership_key: PublicKey::of(&secrets.membership_key),
            port: cluster.network.vpn_port,
        };
        Ok(Self { items, push: Some(push) })
    }

    /// The same as a cloud server finds it at the metadata service.
    pub fn user_data(&self) -> Result<String, EncodeError> {
        let items = self.items.iter().map(|(item, text)| (*item, text.as_str().to_owned()));
        user_data::encode(&items.collect())
    }
}

/// The objects of Kubernetes that are as secret as the identity, in the order in which they are made.
fn objects(cluster: &Cluster, secrets: &ClusterSecrets) -> anyhow::Result<Vec<Value>> {
    let mut objects = vec![sealing_key(secrets)?];
    let gitops = cluster.gitops.as_ref();
    if let Some((gitops, name)) = gitops.and_then(|gitops| Some((gitops, gitops.deploy_key_secret.as_ref()?)))
    {
        let key = secrets.deploy_key(cluster.name.as_str(), name.as_str());
        let key = key.to_openssh(LineEnding::LF).context("writing the repository's deploy key")?;
        objects.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "argocd" } }));
        // As ArgoCD knows repositories (`docs/operator-manual/declarative-setup.md` of argo-cd, Repositories).
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": "argocd",
                "labels": { "argocd.argoproj.io/secret-type": "repository" },
            },
            "stringData": { "type": "git", "url": gitops.repository, "sshPrivateKey": *key },
        }));
    }
    Ok(objects)
}

/// It must be there before the first sealed Secret is, and in the namespace of its controller
/// (`docs/bring-your-own-certificates.md` of sealed-secrets).
fn sealing_key(secrets: &ClusterSecrets) -> anyhow::Result<Value> {
    let key = secrets.sealing.key().to_pem().context("writing the sealing key")?;
    let certificate = secrets.sealing.certificate_pem().context("writing the sealing key's certificate")?;
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": "imgbuild-sealing-key",
            "namespace": "kube-system",
            "labels": { "sealedsecrets.bitnami.com/sealed-secrets-key": "active" },
        },
        "stringData": { "tls.crt": certificate, "tls.key": *key },
    }))
}

/// For this user's eyes alone: some of it is secret until it was used.
fn write(item: Item, text: &[u8], folder: &Path) -> anyhow::Result<(Item, PathBuf)> {
    let path = folder.join(item.name());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(text))
        .with_context(|| format!("writing `{}`", path.display()))?;
    Ok((item, path))
}

/// What became of one try to push.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pushed {
    /// The node has its bundle.
    Kept,
    /// It does not take it, and says why.
    Refused(String),
    /// It does not answer, or not yet, or cannot keep it now.
    Silent(String),
}

impl Push {
    /// Whether somebody listens at one of the node's addresses, or why not.
    pub fn knock(&self, address: IpAddr) -> io::Result<()> {
        TcpStream::connect_timeout(&(address, self.port).into(), KNOCKING).map(drop)
    }

    /// Tries once, at one of the node's addresses. A node that has a bundle, from an earlier start or from a push whose
    /// answer was lost, does not listen for another: its claims are answered.
    pub fn once(&self, address: IpAddr) -> Pushed {
        let address = SocketAddr::from((address, self.port));
        match push::push(&self.bundle, address, &self.key) {
            Ok(()) => Pushed::Kept,
            Err(fault @ PushError::Refused { .. }) => Pushed::Refused(fault.to_string()),
            Err(fault @ PushError::Unable { .. }) => Pushed::Silent(fault.to_string()),
            Err(PushError::Exchange(_)) if client::answers(address, &self.membership_key) => Pushed::Kept,
            Err(PushError::Exchange(fault)) => Pushed::Silent(format!("{:#}", anyhow::Error::from(fault))),
        }
    }

    /// Tries until the node has its bundle, which is told then, or says why it does not take it.
    pub fn begin(self) -> anyhow::Result<Receiver<Result<(), String>>> {
        let (told, outcome) = mpsc::channel();
        let work = move || {
            let outcome = loop {
                match self.once(Ipv4Addr::LOCALHOST.into()) {
                    Pushed::Kept => break Ok(()),
                    Pushed::Refused(reason) => break Err(reason),
                    Pushed::Silent(_) => thread::sleep(AGAIN),
                }
            };
            // Nobody listens any more: the machine has ended.
            drop(told.send(outcome));
        };
        thread::Builder::new().name("push".to_owned()).spawn(work).context("starting to push the bundle")?;
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;

    use firstboot::claim::challenge::Challenger;
    use firstboot::http::Answer;
    use firstboot::{exchange, tls};

    use super::*;
    use crate::identity::documents::tests::cluster;
    use crate::identity::tests::cluster_secrets;

    #[test]
    fn a_machine_is_given_what_its_role_needs_and_nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let (cluster, secrets) = (cluster(), cluster_secrets());
        for (node, names) in
            [("cp1", ["record", "cluster", "push-key"]), ("edge1", ["record", "cluster", "ticket"])]
        {
            let folder = tempfile::tempdir().unwrap();
            let given = joining(&cluster, cluster.node(node).unwrap(), &secrets, folder.path()).unwrap();
            assert_eq!(given.items.iter().map(|(item, _)| item.name()).collect::<Vec<_>>(), names);
            assert_eq!(
                (given.push.is_some(), given.forwards.len()),
                (node == "cp1", if node == "cp1" { 2 } else { 0 })
            );
            for (_, path) in &given.items {
                assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
            }
            let record = fs::read(folder.path().join("record")).unwrap();
            let opened = record::open(&record, Some(&secrets.record(&cluster))).unwrap();
            assert_eq!(opened.node.name, node);
            let operators: &[IpAddr] = if node == "cp1" { &[USER_NETWORK_HOST.into()] } else { &[] };
            assert_eq!(opened.operator_addresses, operators);
        }
    }

    #[test]
    fn a_node_that_answers_claims_has_its_bundle_whoever_was_told() {
        let secrets = cluster_secrets();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let challenge = Challenger::new(&secrets.membership_key).make(SystemTime::now()).to_string();
        let config = tls::server(&secrets.membership_key).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let limits = (Duration::from_secs(10), 4096);
                let answer = |_: &_| Answer::text(200, &challenge);
                // One of both was a push, to who holds another key.
                let _broken = exchange::serve(stream.unwrap(), &config, limits, answer);
            }
        });
        let push = Push {
            bundle: String::new().into(),
            key: PublicKey::of(&secrets.operator_key),
            membership_key: PublicKey::of(&secrets.membership_key),
            port,
        };
        assert_eq!(push.begin().unwrap().recv_timeout(Duration::from_mins(1)), Ok(Ok(())));
    }

    #[test]
    fn a_repository_by_ssh_is_read_by_a_key_of_the_identity() {
        let (mut cluster, secrets) = (cluster(), cluster_secrets());
        let kinds = |cluster: &Cluster| -> Vec<String> {
            let objects = objects(cluster, &secrets).unwrap();
            objects
                .iter()
                .map(|object| format!("{} {}", object["kind"], object["metadata"]["name"]))
                .collect()
        };
        assert_eq!(kinds(&cluster), ["\"Secret\" \"imgbuild-sealing-key\""]);
        cluster.gitops = Some(crate::cluster::Gitops {
            repository: "ssh://git@git.example.org/lab.git".parse().unwrap(),
            revision: "main".parse().unwrap(),
            path: "deployment".parse().unwrap(),
            deploy_key_secret: Some("lab-repository".parse().unwrap()),
            known_hosts: Vec::new(),
        });
        // The namespace before what lies in it.
        let expected = ["\"Namespace\" \"argocd\"", "\"Secret\" \"lab-repository\""];
        assert_eq!(kinds(&cluster)[1..], expected);
        let secret = objects(&cluster, &secrets).unwrap().pop().unwrap();
        let key = ssh_key::PrivateKey::from_openssh(secret["stringData"]["sshPrivateKey"].as_str().unwrap())
            .unwrap();
        assert_eq!(key, secrets.deploy_key("lab", "lab-repository"));
        assert_eq!(secret["stringData"]["url"], "ssh://git@git.example.org/lab.git");
    }
}
