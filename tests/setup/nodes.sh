#!/usr/bin/env bash
# Compiles firstboot and stage0 for amd64 and arm64 with one compiler into FOLDER/<triple>/release: nodes.sh FOLDER [stand-in]
# With `stand-in`, the k3s stand-in of the tests as well.
# Debian's rustc-web comes with a standard library per architecture, which a rustup toolchain need not have. It is
# unpacked into FOLDER/compiler; the system stays as it is.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/setup/private-apt.sh
mkdir -p "$1"
folder=$(realpath "$1")
compiler=$folder/compiler

unpack_compiler() {
  private_apt "$folder/apt" amd64,arm64
  depends() { apt-cache show "$1" | awk '/^Depends:/ {print; exit}' | grep -oE "$2" | head -1; }
  local version std llvm
  version=$(apt-cache policy rustc-web | awk '/Candidate/ {print $2}')
  std=$(depends "libstd-rust-web-dev=$version" 'libstd-rust-web-[0-9.]+')
  llvm=$(depends "$std=$version" 'libllvm[0-9]+')
  rm -rf "$compiler" "$compiler.new"
  unpack_into "$compiler.new" "rustc-web=$version" "$std=$version" "$llvm" \
    "libstd-rust-web-dev:amd64=$version" "libstd-rust-web-dev:arm64=$version"
  # Finds itself, so that a checkout may be moved.
  cat >"$compiler.new/rustc" <<END
#!/bin/sh
usr=\$(dirname "\$0")/usr
LD_LIBRARY_PATH=\$usr/lib/$(uname -m)-linux-gnu exec "\$usr/bin/rustc" --sysroot "\$usr" "\$@"
END
  chmod +x "$compiler.new/rustc"
  mv "$compiler.new" "$compiler"
  rm -rf "$folder/apt"
}
[ -x "$compiler/rustc" ] || unpack_compiler
unset APT_CONFIG

# A linker per architecture. No dependency of the node programs has C code; of the stand-in's, ring and zstd have, and
# find the C compiler by the same name.
for machine in x86_64 aarch64; do
  name=CARGO_TARGET_${machine^^}_UNKNOWN_LINUX_GNU_LINKER linker=cc
  [ "$machine" = "$(uname -m)" ] || linker=$machine-linux-gnu-gcc
  export "$name=$linker"
done
# Small is what they should be: every machine reads them at every boot. Tests take what cargo makes in a third of the time.
# A panic in either ends the program, which nothing catches: there is nothing to unwind for.
export CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 CARGO_PROFILE_RELEASE_PANIC=abort
RUSTC=$compiler/rustc cargo build --release --locked --target-dir "$folder" -p firstboot --bins \
  --target x86_64-unknown-linux-gnu --target aarch64-unknown-linux-gnu
[ "${2-}" = stand-in ] || exit 0
# Size and speed of the stand-in matter to nobody, the time it takes to compile does.
unset CARGO_PROFILE_RELEASE_LTO CARGO_PROFILE_RELEASE_CODEGEN_UNITS CARGO_PROFILE_RELEASE_PANIC
RUSTC=$compiler/rustc cargo build --release --locked --target-dir "$folder" -p k3s-standin --bins \
  --target x86_64-unknown-linux-gnu --target aarch64-unknown-linux-gnu
