#!/usr/bin/env bash
# Installs what a task needs and is missing: install.sh build|demo|test|bench|check|fuzz
# On a machine without apt it says what to install and stops.
set -euo pipefail
task=$1

# program or file that shows the package is there : Debian package
build=(cc:gcc make:make)
boot=(qemu-system-x86_64:qemu-system-x86 /usr/share/OVMF/OVMF_CODE_4M.fd:ovmf)
oracles=(sgdisk:gdisk fsck.vfat:dosfstools mdir:mtools fsck.erofs:erofs-utils veritysetup:cryptsetup-bin
  depmod:kmod cpio:cpio objdump:binutils dpkg-deb:dpkg ssh:openssh-client ssh-keygen:openssh-client
  openssl:openssl xz:xz-utils zstd:zstd systemd-sysusers:systemd unshare:util-linux)
case $task in
  build) wanted=("${build[@]}") ;;
  demo) wanted=("${build[@]}" "${boot[@]}") ;;
  test) wanted=("${build[@]}" "${boot[@]}" "${oracles[@]}") ;;
  bench) wanted=("${build[@]}" "${boot[@]}" "${oracles[@]}" mmdebstrap:mmdebstrap) ;;
  check) wanted=("${build[@]}" shellcheck:shellcheck) ;;
  fuzz) wanted=("${build[@]}" clang:clang) ;;
  *) echo "install.sh: unknown task '$task'" >&2; exit 2 ;;
esac

missing=()
for pair in "${wanted[@]}"; do
  shown=${pair%:*}
  [ -e "$shown" ] || PATH=$PATH:/usr/sbin:/sbin command -v "$shown" >/dev/null || missing+=("${pair##*:}")
done
# Debian's newest compiler is in rustc-web; a toolchain of the user's own goes first.
command -v cargo >/dev/null || missing+=(rustc-web cargo-web)
if [ ${#missing[@]} -gt 0 ]; then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  if ! command -v apt-get >/dev/null; then
    echo "Please install, under the names of your distribution: ${missing[*]}" >&2
    exit 1
  fi
  root=(); [ "$(id -u)" = 0 ] || root=(sudo)
  echo "Installing Debian packages: ${missing[*]}"
  "${root[@]}" apt-get -qq update
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi
case $task in
  check) command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny ;;
  fuzz) command -v cargo-fuzz >/dev/null || cargo install --locked --quiet cargo-fuzz ;;
esac
