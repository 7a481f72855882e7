//! What a cluster's machines have on them and have said once it is made.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use firstboot::apply::StepState;
use firstboot::status::{FileStatus, Phase, Status};
use machine::{Disk, Inspection, Joining, Vm};

/// After a boot nothing is left to be done, and what a dry run prints is what lies there.
pub(super) fn dry_run_tells_what_is_there(vm: &Vm) -> anyhow::Result<()> {
    let text = vm.run("firstboot --dry-run --json")?;
    let status: Status = serde_json::from_str(&text).context("reading what a dry run prints")?;
    ensure!(status.phase == Phase::Planned, "{status:?}");
    for step in &status.steps {
        // Asking the cluster writes no file of the plan.
        let is_done = step.state == StepState::Unchanged || step.files.is_empty();
        ensure!(is_done, "step `{}` is left to be done: {:?}", step.name, step.state);
    }
    let files: Vec<&FileStatus> = status.steps.iter().flat_map(|step| &step.files).collect();
    for path in ["/run/imgbuild/firewall.nft", "/run/imgbuild/wg0.conf", "/etc/rancher/k3s/config.yaml"] {
        ensure!(files.iter().any(|file| file.path == path), "the plan has no `{path}`");
    }
    let commands = files.iter().map(|file| format!("stat -c 0%a {0}; base64 -w0 {0}; echo\n", file.path));
    let found = vm.run(&commands.collect::<String>())?;
    let mut lines = found.lines();
    for FileStatus { path, mode, text } in files {
        let found_mode = lines.next().unwrap_or_default();
        let found = STANDARD.decode(lines.next().unwrap_or_default()).context("reading a file of a node")?;
        let found = String::from_utf8(found).with_context(|| format!("reading `{path}`"))?;
        ensure!(
            found_mode == mode && found == *text,
            "`{path}` ({found_mode}), planned ({mode}):\n{text}\nfound:\n{found}"
        );
    }
    Ok(())
}

/// Consoles and journals have no secret of the identity.
pub(super) fn no_secret_is_told(joining: &Joining, machines: &[(&str, Vm)]) -> anyhow::Result<()> {
    let search = joining.search()?;
    let mut inspection = Inspection::new(&search);
    for (name, vm) in machines {
        inspection.content(&format!("console of {name}"), vm.console().as_bytes())?;
        for command in ["journalctl --output=export", "firstboot status --json", "firstboot --dry-run --json"]
        {
            inspection.content(&format!("`{command}` on {name}"), vm.run(command)?.as_bytes())?;
        }
    }
    inspection.check()
}

/// An edge's disk has its own keys and nothing of the identity. The control plane's does, which the same search finds.
pub(super) fn no_secret_is_on_an_edge(
    joining: &Joining,
    control_plane: &Disk,
    edges: &[&Disk],
) -> anyhow::Result<()> {
    let search = joining.search()?;
    let mut inspection = Inspection::new(&search);
    edges.iter().try_for_each(|disk| inspection.file(disk.path()))?;
    inspection.check()?;
    let mut inspection = Inspection::new(&search);
    inspection.file(control_plane.path())?;
    ensure!(!inspection.findings.is_empty(), "nothing is found where there is something");
    Ok(())
}
