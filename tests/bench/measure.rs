//! What is run, how often, and what is expected of it.

use std::path::Path;

use anyhow::Context as _;
use imgbuild::units::Arch;

use super::boot::{Boot, Bootable};
use super::claims::Claims;
use super::cloud::{Cloud, Upload, Uploads};
use super::joined;
use super::mkosi::Mkosi;
use super::ours::{self, Build, Ours};
use super::peer::{Peer, PeerRun};
use super::report::{Bound, Report, Samples};
use super::say;

/// How often a machine is booted.
const BOOTS: usize = 3;
/// Over the wire comes what SSH, TCP/IP and Ethernet add, what acknowledges it, and what the rescue system is asked.
const WIRE: f64 = 1.02;

/// Medians that peers are compared with; seconds.
pub(crate) struct Measured {
    cold: f64,
    cold_cpu: f64,
    warm: f64,
    changed: f64,
}

pub(crate) fn ours(ours: &Ours, runs: u32, report: &mut Report) -> anyhow::Result<Measured> {
    say("building from packages")?;
    let cold = repeat(runs, |_| ours.build_cold())?;
    say("building with what was kept of the build before")?;
    let warm = repeat(runs, |_| ours.build_warm())?;
    say("building again without changes")?;
    let again = repeat(runs, |_| ours.build_again())?;
    say("building with another file")?;
    ours.build_changed("before")?;
    let changed = repeat(runs, |run| ours.build_changed(&format!("change {run}")))?;
    let record = repeat(runs, |_| ours.record())?;

    let of = |name: &str, builds: &[Build]| Samples::costs(name, builds.iter().map(|build| build.cost));
    let [cold_time, cold_cpu] = of("build from packages", &cold);
    let [warm_time, warm_cpu] = of("warm build", &warm);
    let [again, _] = Samples::costs("build again, nothing changed", again);
    let [changed, _] = Samples::costs("build, one file of the profile changed", changed);
    let [record, _] = Samples::costs("one value of a node changed: its record", record);
    let memory = Samples::bytes("peak memory", cold.iter().map(|build| build.peak_memory).collect());
    let initrd = Samples::bytes("initrd, cloud amd64", cold.iter().map(|build| build.initrd).collect());
    let uki = Samples::bytes("UKI", cold.iter().map(|build| build.uki).collect());
    report.bounds.extend([
        Bound::of(&again, 1.0),
        Bound::of(&memory, 1024.0 * 1024.0 * 1024.0),
        Bound::of(&initrd, 1_600_000.0),
        Bound::of(&uki, 15_000_000.0),
    ]);
    let measured = Measured {
        cold: cold_time.median,
        cold_cpu: cold_cpu.median,
        warm: warm_time.median,
        changed: changed.median,
    };
    report.samples.extend([cold_time, cold_cpu, warm_time, warm_cpu, again, changed, record]);
    report.samples.extend([memory, initrd, uki]);
    Ok(measured)
}

pub(crate) fn peer(peer: &Peer, runs: u32, ours: &Measured, report: &mut Report) -> anyhow::Result<()> {
    say("mmdebstrap, mkfs.erofs and veritysetup with the same packages")?;
    let peers = repeat(runs, |_| peer.run())?;
    let total = Samples::costs("mmdebstrap + mkfs.erofs + veritysetup", peers.iter().map(PeerRun::total));
    let [mmdebstrap, _] = Samples::costs("  mmdebstrap", peers.iter().map(|run| run.mmdebstrap));
    let [erofs, _] = Samples::costs("  mkfs.erofs", peers.iter().map(|run| run.erofs));
    let [verity, _] = Samples::costs("  veritysetup format", peers.iter().map(|run| run.verity));
    let ratio = ours.cold / total[0].median;
    report.bounds.push(Bound::ratio("build : mmdebstrap + mkfs.erofs + veritysetup", ratio, 1.0 / 8.0));
    report.samples.extend(total.into_iter().chain([mmdebstrap, erofs, verity]));
    Ok(())
}

