#!/usr/bin/env bash
# Compiles once, then runs the suites of `make test` and prints what each took.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Programs are stripped: a backtrace of theirs names nothing and hides what an error says.
export RUST_LIB_BACKTRACE=0
names=(); times=()
suite() {
  local name=$1 started=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@"
  names+=("$name"); times+=($((SECONDS - started)))
}
# The same sources give the same bytes in any folder.
name_no_folder() {
  ! grep -lFa -e "$PWD/" -e "${CARGO_HOME:-$HOME/.cargo}/" "$PROGRAMS"/{imgbuild,firstboot,stage0} \
    target/nodes/*/release/{firstboot,stage0}
}
cargo=(cargo test --release --locked --target "$TRIPLE")
# Of every platform, as the test of the crates' list and `make check` look at them offline.
suite "crates" cargo fetch --locked
suite "compile" "${cargo[@]}" --workspace --no-run
suite "node programs" tests/setup/nodes.sh target/nodes
suite "judges of SBOMs" tests/setup/judges.sh target/judges
suite "judges of the Hetzner simulator" tests/setup/hetzner-judges.sh target/hetzner-judges
suite "programs for the tests" cargo build --release --locked --target "$TRIPLE" -p imgbuild -p firstboot -p hetzner-machines
suite "programs name no folder of this machine" name_no_folder
suite "units" "${cargo[@]}" --workspace --lib --bins
suite "programs" "${cargo[@]}" -p imgbuild -p firstboot --test '*'
# The whole workspace, lest dependencies be compiled with fewer features once more.
suite "k3s stand-in" "${cargo[@]}" --workspace --test k3s
suite "Hetzner simulator" "${cargo[@]}" --workspace --test hetzner
suite "README and guide" "${cargo[@]}" -p imgbuild-tests --test guide -- --nocapture --test-threads=1
suite "machines" "${cargo[@]}" -p imgbuild-tests --test core -- --nocapture --test-threads=1
printf '\n== suites\n'
for index in "${!names[@]}"; do printf '%6d s  %s\n' "${times[$index]}" "${names[$index]}"; done
