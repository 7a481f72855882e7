#!/usr/bin/env bash
# Installs what a task needs and is missing: install.sh build|nodes|demo|demo-hetzner|test|bench|check|fuzz [--list]
# With --list it only names the packages. Without apt, or without root, it says what to install and stops.
set -euo pipefail
task=$1 wanted_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../../Cargo.toml")

# program or file that shows the package is there : Debian package
build=(cc:gcc make:make "/usr/lib/$(uname -m)-linux-gnu/libc.a:libc6-dev"
  /etc/ssl/certs/ca-certificates.crt:ca-certificates)
# The architecture that this machine is not.
case $(uname -m) in
  x86_64) nodes=(aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu /usr/aarch64-linux-gnu/lib/libc.a:libc6-dev-arm64-cross) ;;
  *) nodes=(x86_64-linux-gnu-gcc:gcc-x86-64-linux-gnu /usr/x86_64-linux-gnu/lib/libc.a:libc6-dev-amd64-cross) ;;
esac
boot=(qemu-system-x86_64:qemu-system-x86 /usr/share/OVMF/OVMF_CODE_4M.fd:ovmf)
boot_arm=(qemu-system-aarch64:qemu-system-arm /usr/share/AAVMF/AAVMF_CODE.fd:qemu-efi-aarch64)
oracles=(sgdisk:gdisk fdisk:fdisk fsck.vfat:dosfstools mdir:mtools fsck.erofs:erofs-utils veritysetup:cryptsetup-bin
  depmod:kmod cpio:cpio objdump:binutils dpkg-deb:dpkg ssh:openssh-client ssh-keygen:openssh-client
  openssl:openssl xz:xz-utils zstd:zstd systemd-sysusers:systemd unshare:util-linux nft:nftables ip:iproute2
  setpriv:util-linux fsverity:fsverity debugfs:e2fsprogs cmp:diffutils modinfo:kmod sbverify:sbsigntool pesign:pesign
  osslsigncode:osslsigncode sign-efi-sig-list:efitools dbus-daemon:dbus-daemon
  "$(python3 -c 'import ensurepip; print(ensurepip.__file__)' 2>/dev/null || echo none):python3-venv")
# Intel's microcode is judged on Intel's architecture only: elsewhere there is no such package.
[ "$(uname -m)" != x86_64 ] || oracles+=(iucode_tool:iucode-tool)
case $task in
  build) wanted=("${build[@]}") ;;
  nodes) wanted=("${build[@]}" "${nodes[@]}") ;;
  demo) wanted=("${build[@]}" "${boot[@]}" zstd:zstd) ;;
  demo-hetzner) wanted=("${build[@]}" "${boot[@]}" ip:iproute2) ;;
  test) wanted=("${build[@]}" "${nodes[@]}" "${boot[@]}" "${boot_arm[@]}" "${oracles[@]}") ;;
  bench) wanted=("${build[@]}" "${boot[@]}" "${oracles[@]}" mmdebstrap:mmdebstrap) ;;
  check) wanted=("${build[@]}" shellcheck:shellcheck) ;;
  fuzz) wanted=("${build[@]}" c++:g++) ;;
  *) echo "install.sh: unknown task '$task'" >&2; exit 2 ;;
esac
missing=()
for pair in "${wanted[@]}"; do
  shown=${pair%:*}
  [ -e "$shown" ] || PATH=$PATH:/usr/sbin:/sbin command -v "$shown" >/dev/null || missing+=("${pair##*:}")
done
# Debian's newest compiler is in rustc-web; a toolchain of the user's own goes first.
if ! command -v cargo >/dev/null; then missing+=(rustc-web cargo-web)
elif rust=$(cargo --version | cut -d' ' -f2); printf '%s\n' "$wanted_rust" "$rust" | sort -CV; then :
else echo "cargo is $rust, imgbuild needs $wanted_rust: run 'rustup update', or remove it to get Debian's" >&2; exit 1
fi
if [ "${2-}" = --list ]; then echo "${missing[*]}"; exit; fi
if [ ${#missing[@]} -gt 0 ]; then
  root=(); [ "$(id -u)" = 0 ] || root=(sudo)
  command -v apt-get >/dev/null || { echo "please install, by your distribution's names: ${missing[*]}" >&2; exit 1; }
  [ ${#root[@]} = 0 ] || command -v sudo >/dev/null || { echo "as root: apt install ${missing[*]}" >&2; exit 1; }
  echo "apt-get install ${missing[*]}"
  "${root[@]}" apt-get -qq update
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi
case $task in
  check | fuzz) tool=cargo-${task/check/deny}; command -v "$tool" >/dev/null || cargo install --locked --quiet "$tool" ;;
esac