pub(crate) fn mkosi(mkosi: &Mkosi, runs: u32, ours: &Measured, report: &mut Report) -> anyhow::Result<()> {
    say("mkosi, full build")?;
    let [full, cpu] = Samples::costs("mkosi", repeat(runs, |_| mkosi.full())?);
    say("mkosi, full build without Minimize=best")?;
    let unminimized = repeat(runs, |_| mkosi.full_unminimized())?;
    let [unminimized, unminimized_cpu] = Samples::costs("mkosi without Minimize=best", unminimized);
    say("mkosi, incremental build")?;
    mkosi.prepare_incremental()?;
    let incremental = repeat(runs, |run| mkosi.incremental(&format!("change {run}\n")))?;
    let [incremental, _] = Samples::costs("mkosi --incremental, one file changed", incremental);
    report.bounds.extend([
        Bound::ratio("build : mkosi", ours.cold / full.median, 1.0 / 20.0),
        Bound::ratio("build : mkosi, CPU time", ours.cold_cpu / cpu.median, 1.0 / 10.0),
        Bound::ratio("warm build : mkosi", ours.warm / full.median, 1.0 / 40.0),
        Bound::seconds("one file changed", ours.changed, f64::max(1.5, incremental.median / 25.0)),
    ]);
    report.samples.extend([full, cpu, unminimized, unminimized_cpu, incremental]);
    Ok(())
}

/// How large what is sent is, and the initrds of other images.
pub(crate) fn sizes(ours: &Ours, report: &mut Report) -> anyhow::Result<()> {
    say("initrds of other images")?;
    for (name, profile, arch, most) in [
        ("initrd, cloud arm64", "cloud", Arch::Arm64, 2_500_000.0),
        ("initrd, edge amd64", "edge", Arch::Amd64, 8_000_000.0),
    ] {
        let initrd = Samples::bytes(name, vec![ours.initrd(profile, arch)?]);
        report.bounds.push(Bound::of(&initrd, most));
        report.samples.push(initrd);
    }
    say("compressing disks as releases are")?;
    for (name, profile, most) in [
        ("disk by zstd -19 --long=27, root lz4hc", ours::PROFILE, 75_000_000.0),
        ("disk by zstd -19 --long=27, root plain", ours::PLAIN, 66_000_000.0),
    ] {
        let transport = ours.transport(profile)?;
        let whole = Samples::bytes(name, vec![transport.total]);
        report.bounds.push(Bound::of(&whole, most));
        report.samples.push(whole);
        let parts = transport.parts.into_iter();
        report.samples.extend(parts.map(|(name, size)| Samples::bytes(&format!("  {name}"), vec![size])));
    }
    Ok(())
}

/// Nodes that join, a burst after the other; each run has nodes of its own.
pub(crate) fn claims(runs: u32, work: &Path, report: &mut Report) -> anyhow::Result<()> {
    say("1,000 claims in bursts of 50")?;
    let claims = Claims::prepare(&work.join("k3s"))?;
    let runs = repeat(runs, |run| Ok((claims.claim(run)?, claims.beside(run)?)))?;
    let beside =
        Samples::seconds("their exchanges and objects alone", runs.iter().map(|(_, beside)| *beside));
    let claimed = Samples::seconds("1,000 claims", runs.iter().map(|(claimed, _)| claimed.seconds));
    let lost = Samples::counts("claims lost", runs.iter().map(|(claimed, _)| claimed.lost));
    let ratio = claimed.median / beside.median;
    report.bounds.extend([
        Bound::most(&lost, 0.0),
        Bound::ratio("1,000 claims : their exchanges and objects", ratio, 2.5),
    ]);
    report.samples.extend([claimed, beside, lost]);
    Ok(())
}

