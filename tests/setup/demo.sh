#!/usr/bin/env bash
# The demo: from nothing to a cluster of two machines, a control plane and an edge box, each on a network of its own.
# K3S=real takes the pinned release of k3s instead of the tests' stand-in, and never anything else in its place.
set -euo pipefail
cd "$(dirname "$0")/../.."
cluster=${DEMO_DIR:-$PWD/demo-cluster} port=${DEMO_PORT:-53820}
image=$cluster/out/cloud-amd64
program=$PWD/$PROGRAMS/imgbuild
missing=$(tests/setup/install.sh demo --list)
case ${K3S:-stand-in} in
  real) k3s="k3s' pinned release" artifacts=() compile=() ;;
  stand-in) k3s="a stand-in for k3s, which runs no containers" compile=(-p imgbuild -p firstboot -p k3s-standin)
    artifacts=(--without-artifacts --artifact "k3s=$cluster/k3s-stand-in" --artifact "argocd=$cluster/argocd.yaml") ;;
  *) echo "K3S is '$K3S', not 'real' or 'stand-in'" >&2; exit 2 ;;
esac

cat <<TEXT
The imgbuild demo. Times are for two cores; a second run needs no network and takes 6 minutes.
  1. install Debian packages: ${missing:-none is missing}
       up to 500 MB, needs root                                                   0-4 min
  2. compile imgbuild and the node programs
       60 MB of Rust crates                                                       6-9 min
  3. write a cluster file, make the cluster's keys                                   10 s
  4. choose packages and build the image
       90 MB of Debian packages, kept in ~/.cache/imgbuild                           30 s
       with ArgoCD's manifest and $k3s
  5. boot it twice in QEMU, as control plane cp1 and as edge box edge1, each behind a
     NAT of its own, until both are Ready; without KVM that is emulated           3-8 min
Everything else stays in target/ and in $cluster; 'make clean' removes both.
TEXT
begun=$SECONDS
# The key of the demo's identity is none of the user's own.
export XDG_CONFIG_HOME=$PWD/target/demo-config
step() { printf '\n== %s (%d s so far)\n' "$1" $((SECONDS - begun)); }

step "1/5 installing what is missing"
tests/setup/install.sh demo
step "2/5 compiling"
cargo build --release --locked --target "$TRIPLE" "${compile[@]}"
step "3/5 writing the cluster file, making keys"
[ -e "$cluster/cluster.toml" ] || "$program" init "$cluster"
cd "$cluster"
# A machine on QEMU's user network reaches this computer by that address.
sed -i -e "s/^endpoint = .*/endpoint = \"10.0.2.2\"/" -e "s/^\(# \)\?vpn-port = .*/vpn-port = $port/" cluster.toml
[ -e identity.age ] || "$program" identity create
"$program" check
step "4/5 building the image"
if [ ${#compile[@]} -gt 0 ]; then
  "${program%/*}/k3s-standin" pack k3s-stand-in
  zstd -dqf "$OLDPWD/tests/data/argocd-v3.5.1-install.yaml.zst" -o argocd.yaml
fi
"$program" build cloud "${artifacts[@]}"
step "5/5 booting it as cp1 and as edge1, with $k3s"
"$program" boot "$image" --node cp1 --node edge1 --report

step "built"
"$program" size "$image" | sed -n '1,/^$/p'
seconds=$(sed -n 's/^  "seconds": \([0-9.]*\).*/\1/p' "$image/build.json")
printf 'The image was built in %.1f s; the demo took %d s, with %s.\n' "$seconds" $((SECONDS - begun)) "$k3s"
echo "Next: docs/guide/your-first-image.md"
