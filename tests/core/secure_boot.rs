//! Secure Boot from keys to machine: firmware enrols our keys, starts what we signed, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use imgbuild::process::Program;
use machine::{Bundle, Disk, Power, Scene, Vm, oracle, remove_folder};

/// The medium's own arguments. With Secure Boot systemd's stub takes none from the hypervisor, so the one that
/// emulated timers need comes from here too.
const COMMAND_LINE: &str = "command-line = [\"no_timer_check\", \"secure.test=1\"]\n";
/// The same for GRUB, which knows no add-ons, with what stage0 must know of the medium.
const BIOS_ARGUMENTS: &str =
    " 'imgbuild.state-minimum=1073741824' 'no_timer_check' 'secure.test=1' imgbuild.esp=$esp ";
/// What the booted machine must say: firmware's variables, the kernel, its arguments.
const FACTS: &str = "cd /sys/firmware/efi/efivars; \
    for name in SecureBoot SetupMode; do od -An -tu1 $name-8be4df61-93ca-11d2-aa0d-00e098032b8c | xargs; done; \
    cat /sys/kernel/security/lockdown; tr ' ' '\\n' </proc/cmdline | grep -E '^(imgbuild.state-minimum|(secure|hacked).test)='; \
    systemctl --failed --no-legend --plain | wc -l";
const EXPECTED: &str = "6 0 0 0 1\n6 0 0 0 0\nnone [integrity] confidentiality\n\
    imgbuild.state-minimum=1073741824\nsecure.test=1\n0\n";
const UKI: &str = "EFI/Linux/imgbuild_1.efi";
const ADDON: &str = "loader/addons/image.addon.efi";

#[test]
fn firmware_enrols_our_keys_and_starts_only_what_they_signed() -> anyhow::Result<()> {
    let scene = Scene::open()?;
    let place = Place::make(&scene)?;
    let bundle = place.build("first", &scene)?;
    let again = place.build("second", &scene)?;
    ensure!(bundle.manifest == again.manifest, "the same inputs and keys give other bytes");
    let disk = Disk::of(&bundle, &scene)?;
    place.check_signatures(&disk)?;
    let slot = disk.esp_file("grub/a/slot.cfg")?;
    ensure!(slot.contains(BIOS_ARGUMENTS), "GRUB has other arguments:\n{slot}");

    let store = disk.folder().join("variables.fd");
    let record = scene.record("cp1")?;
    let power =
        || Power { record: Some(record.clone()), secure_boot: Some(store.clone()), ..Power::default() };
    let mut vm = Vm::start("enrolment", &disk, power(), &scene)?;
    vm.wait_for("nrolling secure boot keys")?;
    vm.wait_for_end()?;
    ensure!(!vm.console().contains("Linux version"), "a machine in setup mode went on to boot");

    // An add-on that somebody changed is left out, and the machine comes up all the same.
    let addon = place.copy_out(&disk, ADDON, "addon.efi")?;
    change(&addon, b"secure.test=1", b"hacked.test=1")?;
    disk.replace_on_esp(&addon, "loader/addons/other.addon.efi")?;
    let mut vm = Vm::start("signed", &disk, power(), &scene)?;
    vm.wait_until_up()?;
    let facts = vm.run(FACTS)?;
    ensure!(facts == EXPECTED, "expected:\n{EXPECTED}found:\n{facts}");
    vm.shut_down()?;

    let uki = place.copy_out(&disk, UKI, "uki.efi")?;
    change(&uki, b"systemd.gpt_auto=no", b"systemd.gpt_auto=on")?;
    disk.replace_on_esp(&uki, UKI)?;
    let mut vm = Vm::start("tampered", &disk, power(), &scene)?;
    vm.wait_for("Error loading")?;
    let console = vm.console();
    ensure!(console.contains("Access denied"), "firmware gives another reason:\n{console}");
    ensure!(!console.contains("Linux version"), "firmware starts a UKI that was changed:\n{console}");
    Ok(())
}

/// A cluster of its own, whose builds are signed by keys that openssl made.
struct Place {
    folder: PathBuf,
    keys: PathBuf,
}

