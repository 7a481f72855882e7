use std::fs;

use super::*;

fn read(folder: &Path, arguments: &[&str]) -> Result<Options, OptionsError> {
    let mut all = vec![format!("--root={}", folder.display())];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    Options::read(Mode::Server, &all, &BTreeMap::new())
}

#[test]
fn files_drop_ins_and_flags_merge_as_in_k3s() {
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("etc/rancher/k3s");
    fs::create_dir_all(etc.join("config.yaml.d")).unwrap();
    fs::write(etc.join("config.yaml"), "token: a\ncluster-init: true\nnode-label: [a=1]\nnode-taint: [x=y:NoSchedule]\nhttps-listen-port: 7000\nno-such-flag: 1\n").unwrap();
    fs::write(etc.join("config.yaml.d/10.yaml"), "token: b\nnode-label+: [b=2]\nnode-taint: [z:NoExecute]\n")
        .unwrap();
    fs::write(etc.join("config.yaml.d/20.yml"), "node-label+: c=3\n").unwrap();
    fs::write(etc.join("config.yaml.d/30.txt"), "token: nobody\n").unwrap();
    let options = read(folder.path(), &["--node-label", "d=4", "-t", "c"]).unwrap();
    assert_eq!(options.text("token"), "c");
    assert_eq!(options.list("node-label"), ["a=1", "b=2", "c=3", "d=4"]);
    assert_eq!(options.list("node-taint"), ["z:NoExecute"]);
    assert!(options.flag("cluster-init"));
    assert_eq!(options.port("https-listen-port", 6443).unwrap(), 7000);
    assert_eq!(options.data(), folder.path().join("var/lib/rancher/k3s"));
    assert!(!options.shown().contains(&"c".to_owned()), "no token is shown");
}

#[test]
fn what_k3s_does_not_know_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, message) in [
        (&["--no-such"][..], "flag provided but not defined: -no-such"),
        (&["--node-ip"], "flag needs an argument: --node-ip"),
        (&["word"], "flag provided but not defined: -word"),
    ] {
        assert_eq!(read(folder.path(), arguments).unwrap_err().to_string(), message);
    }
    let options = read(
        folder.path(),
        &["--node-ip=here", "--kube-controller-manager-arg=node-monitor-grace-period=8s"],
    )
    .unwrap();
    assert_eq!(options.addresses("node-ip").unwrap_err().to_string(), "--node-ip: `here` is no IP address");
    let grace = options.duration(
        "kube-controller-manager-arg",
        "node-monitor-grace-period",
        std::time::Duration::ZERO,
    );
    assert_eq!(grace.unwrap().as_secs(), 8);
}
