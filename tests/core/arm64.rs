//! The same profiles for arm64, composed here without emulation.

use anyhow::{Context as _, ensure};
use imgbuild::bundle::programs::ProgramFacts;
use imgbuild::units::{Arch, Bytes};
use machine::{Disk, Power, Scene, Vm};

use super::tunnels;

/// As for amd64; the kernel's modules are larger.
const LARGEST_INITRD: Bytes = Bytes(2_500_000);

#[test]
fn an_arm64_image_composed_here_boots_to_its_record() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let bundle = scene.build_for("cloud-debug", Arch::Arm64)?;
    ensure!(bundle.manifest.arch == Arch::Arm64, "{}", bundle.manifest.arch);
    let initrd = bundle.manifest.initrd_size;
    ensure!(initrd <= LARGEST_INITRD, "the initrd has {initrd}");
    check_compilers(&scene)?;

    let disk = Disk::of(&bundle, &scene)?;
    let power = Power { record: Some(scene.record("cp1")?), ..Power::default() };
    let mut vm = Vm::start("arm64", &disk, power, &scene)?;
    vm.wait_until_up()?;
    let facts = vm.run(
        "uname -m; hostname; systemctl --failed --no-legend --plain | wc -l; \
        modprobe -a wireguard br_netfilter overlay vxlan && echo modules; \
        findmnt -no FSTYPE,OPTIONS / | cut -d, -f1; dmsetup status root | cut -d' ' -f3,4",
    )?;
    let expected = "aarch64\ncp1\n0\nmodules\nerofs ro\nverity V\n";
    ensure!(facts == expected, "expected:\n{expected}found:\n{facts}");
    tunnels::check(&vm, disk.arch())?;
    vm.shut_down()?;
    disk.check_table()?;
    disk.check_state()
}

/// Both architectures' programs name the same Rust compiler.
fn check_compilers(scene: &Scene) -> anyhow::Result<()> {
    let rust = |arch: Arch| {
        let facts = ProgramFacts::of(&scene.node_programs(arch)?.stage0);
        let mut compilers = facts.compilers.into_iter();
        let found = compilers.find(|compiler| compiler.starts_with("rustc "));
        found.with_context(|| format!("stage0 for {arch} names no Rust compiler"))
    };
    let (amd64, arm64) = (rust(Arch::Amd64)?, rust(Arch::Arm64)?);
    ensure!(amd64 == arm64, "amd64: {amd64}, arm64: {arm64}");
    Ok(())
}
