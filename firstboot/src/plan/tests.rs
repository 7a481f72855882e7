//! Plans of whole records.

use std::fmt::Write as _;

use super::*;
use crate::record::{
    Admin, Admins, Gitops, Hardware, Longhorn, LonghornDisk, Snapshots, Swap, SwapBehavior, example,
};

fn names(record: &NodeRecord) -> Vec<&'static str> {
    plan(record).into_iter().map(|step| step.name).collect()
}

/// Everything that a node of this role can be told.
fn full(role: Role) -> NodeRecord {
    let is_control_plane = role == Role::ControlPlane;
    let mut record = example();
    record.node.role = role;
    record.node.site = Some("harbour".into());
    record.node.taints = vec!["gpu=yes:NoExecute".into()];
    record.node.hardware = Some(Hardware { serial: Some("S 1".into()), ..Hardware::default() });
    record.node.swap = Some(Swap { size: 4 << 30, behavior: SwapBehavior::LimitedSwap });
    record.node.longhorn = Some(Longhorn {
        scopes: vec!["harbour".into()],
        disks: vec![LonghornDisk {
            path: "/var/lib/longhorn".into(),
            tags: vec!["harbour".into(), "fast".into()],
        }],
    });
    record.vpn.endpoint = Some("node.example.org".into());
    record.vpn.private_address = Some([10, 0, 0, 2].into());
    record.vpn.private_range = Some("10.0.0.0/16".into());
    record.vpn.admins = Some(Admins {
        range: "10.45.0.0/24".into(),
        port: 51821,
        address: is_control_plane.then(|| [10, 45, 0, 1].into()),
        peers: vec![Admin {
            name: "ada".into(),
            public_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=".into(),
            address: [10, 45, 0, 11].into(),
        }],
    });
    record.k3s.servers.push([10, 44, 0, 2].into());
    record.k3s.disable = vec!["traefik".into(), "servicelb".into()];
    record.k3s.max_pods = 200;
    record.k3s.apiserver_args = vec!["audit-log-maxage=7".into()];
    record.k3s.controller_manager_args = vec!["terminated-pod-gc-threshold=100".into()];
    record.k3s.kubelet_args = vec!["image-gc-high-threshold=70".into()];
    record.k3s.snapshots = Some(Snapshots { interval_hours: 3, keep: 72, secret: "backup-s3".into() });
    record.gitops = Some(Gitops {
        repository: "git@git.example.org:demo.git".into(),
        revision: "main".into(),
        path: "deployment".into(),
        deploy_key_secret: Some("deploy-key".into()),
        known_hosts: vec!["git.example.org ssh-ed25519 AAAA".into()],
    });
    record
}

/// Every file that comes with joining.
fn files(record: &NodeRecord) -> String {
    let mut shown = String::new();
    for step in plan(record) {
        let Effect::Joining(files) = step.effect else { continue };
        for file in files {
            let _ = write!(shown, "== {} {:o}\n{}", file.path, file.mode, file.content);
        }
    }
    shown
}

#[test]
fn the_vpn_comes_before_k3s_for_every_role() {
    for role in [Role::ControlPlane, Role::Worker, Role::Edge] {
        let mut record = example();
        record.node.role = role;
        let names = names(&record);
        let position = |wanted| names.iter().position(|name| *name == wanted);
        assert!(
            position("claim") < position("vpn") && position("vpn") < position("k3s"),
            "{role:?}: {names:?}"
        );
        assert_eq!(position("argocd").is_some(), role == Role::ControlPlane, "{role:?}");
    }
}

