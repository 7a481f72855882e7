//! One maintainer script, reduced to what a person wrote.

use crate::rootfs::DebInfo;
use crate::units::Sha256;

/// debhelper's generators whose sections are known, and what stands for them here.
pub const GENERATORS: &[(&str, &str)] = &[
    ("dh_installalternatives", "reviews declare the links"),
    ("dh_installdeb", "removes configuration files of older versions"),
    ("dh_installinit", "registers System V init scripts, which are left out"),
    ("dh_installinitramfs", "triggers an initrd; ours is made outside"),
    ("dh_installmenu", "updates desktop menus"),
    ("dh_installnss", "step nss"),
    ("dh_installsystemd", "step units"),
    ("dh_systemd_enable", "step units"),
    ("dh_systemd_start", "starts units on a running machine"),
    ("dh_installsystemduser", "user units; nobody logs in to a node"),
    ("dh_installsysusers", "step users"),
    ("dh_installtmpfiles", "systemd-tmpfiles runs at boot"),
    ("dh_makeshlibs", "triggers ldconfig, whose cache every image has"),
    ("dh_runit", "runit is not used"),
    ("dh_ucf", "reviews declare the copies"),
];

/// The parts of a script.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Script {
    /// Hand-written lines without comments, and sections of unknown generators.
    pub rest: String,
    /// Generators named in the script that [`GENERATORS`] lacks.
    pub unknown_generators: Vec<String>,
}

const BEGIN: &str = "# Automatically added by ";
const BEGIN_TRIGGERS: &str = "# Triggers added by ";
const END: &str = "# End automatically added section";

impl Script {
    /// Reduces the `text` of script `name` (`postinst`, `triggers`) of package `deb`.
    ///
    /// The kernel's release in the package's name is replaced, so that a new kernel with the same
    /// script has the same rest; so is the architecture's library folder.
    pub fn parse(name: &str, text: &str, deb: &DebInfo) -> Self {
        let mut script = Self { rest: String::new(), unknown_generators: Vec::new() };
        let is_triggers = name == "triggers";
        let mut is_generated = false;
        for line in text.lines().map(str::trim_end) {
            if let Some(generator) = line.strip_prefix(BEGIN) {
                let generator = generator.split('/').next().unwrap_or(generator).trim();
                is_generated = GENERATORS.iter().any(|(known, _)| *known == generator);
                if !is_generated {
                    script.unknown_generators.push(generator.to_owned());
                }
            } else if line == END {
                is_generated = false;
            }
            let is_comment = line.trim_start().starts_with('#') || line.trim().is_empty();
            let is_code = if is_triggers { !is_known_trigger(line) } else { !is_generated };
            if is_code && !is_comment && !line.starts_with(BEGIN_TRIGGERS) {
                script.rest.push_str(line);
                script.rest.push('\n');
            }
        }
        if let Some(release) = deb.name.strip_prefix("linux-image-") {
            script.rest = script.rest.replace(release, "@release@");
        }
        for triplet in ["x86_64-linux-gnu", "aarch64-linux-gnu"] {
            script.rest = script.rest.replace(triplet, "@triplet@");
        }
        script
    }

    /// Digest of the hand-written rest.
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(self.rest.as_bytes())
    }

    /// Whether nothing is left but shell boilerplate.
    pub fn is_trivial(&self) -> bool {
        self.unknown_generators.is_empty() && self.rest.lines().all(is_boilerplate)
    }
}

/// Lines that do nothing by themselves; a script made of nothing else has no effect.
fn is_boilerplate(line: &str) -> bool {
    matches!(line.trim(), "set -e" | "set -eu" | "exit 0" | ":")
}

/// Triggers that concern the linker's cache, which is made with every image, and initrds, which it has none of; and
/// packages' interest in files of others, which setup sees as a whole.
fn is_known_trigger(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let directive = words.next().unwrap_or_default();
    let trigger = words.next().unwrap_or_default();
    match directive {
        "activate" | "activate-noawait" | "activate-await" => {
            matches!(trigger, "ldconfig" | "update-initramfs")
        }
        "interest" | "interest-noawait" | "interest-await" => true,
        _ => false,
    }
}
