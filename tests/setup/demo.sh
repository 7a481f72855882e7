#!/usr/bin/env bash
# The demo: from nothing to firstboot's plan on the console of a booted image.
set -euo pipefail
cd "$(dirname "$0")/../.."
cluster=${DEMO_DIR:-$PWD/demo-cluster}
image=$cluster/out/cloud-amd64
program=$PWD/$PROGRAMS/imgbuild
missing=$(tests/setup/install.sh demo --list)

cat <<TEXT
The imgbuild demo. Times are for two cores; a second run needs no network and takes 2 minutes.
  1. install Debian packages: ${missing:-none is missing}
       up to 500 MB, needs root                                                   0-4 min
  2. compile imgbuild and the node programs
       60 MB of Rust crates                                                       5-8 min
  3. write a cluster file and check it                                                1 s
  4. choose packages and build the image
       90 MB of Debian packages, kept in ~/.cache/imgbuild                           30 s
       without k3s and the other artifacts, which are not started yet
  5. boot it in QEMU and show firstboot's plan; without KVM that is emulated      1-3 min
Everything else stays in target/ and in $cluster; 'make clean' removes both.
TEXT
begun=$SECONDS
# The key of the demo's identity is none of the user's own.
export XDG_CONFIG_HOME=$PWD/target/demo-config
step() { printf '\n== %s (%d s so far)\n' "$1" $((SECONDS - begun)); }

step "1/5 installing what is missing"
tests/setup/install.sh demo
step "2/5 compiling"
cargo build --release --locked --target "$TRIPLE"
step "3/5 writing the cluster file"
[ -e "$cluster/cluster.toml" ] || "$program" init "$cluster"
cd "$cluster"
"$program" check
step "4/5 building the image"
"$program" build cloud --without-artifacts
step "5/5 booting it as node cp1"
"$program" boot "$image" --node cp1 --report

step "built"
"$program" size "$image" | sed -n '1,/^$/p'
echo "$image, with what each file takes here (disk.raw is sparse):"
(cd "$image" && du -h -- *) | sed 's/^/  /'
seconds=$(sed -n 's/^  "seconds": \([0-9.]*\).*/\1/p' "$image/build.json")
printf 'The image was built in %.1f s; the demo took %d s.\n' "$seconds" $((SECONDS - begun))
echo "Next: docs/guide/your-first-image.md"