#[test]
fn a_node_of_which_little_is_said_has_these_files() {
    insta::assert_snapshot!(files(&example()), @r#"
    == /run/imgbuild/wg0.conf 600
    [Interface]
    ListenPort = 51820
    == /etc/rancher/k3s/config.yaml 600
    node-name: "edge1"
    node-ip: "10.44.1.1"
    flannel-iface: "wg0"
    token-file: "/var/lib/imgbuild/k3s-token"
    server: "https://api.demo.internal:6443"
    node-label:
      - "site=workshop"
      - "node.longhorn.io/create-default-disk=config"
    node-taint:
      - "imgbuild.org/edge=true:NoSchedule"
    kubelet-arg:
      - "max-pods=300"
      - "config=/etc/rancher/k3s/kubelet.yaml"
    == /etc/rancher/k3s/kubelet.yaml 600
    apiVersion: kubelet.config.k8s.io/v1beta1
    kind: KubeletConfiguration
    shutdownGracePeriod: 60s
    shutdownGracePeriodCriticalPods: 20s
    "#);
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "the files of a control plane are long, and read best in one piece"
)]
fn a_control_plane_has_these_files() {
    insta::assert_snapshot!(files(&full(Role::ControlPlane)), @r#"
    == /run/imgbuild/wg0.conf 600
    [Interface]
    ListenPort = 51820
    == /run/imgbuild/wg-admin.conf 600
    [Interface]
    ListenPort = 51821

    # ada
    [Peer]
    PublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=
    AllowedIPs = 10.45.0.11/32
    == /run/systemd/system/imgbuild-swap.service 644
    [Unit]
    Description=Swap on the state partition
    RequiresMountsFor=/var/lib/imgbuild
    Before=k3s.service k3s-agent.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    UMask=0077
    ExecStart=/usr/bin/rm -f /var/lib/imgbuild/swap
    ExecStart=/usr/bin/fallocate --length 4294967296 /var/lib/imgbuild/swap
    ExecStart=/usr/sbin/mkswap /var/lib/imgbuild/swap
    ExecStart=/usr/sbin/swapon /var/lib/imgbuild/swap
    ExecStart=/usr/sbin/sysctl vm.swappiness=10
    ExecStop=/usr/sbin/swapoff /var/lib/imgbuild/swap
    == /etc/rancher/k3s/config.yaml 600
    node-name: "edge1"
    node-ip: "10.44.1.1"
    flannel-iface: "wg0"
    token-file: "/var/lib/imgbuild/k3s-token"
    advertise-address: "10.44.1.1"
    cluster-cidr: "10.42.0.0/16"
    service-cidr: "10.43.0.0/16"
    tls-san:
      - "cp.example.org"
      - "api.demo.internal"
      - "node.example.org"
      - "10.44.0.1"
      - "10.44.0.2"
      - "10.0.0.2"
      - "10.45.0.1"
    disable:
      - "traefik"
      - "servicelb"
    etcd-s3: true
    etcd-s3-config-secret: "backup-s3"
    etcd-snapshot-schedule-cron: "0 */3 * * *"
    etcd-snapshot-retention: 72
    kube-apiserver-arg:
      - "audit-log-maxage=7"
    kube-controller-manager-arg:
      - "node-monitor-grace-period=300s"
      - "node-monitor-period=30s"
      - "node-cidr-mask-size=23"
      - "terminated-pod-gc-threshold=100"
    node-label:
      - "site=workshop"
      - "imgbuild.org/site=harbour"
      - "node.longhorn.io/create-default-disk=config"
    node-taint:
      - "gpu=yes:NoExecute"
    kubelet-arg:
      - "max-pods=200"
      - "config=/etc/rancher/k3s/kubelet.yaml"
      - "image-gc-high-threshold=70"
    == /etc/rancher/k3s/kubelet.yaml 600
    apiVersion: kubelet.config.k8s.io/v1beta1
    kind: KubeletConfiguration
    shutdownGracePeriod: 60s
    shutdownGracePeriodCriticalPods: 20s
    failSwapOn: false
    memorySwap: { swapBehavior: LimitedSwap }
    == /run/imgbuild/node-annotations.json 600
    {
      "node.longhorn.io/default-disks-config": "[{\"allowScheduling\":true,\"path\":\"/var/lib/longhorn\",\"tags\":[\"harbour\",\"fast\"]}]",
      "node.longhorn.io/default-node-tags": "[\"harbour\"]"
    }
    == /run/imgbuild/bootstrap/root-application.json 600
    {
      "apiVersion": "argoproj.io/v1alpha1",
      "kind": "Application",
      "metadata": {
        "name": "root",
        "namespace": "argocd"
      },
      "spec": {
        "destination": {
          "namespace": "argocd",
          "server": "https://kubernetes.default.svc"
        },
        "project": "default",
        "source": {
          "path": "deployment",
          "repoURL": "git@git.example.org:demo.git",
          "targetRevision": "main"
        },
        "syncPolicy": {
          "automated": {
            "prune": true,
            "selfHeal": true
          }
        }
      }
    }
    == /run/imgbuild/bootstrap/repository-access.json 600
    {
      "deployKeySecret": "deploy-key",
      "knownHosts": [
        "git.example.org ssh-ed25519 AAAA"
      ],
      "repository": "git@git.example.org:demo.git"
    }
    "#);
}

#[test]
fn a_worker_has_these_files() {
    insta::assert_snapshot!(files(&full(Role::Worker)), @r#"
    == /run/imgbuild/wg0.conf 600
    [Interface]
    ListenPort = 51820
    == /run/systemd/system/imgbuild-swap.service 644
    [Unit]
    Description=Swap on the state partition
    RequiresMountsFor=/var/lib/imgbuild
    Before=k3s.service k3s-agent.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    UMask=0077
    ExecStart=/usr/bin/rm -f /var/lib/imgbuild/swap
    ExecStart=/usr/bin/fallocate --length 4294967296 /var/lib/imgbuild/swap
    ExecStart=/usr/sbin/mkswap /var/lib/imgbuild/swap
    ExecStart=/usr/sbin/swapon /var/lib/imgbuild/swap
    ExecStart=/usr/sbin/sysctl vm.swappiness=10
    ExecStop=/usr/sbin/swapoff /var/lib/imgbuild/swap
    == /etc/rancher/k3s/config.yaml 600
    node-name: "edge1"
    node-ip: "10.44.1.1"
    flannel-iface: "wg0"
    token-file: "/var/lib/imgbuild/k3s-token"
    server: "https://api.demo.internal:6443"
    node-label:
      - "site=workshop"
      - "imgbuild.org/site=harbour"
      - "node.longhorn.io/create-default-disk=config"
    node-taint:
      - "gpu=yes:NoExecute"
    kubelet-arg:
      - "max-pods=200"
      - "config=/etc/rancher/k3s/kubelet.yaml"
      - "image-gc-high-threshold=70"
    == /etc/rancher/k3s/kubelet.yaml 600
    apiVersion: kubelet.config.k8s.io/v1beta1
    kind: KubeletConfiguration
    shutdownGracePeriod: 60s
    shutdownGracePeriodCriticalPods: 20s
    failSwapOn: false
    memorySwap: { swapBehavior: LimitedSwap }
    == /run/imgbuild/node-annotations.json 600
    {
      "node.longhorn.io/default-disks-config": "[{\"allowScheduling\":true,\"path\":\"/var/lib/longhorn\",\"tags\":[\"harbour\",\"fast\"]}]",
      "node.longhorn.io/default-node-tags": "[\"harbour\"]"
    }
    "#);
}

#[test]
fn an_edge_has_these_files() {
    insta::assert_snapshot!(files(&full(Role::Edge)), @r#"
    == /run/imgbuild/wg0.conf 600
    [Interface]
    ListenPort = 51820
    == /run/systemd/system/imgbuild-swap.service 644
    [Unit]
    Description=Swap on the state partition
    RequiresMountsFor=/var/lib/imgbuild
    Before=k3s.service k3s-agent.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    UMask=0077
    ExecStart=/usr/bin/rm -f /var/lib/imgbuild/swap
    ExecStart=/usr/bin/fallocate --length 4294967296 /var/lib/imgbuild/swap
    ExecStart=/usr/sbin/mkswap /var/lib/imgbuild/swap
    ExecStart=/usr/sbin/swapon /var/lib/imgbuild/swap
    ExecStart=/usr/sbin/sysctl vm.swappiness=10
    ExecStop=/usr/sbin/swapoff /var/lib/imgbuild/swap
    == /etc/rancher/k3s/config.yaml 600
    node-name: "edge1"
    node-ip: "10.44.1.1"
    flannel-iface: "wg0"
    token-file: "/var/lib/imgbuild/k3s-token"
    server: "https://api.demo.internal:6443"
    node-label:
      - "site=workshop"
      - "imgbuild.org/site=harbour"
      - "node.longhorn.io/create-default-disk=config"
    node-taint:
      - "imgbuild.org/edge=true:NoSchedule"
      - "gpu=yes:NoExecute"
    kubelet-arg:
      - "max-pods=200"
      - "config=/etc/rancher/k3s/kubelet.yaml"
      - "image-gc-high-threshold=70"
    == /etc/rancher/k3s/kubelet.yaml 600
    apiVersion: kubelet.config.k8s.io/v1beta1
    kind: KubeletConfiguration
    shutdownGracePeriod: 60s
    shutdownGracePeriodCriticalPods: 20s
    failSwapOn: false
    memorySwap: { swapBehavior: LimitedSwap }
    == /run/imgbuild/node-annotations.json 600
    {
      "node.longhorn.io/default-disks-config": "[{\"allowScheduling\":true,\"path\":\"/var/lib/longhorn\",\"tags\":[\"harbour\",\"fast\"]}]",
      "node.longhorn.io/default-node-tags": "[\"harbour\"]"
    }
    "#);
}

/// k3s refuses a server whose settings differ from those of the cluster, and fails over to servers without the same names.
#[test]
fn control_planes_differ_in_nothing_but_what_is_their_own() {
    let config = |record: &NodeRecord| {
        let all = files(record);
        let (_, config) = all.split_once("config.yaml 600\n").unwrap();
        config.split("== ").next().unwrap().to_owned()
    };
    let first = full(Role::ControlPlane);
    let mut second = first.clone();
    second.node.name = "cp2".into();
    second.vpn.address = [10, 44, 0, 2].into();
    let mut expected = config(&first).replace("edge1", "cp2");
    for key in ["node-ip", "advertise-address"] {
        expected = expected.replace(&format!("{key}: \"10.44.1.1\""), &format!("{key}: \"10.44.0.2\""));
    }
    assert_eq!(config(&second), expected);
}

#[test]
fn every_node_knows_the_api_by_name() {
    for role in [Role::ControlPlane, Role::Worker, Role::Edge] {
        let hosts = host_name(&full(role)).into_iter().find_map(|change| match change {
            Change::File(file) if file.path == "/etc/hosts" => Some(file.content.to_string()),
            _ => None,
        });
        insta::allow_duplicates! {
            insta::assert_snapshot!(hosts.unwrap(), @"
            127.0.0.1 localhost
            ::1 localhost ip6-localhost ip6-loopback
            127.0.1.1 edge1.demo edge1
            10.44.0.1 api.demo.internal
            10.44.0.2 api.demo.internal
            ");
        }
    }
}

#[test]
fn keys_that_left_the_record_leave_the_node() {
    let mut record = example();
    record.ssh_authorized_keys.clear();
    let path = "/etc/ssh/authorized_keys.d/root".to_owned();
    assert_eq!(ssh_keys(&record), Change::Absent { path });
}
