#!/usr/bin/env bash
# The demo: from nothing to firstboot's plan on the console of a booted image.
set -euo pipefail
cd "$(dirname "$0")/../.."
cluster=${DEMO_DIR:-$PWD/demo-cluster}
program=$PWD/$PROGRAMS/imgbuild
started=$SECONDS

cat <<TEXT
The imgbuild demo. Rough times on two cores; the second run takes about two minutes.
  1. install what is missing: a C compiler, QEMU and its UEFI firmware, perhaps Rust   0-5 min
  2. compile imgbuild and the node programs                                            4-8 min
  3. write a cluster file, choose packages                                               10 s
  4. download 80 MB of Debian packages, build the image                                  20 s
  5. boot it in QEMU and show firstboot's plan; without KVM that is emulated            1-3 min
TEXT
step() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - started)); }

step "1/5 installing what is missing"
tests/setup/install.sh demo
step "2/5 compiling"
cargo build --release --locked --target "$TRIPLE" || { echo "the compile stopped; its reason is above" >&2; exit 1; }
step "3/5 writing the demo cluster"
[ -e "$cluster/cluster.toml" ] || "$program" init "$cluster"
"$program" -f "$cluster/cluster.toml" check
step "4/5 building the image"
"$program" -f "$cluster/cluster.toml" build cloud -o "$cluster/out/cloud"
step "5/5 booting it"
"$program" -f "$cluster/cluster.toml" boot "$cluster/out/cloud" --node cp1 --report

step "done"
"$program" size "$cluster/out/cloud"
du -sh "$cluster/out/cloud"/* | sed 's/^/  /'
echo "Built in $cluster/out/cloud; the whole demo took $((SECONDS - started)) s."
