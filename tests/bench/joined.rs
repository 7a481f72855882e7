//! A control plane that is switched on again, until k3s starts: what of that is firstboot's.
//!
//! Its first start, with everything that happens once, comes before, without a clock of instructions: its operator is not
//! on that clock.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use machine::{Disk, Scene, Vm, free_port};

use super::boot::{Bootable, profile_telling};

const PROFILE: &str = "telling-joined";
/// Tells the figures once the cluster sees the node as Ready.
const TELL: &str = r#"at() { systemctl show --value --property "$2TimestampMonotonic" "$1"; }
for i in $(seq 600); do
  case $(firstboot status) in *'phase       ready'*) is_ready=yes; break ;; esac
  sleep 5
done
test "$is_ready" && printf '\nreport %s %s %s %s %s end\n' \
  "$(at firstboot.service ExecMainStart)" "$(at firstboot.service ExecMainExit)" \
  "$(at firstboot-serve.service ExecMainStart)" "$(at network-online.target ActiveEnter)" \
  "$(at k3s.service ExecMainStart)" > /dev/ttyS0
systemctl --no-block poweroff
"#;
/// For the push.
const OPERATING: Duration = Duration::from_mins(1);

/// Seconds from the kernel's entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joined {
    pub(crate) firstboot: f64,
    pub(crate) configured: f64,
    pub(crate) serve: f64,
    pub(crate) online: f64,
    /// To k3s' start.
    pub(crate) k3s: f64,
}

impl Joined {
    /// What firstboot does itself: its settings before the network, and then, once there is one, all until k3s starts.
    pub(crate) fn own(&self) -> f64 {
        self.configured - self.firstboot + self.k3s - f64::max(self.serve, self.online)
    }
}

/// Makes a cluster of one node, in `work`.
pub(crate) fn prepare(work: &Path) -> anyhow::Result<Bootable> {
    let scene = Scene::open()?;
    let joining = scene.joining_cluster("bench", free_port()?, 1)?;
    let profiles = joining.folder().join("profiles");
    fs::create_dir_all(&profiles).context("making the folder of profiles")?;
    let profile = profiles.join(PROFILE).with_extension("toml");
    fs::write(&profile, profile_telling("cloud", TELL)).context("writing a profile")?;
    let disk = Disk::of(&joining.build(PROFILE, &scene)?, &scene)?;
    let (power, pushed) = joining.power("cp1", work)?;
    let given = power.given.clone();
    let mut vm = Vm::start("cp1", &disk, power, &scene)?;
    vm.wait_for_end()?;
    let outcome = pushed.context("nothing is pushed to a control plane")?.recv_timeout(OPERATING);
    outcome.context("waiting for the push")?.map_err(|reason| anyhow::anyhow!(reason))?;
    Bootable::copied(disk.path(), &given, work, "joined")
}

/// One more start.
pub(crate) fn boot(bootable: &Bootable) -> anyhow::Result<Joined> {
    let figures = bootable.boot()?;
    let [firstboot, configured, serve, online, k3s] = figures.seconds()?;
    ensure!(serve <= k3s && online <= k3s, "k3s starts before what it waits for: {figures:?}");
    Ok(Joined { firstboot, configured, serve, online, k3s })
}
