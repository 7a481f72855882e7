//! A control plane that is switched on again, until k3s starts: what of that is firstboot's.
//!
//! Its first start, with everything that happens once, comes before, without a clock of instructions: its operator is not
//! on that clock.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use machine::{Disk, Scene, Vm, free_port};

use super::boot::{Bootable, profile_telling};

const PROFILE: &str = "telling-joined";
/// Tells the figures once the cluster sees the node as Ready.
const TELL: &str = r#"cpu() { local used=$(systemctl show --value --property CPUUsageNSec "$1"); echo $((used / 1000)); }
at() { systemctl show --value --property "$2TimestampMonotonic" "$1"; }
for i in $(seq 600); do
  case $(firstboot status) in *'phase       ready'*) is_ready=yes; break ;; esac
  sleep 5
done
test "$is_ready" && printf '\nreport %s %s %s end\n' \
  "$(cpu firstboot.service)" "$(cpu firstboot-serve.service)" "$(at k3s.service ExecMainStart)" > /dev/ttyS0
systemctl --no-block poweroff
"#;
/// For the push.
const OPERATING: Duration = Duration::from_mins(1);

/// Seconds of guest time. Everything else starts on the same processor meanwhile, so that only the time that a processor
/// worked for firstboot is its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joined {
    /// Its settings, before the network.
    pub(crate) settings: f64,
    /// Its service, until the node is Ready, which is somewhat later than k3s' start.
    pub(crate) service: f64,
    /// From the kernel's entry to k3s' start.
    pub(crate) k3s: f64,
}

impl Joined {
    /// What firstboot does itself.
    pub(crate) fn own(&self) -> f64 {
        self.settings + self.service
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
    let [settings, service, k3s] = bootable.boot()?.seconds()?;
    Ok(Joined { settings, service, k3s })
}