/// Boots with a state partition that is made already, as most of a machine's life has it.
pub(crate) fn boots(ours: &Ours, peer: &Peer, work: &Path, report: &mut Report) -> anyhow::Result<()> {
    say("emulated boots")?;
    let ours = ours.bootable(work)?;
    let root = work.join("root");
    peer.bootstrap(&root)?;
    let debian = Bootable::debian(&root, work)?;
    let [ours, debian] =
        [(&ours, "ours"), (&debian, "one with Debian's initramfs")].map(|(bootable, which)| {
            // The first one makes what later ones find.
            bootable.boot().ok();
            let boot = || bootable.boot().and_then(Boot::try_from);
            fastest(boot, |boot| boot.firstboot).with_context(|| format!("booting {which}"))
        });
    let (ours, debian) = (ours?, debian?);
    for (name, boot) in [("ours", ours), ("Debian's initramfs", debian)] {
        let of = |what: &str| format!("boot by {name}: {what}");
        report.samples.extend([
            Samples::guest(&of("kernel to PID 1"), boot.manager),
            Samples::guest(&of("kernel to firstboot"), boot.firstboot),
            Samples::guest(&of("kernel to multi-user target"), boot.up),
            Samples::bytes(&of("memory in use"), vec![boot.memory]),
        ]);
    }
    report.bounds.extend([
        Bound::ratio("kernel to PID 1 : Debian's initramfs", ours.manager / debian.manager, 0.25),
        Bound::ratio("kernel to firstboot : Debian's initramfs", ours.firstboot / debian.firstboot, 0.7),
        Bound::bytes("memory in use", ours.memory, 150e6),
    ]);
    Ok(())
}

/// Starts of a node that is a member already, to the start of k3s.
pub(crate) fn joined(work: &Path, report: &mut Report) -> anyhow::Result<()> {
    say("a control plane, emulated")?;
    let bootable = joined::prepare(work)?;
    let joined = fastest(|| joined::boot(&bootable), |boot| boot.k3s)?;
    let own = joined.own();
    report.samples.extend([
        Samples::guest("control plane: kernel to k3s", joined.k3s),
        Samples::guest("  firstboot, processor time", own),
        Samples::guest("    its settings, before the network", joined.settings),
        Samples::guest("    its service", joined.service),
    ]);
    report.bounds.push(Bound::ratio("firstboot, until k3s starts : its boot", own / (joined.k3s - own), 0.1));
    Ok(())
}

/// An upload of the image to the cloud, at machines that are emulated.
pub(crate) fn cloud(cloud: &Cloud, report: &mut Report) -> anyhow::Result<()> {
    say("an upload to the cloud, emulated, and xz | ssh dd")?;
    let Uploads { ours, peer, xz, least } = cloud.measure()?;
    for (name, upload) in [("cloud upload by ours", ours), ("cloud upload by xz | ssh dd", peer)] {
        report.samples.extend([
            Samples::seconds(name, [upload.seconds]),
            Samples::seconds("  of it, the image on its way", [upload.writing]),
            Samples::bytes("  over the wire", vec![upload.wire]),
            Samples::counts("  requests of the API", [upload.calls]),
            Samples::counts("    that change something", [upload.changes]),
        ]);
    }
    let [xz, _] = Samples::costs("  xz -T0, before", [xz]);
    let least = Samples::bytes("what is not zero, by zstd", vec![least]);
    let wire = |upload: &Upload| Samples::bytes("", vec![upload.wire]).median;
    report.bounds.extend([
        Bound::ratio("over the wire : what is not zero, by zstd", wire(&ours) / least.median, WIRE),
        Bound::ratio("cloud upload : xz | ssh dd", ours.seconds / (peer.seconds + xz.median), 1.0),
        Bound::ratio("  the image on its way", ours.writing / (peer.writing + xz.median), 1.0),
    ]);
    report.samples.extend([xz, least]);
    Ok(())
}

/// The fastest boot of some. At times QEMU counts instructions past an event, and the machine stands still until a
/// deadline of its own: such boots are slow, or end in a restart and tell nothing.
fn fastest<T>(boot: impl Fn() -> anyhow::Result<T>, time: impl Fn(&T) -> f64) -> anyhow::Result<T> {
    let boots = (0..BOOTS).filter_map(|_| boot().ok());
    let fastest = boots.min_by(|one, other| time(one).total_cmp(&time(other)));
    // All have failed: the next one says why.
    fastest.map_or_else(boot, Ok)
}

/// The results of run 0, 1, 2, …
fn repeat<T>(runs: u32, once: impl FnMut(u32) -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
    (0..runs).map(once).collect()
}
