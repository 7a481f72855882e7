//! Requests to compare.

/// What a set is there for: its selection makes use of this.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claim {
    Alternative,
    VersionedProvides,
    Conflict,
}

/// The packages of a node.
pub(crate) const NODE: &[&str] = &[
    "linux-image-cloud-amd64",
    "base-files",
    "base-passwd",
    "bash",
    "coreutils",
    "systemd",
    "systemd-sysv",
    "systemd-resolved",
    "libnss-resolve",
    "libnss-myhostname",
    "libpam-systemd",
    "udev",
    "dbus-broker",
    "iproute2",
    "iptables",
    "nftables",
    "conntrack",
    "ethtool",
    "kmod",
    "util-linux",
    "mount",
    "e2fsprogs",
    "wireguard-tools",
    "ca-certificates",
    "openssh-server",
    "systemd-timesyncd",
    "open-iscsi",
    "nfs-common",
    "cryptsetup-bin",
    "dmsetup",
    "apparmor",
    "tzdata",
    "zstd",
    "procps",
    "grep",
    "sed",
    "tar",
    "gzip",
    "findutils",
    "netbase",
    "libc-bin",
    "login",
    "passwd",
    "iputils-ping",
    "less",
];

/// What a node's packages depend on and never run.
pub(crate) const NODE_DROPS: &[&str] = &[
    "perl-base",
    "openssl",
    "cpio",
    "debconf",
    "klibc-utils",
    "adduser",
    "openssl-provider-legacy",
    "debianutils",
    "initramfs-tools",
    "initramfs-tools-core",
    "initramfs-tools-bin",
    "dracut-install",
    "linux-base",
    "init-system-helpers",
    "libcap2-bin",
    "ucf",
    "gcc-14-base",
    "sysvinit-utils",
    "libklibc",
    "libsasl2-modules-db",
    "libdebconfclient0",
    "libtext-charwidth-perl",
    "libtext-iconv-perl",
    "libtext-wrapi18n-perl",
    "sensible-utils",
    "logsave",
    "lsb-base",
    "runit-helper",
];

/// Sets in the order of apt's command line, and what each is there for.
pub(crate) const NAMED: &[(&str, Claim)] = &[
    ("postfix", Claim::Alternative),
    ("exim4-daemon-light", Claim::Conflict),
    ("mailutils", Claim::Alternative),
    ("msmtp-mta mailutils", Claim::Alternative),
    ("mailutils msmtp-mta", Claim::Conflict),
    ("nginx", Claim::Alternative),
    ("apache2", Claim::Alternative),
    ("php", Claim::Alternative),
    ("libapache2-mod-php", Claim::Alternative),
    ("default-jre-headless", Claim::Alternative),
    ("python3-pip", Claim::Alternative),
    ("python3-numpy", Claim::Alternative),
    ("python3-numpy libopenblas0-openmp", Claim::Alternative),
    ("r-base-core", Claim::Alternative),
    ("samba", Claim::VersionedProvides),
    ("mariadb-server", Claim::Alternative),
    ("postgresql", Claim::Alternative),
    ("docker.io", Claim::Alternative),
    ("podman", Claim::Alternative),
    ("libvirt-daemon-system", Claim::Alternative),
    ("qemu-system-x86", Claim::Alternative),
    ("network-manager", Claim::Alternative),
    ("bind9", Claim::Alternative),
    ("chrony", Claim::Conflict),
    ("build-essential", Claim::Conflict),
    ("debhelper", Claim::Conflict),
    ("devscripts", Claim::VersionedProvides),
    ("ruby", Claim::Alternative),
    ("npm", Claim::VersionedProvides),
    ("emacs-nox", Claim::Conflict),
    ("mutt", Claim::Alternative),
    ("xserver-xorg", Claim::Alternative),
    ("lightdm", Claim::Alternative),
    ("libpam-elogind polkitd", Claim::Conflict),
    ("sysvinit-core openssh-server", Claim::Conflict),
    ("systemd-standalone-sysusers openssh-server", Claim::Conflict),
    ("cdebconf openssh-server", Claim::Alternative),
    ("gawk base-files", Claim::Alternative),
    ("original-awk base-files", Claim::Alternative),
    ("busybox-syslogd cron", Claim::Conflict),
    ("librust-clap-dev", Claim::VersionedProvides),
    ("librust-tokio-dev", Claim::VersionedProvides),
    ("librust-serde-dev", Claim::VersionedProvides),
    ("openmpi-bin libhdf5-dev", Claim::Alternative),
    ("initramfs-tools linux-image-amd64", Claim::Alternative),
    ("dracut linux-image-amd64", Claim::Conflict),
];

/// Sets that no selection satisfies.
pub(crate) const REFUSED: &[&str] = &[
    "postfix exim4-daemon-light",
    "chrony systemd-timesyncd",
    "systemd-sysv sysvinit-core",
    "systemd systemd-standalone-sysusers",
    "initramfs-tools dracut",
];

/// A number below `bound` from a linear congruential generator.
pub(crate) fn draw(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % bound
}

/// One of the items.
pub(crate) fn pick<'a, T>(state: &mut u64, items: &[&'a T]) -> &'a T {
    let bound = u64::try_from(items.len()).expect("a length fits 64 bits");
    items[usize::try_from(draw(state, bound)).expect("an index below a length")]
}