impl Place {
    fn make(scene: &Scene) -> anyhow::Result<Self> {
        // So that the lock is there, and need not be made again.
        scene.build("cloud-debug")?;
        let folder = scene.folder().join("secure-boot");
        remove_folder(&folder)?;
        let keys = folder.join("keys");
        fs::create_dir_all(folder.join("images"))?;
        fs::create_dir_all(&keys)?;
        for name in ["cluster.toml", "imgbuild.lock"] {
            fs::copy(scene.cluster_file().with_file_name(name), folder.join(name))
                .context("copying the cluster")?;
        }
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/disk.toml");
        let image =
            fs::read_to_string(image)?.replacen("layout = 1\n", &format!("layout = 1\n{COMMAND_LINE}"), 1);
        ensure!(image.contains(COMMAND_LINE), "the image has no layout:\n{image}");
        fs::write(folder.join("images/secure.toml"), image)?;
        let place = Self { folder, keys };
        for name in ["PK", "KEK", "db"] {
            place.make_key(name)?;
        }
        let import = [place.keys.as_os_str()];
        place
            .imgbuild(scene)
            .arguments(["identity", "secure-boot", "--import"])
            .arguments(import)
            .output(MINUTE)?;
        Ok(place)
    }

    fn make_key(&self, name: &str) -> anyhow::Result<()> {
        let (key, certificate) = (self.keys.join(format!("{name}.key")), self.certificate(name));
        let subject = format!("/CN=test {name}");
        let options =
            ["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", &subject];
        let options = options.map(AsRef::as_ref).into_iter();
        let files = ["-keyout".as_ref(), key.as_os_str(), "-out".as_ref(), certificate.as_os_str()];
        oracle::run("openssl", options.chain(files))?;
        Ok(())
    }

    fn certificate(&self, name: &str) -> PathBuf {
        self.keys.join(format!("{name}.pem"))
    }

    /// `imgbuild`, about this cluster, with a home where it puts the key file of the identity.
    fn imgbuild(&self, scene: &Scene) -> Program {
        let home = scene.folder().join("secure-boot-home");
        Program::new("testing imgbuild", scene.program())
            .argument("--file")
            .argument(self.folder.join("cluster.toml"))
            .argument("--cache")
            .argument(scene.cache())
            .environment("HOME", &home)
            .environment("XDG_CONFIG_HOME", home.join("settings"))
    }

    fn build(&self, output: &str, scene: &Scene) -> anyhow::Result<Bundle> {
        let folder = self.folder.join("out").join(output);
        let build = self.imgbuild(scene).arguments(["build", "cloud-debug", "--image", "secure"]);
        build.arguments(["--without-artifacts", "--output"]).argument(&folder).output(5 * MINUTE)?;
        Bundle::load(folder)
    }

    /// `sbverify` accepts every boot program by the certificate for db alone.
    fn check_signatures(&self, disk: &Disk) -> anyhow::Result<()> {
        for program in ["EFI/BOOT/BOOTX64.EFI", UKI, ADDON] {
            let path = self.copy_out(disk, program, "program.efi")?;
            let judge = |name: &str| {
                let certificate = self.certificate(name);
                oracle::run("sbverify", ["--cert".as_ref(), certificate.as_os_str(), path.as_os_str()])
            };
            judge("db").with_context(|| format!("whether `{program}` is signed"))?;
            ensure!(judge("KEK").is_err(), "`{program}` is accepted by another certificate");
        }
        Ok(())
    }

    fn copy_out(&self, disk: &Disk, from: &str, to: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(to);
        disk.copy_from_esp(from, &path)?;
        Ok(path)
    }
}

const MINUTE: Duration = Duration::from_mins(1);

/// Replaces the one place where `from` stands.
fn change(path: &Path, from: &[u8], to: &[u8]) -> anyhow::Result<()> {
    let mut content = fs::read(path).context("reading a boot program")?;
    let places: Vec<_> = content.windows(from.len()).enumerate().filter(|(_, text)| *text == from).collect();
    let at: Vec<usize> = places.into_iter().map(|(at, _)| at).collect();
    ensure!(at.len() == 1, "the text to change is at {at:?}");
    let place = at.first().and_then(|at| content.get_mut(*at..at + to.len()));
    place.context("the place is in the file")?.copy_from_slice(to);
    fs::write(path, content).context("writing a boot program")
}
