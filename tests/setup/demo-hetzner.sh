#!/usr/bin/env bash
# The demo of the cloud: from a token to a cluster and back to nothing, at the Hetzner simulator, whose servers are QEMU
# machines on this computer. k3s is the tests' stand-in, which runs no containers.
set -euo pipefail
cd "$(dirname "$0")/../.."
cluster=${DEMO_DIR:-$PWD/demo-hetzner} program=$(realpath -s "$PROGRAMS")/imgbuild
export XDG_CONFIG_HOME=${DEMO_CONFIG:-$PWD/target/demo-config}
step() { printf '\n== %s (%d s so far)\n' "$1" "$SECONDS"; }
. tests/setup/hetzner-api.sh
if [ "${1-}" != inside ]; then
  step "1/7 installing what is missing, compiling"
  tests/setup/install.sh demo-hetzner
  # The tests have compiled everything.
  [ -n "${DEMO_COMPILED-}" ] || cargo build --release --locked --target "$TRIPLE" -p imgbuild -p firstboot -p k3s-standin -p hetzner-machines
  step "2/7 writing the cluster file, making keys"
  [ -e "$cluster/cluster.toml" ] || "$program" init "$cluster"
  cd "$cluster"
  if ! grep -q '^\[hetzner\]' cluster.toml; then
    sed -i -e 's/^# private-range/private-range/' -e '0,/^role = "control-plane".*/s//&\nprivate-address = "10.0.0.2"/' cluster.toml
    printf '\n[hetzner]\nlocation = "fsn1"\nserver-type = "cx23"\ndns-zone = "example.org"\n' >>cluster.toml
  fi
  step "3/7 building the image"
  "${program%/*}/k3s-standin" pack k3s-stand-in
  "$program" build cloud --without-artifacts --artifact k3s=k3s-stand-in
  PROGRAMS=${program%/*} exec "${program%/*}/hetzner-machines" --folder simulator -- "$OLDPWD/tests/setup/demo-hetzner.sh" inside
fi
cd "$cluster"
simulator POST /v1/zones '{"name": "example.org", "mode": "primary"}' >/dev/null
step "4/7 uploading the image by a server's rescue system"
"$program" cloud --yes
step "5/7 making the cluster"
"$program" up --yes --operator-address 198.18.0.1
step "6/7 switching an edge box on, behind a NAT"
"$program" boot out/cloud-amd64 --node edge1 --report
"$program" status
step "7/7 removing all of it"
"$program" down --yes --addresses --snapshots
simulator DELETE /v1/zones/example.org '' >/dev/null
left=$(simulator GET /_simulator/resources '')
grep -q '"id"' <<<"$left" && { echo "left behind: $left" >&2; exit 1; }
echo "Nothing is left at the simulator. The demo took $SECONDS s since it entered the simulator's network."
