#!/usr/bin/env bash
# Makes a current kubectl callable as target/kubectl/bin/kubectl: an independent client of the k3s stand-in. Nothing is
# installed: Debian's package, of testing (trixie's is older than the k3s that is pinned), is unpacked there.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/setup/private-apt.sh
folder=$PWD/target/kubectl
if [ -x "$folder/bin/kubectl" ]; then exit; fi

echo "unpacking kubectl of Debian testing in target/kubectl"
new=$folder.partial
rm -rf "$new"
mkdir -p "$new/bin"
private_apt "$new/apt" "$(dpkg --print-architecture)" forky trixie
mapfile -t packages < <(apt-get -s --no-install-recommends install kubectl | awk '/^Inst/ {print $2}')
unpack_into "$new/root" "${packages[@]}"
rm -rf "$new/apt"
if loader=$(cd "$new/root" && find usr/lib -name 'ld-linux*.so.*' | head -1) && [ -n "$loader" ]; then
  libraries=$(cd "$new/root" && echo usr/lib/*-linux-gnu*)
  printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$folder/root/$loader" "$folder/root/$libraries" \
    "$folder/root/usr/bin/kubectl" >"$new/bin/kubectl"
  chmod +x "$new/bin/kubectl"
else
  ln -s ../root/usr/bin/kubectl "$new/bin/kubectl"
fi
rm -rf "$folder"
mv "$new" "$folder"
