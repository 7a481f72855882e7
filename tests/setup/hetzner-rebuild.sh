#!/usr/bin/env bash
# Inside the network of the Hetzner simulator's machines: a cluster with a worker and an edge, whose servers get other images.
# Begins in the folder of a cluster with the nodes cp1, worker1 and edge1, whose images lie built; the program is on PATH.
set -euo pipefail
# shellcheck source=tests/setup/hetzner-api.sh
. "$(dirname "$0")/hetzner-api.sh"
step() { printf '\n== %s (%d s so far)\n' "$1" "$SECONDS"; }
up() { # FILE: as its output stands there
  imgbuild up --yes --operator-address 198.18.0.1 2>&1 | tee "$1"
}
is_ready() { # NODE: asked for ten minutes
  for _ in {1..120}; do
    if imgbuild status 2>/dev/null | grep -q "^$1 .* Ready *\$"; then return; fi
    sleep 5
  done
  imgbuild status
  echo "$1 is not Ready" >&2
  return 1
}
is_in() { # FILE TEXT...: all texts stand in the file
  local file=$1 text
  shift
  for text; do
    grep -qF -- "$text" "$file" || { echo "$file does not say: $text" >&2; return 1; }
  done
}
simulator POST /v1/zones '{"name": "example.org", "mode": "primary"}' >/dev/null
step "a control plane and a worker"
imgbuild cloud --yes
up first.txt
is_in first.txt "worker1: Ready" "all cloud nodes are Ready"
step "an edge, which stays on"
imgbuild boot out/cloud-amd64 --node edge1 >edge1.txt 2>&1 </dev/null &
edge=$!
trap 'kill "$edge"; wait "$edge" || true' EXIT
is_ready edge1
step "all servers get another image"
sed -i '/^role = "\(control-plane\|worker\)"/a profile = "cloud-debug"' cluster.toml
up second.txt
is_in second.txt "/actions/rebuild" "server \`rebuild-cp1\`" "server \`rebuild-worker1\`" "worker1: Ready"
step "the edge comes back by itself"
is_ready edge1
kill -0 "$edge"
step "the worker alone gets the first image again, whose snapshot is there"
sed -i '/^name = "worker1"/,/^\[\[node\]\]/{/^profile/d}' cluster.toml
up third.txt
is_in third.txt "for amd64" "is there, snapshot" "worker1: Ready"
if grep -q "^+ server" third.txt || ! grep -q "^~ server *rebuild-worker1" third.txt || grep -q "^~ server *rebuild-cp1" third.txt; then
  echo "something else than the worker was changed" >&2
  exit 1
fi
is_ready worker1
is_ready edge1
step "down"
imgbuild down --yes --addresses --snapshots
imgbuild orphans | grep -x "no orphans"
