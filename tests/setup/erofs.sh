#!/usr/bin/env bash
# Makes mkfs.erofs and fsck.erofs of Debian 13 callable from target/oracles, where the host's are older
# than 1.8 and know no zstd. Nothing is installed: packages of trixie are unpacked there and run by
# their own loader.
set -euo pipefail
cd "$(dirname "$0")/../.."
oracles=$PWD/target/oracles
# The first word that looks like a version: 1.5 prints more before it.
version() { PATH=$PATH:/usr/sbin:/sbin fsck.erofs --version 2>&1 | grep -o '[0-9]\+\.[0-9.]\+' | head -1; }
new_enough() { [ -n "$1" ] && printf '%s\n' 1.8 "$1" | sort -CV; }
if new_enough "$(version || true)" || [ -x "$oracles/bin/fsck.erofs" ]; then exit; fi

state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state"/{lists/partial,archives/partial,etc,preferences} && touch "$state/status"
# The mirror that this host uses already, in either form of its sources.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
  grep -o 'https\?://[^ ]*/debian/\?\( \|$\)' | head -1 | tr -d ' ' || true)
key=$PWD/builder/src/archive/keys/debian-archive-trixie-automatic.asc
echo "deb [signed-by=$key] ${mirror:-http://deb.debian.org/debian} trixie main" >"$state/etc/sources.list"
# Of the host's settings only its proxy and the like are wanted; folders and sources are our own.
options=(-qq -o "Dir::State=$state" -o "Dir::State::status=$state/status" -o "Dir::Cache=$state"
  -o "Dir::Etc::sourcelist=$state/etc/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::Etc::preferencesparts=$state/preferences"
  -o APT::Sandbox::User= -o APT::Install-Recommends=false -o Debug::NoLocking=true)
echo "unpacking erofs-utils of Debian 13 in target/oracles"
apt-get "${options[@]}" update
apt-get "${options[@]}" -y --download-only install erofs-utils >/dev/null
new=$oracles.partial
rm -rf "$new" && mkdir -p "$new/bin"
for package in "$state"/archives/*.deb; do dpkg-deb -x "$package" "$new/root"; done
libraries=$(cd "$new/root" && echo usr/lib/*-linux-gnu*)
loader=$(cd "$new/root" && find usr/lib -name 'ld-linux*.so.*' | head -1)
for tool in mkfs.erofs fsck.erofs; do
  cat >"$new/bin/$tool" <<TOOL
#!/bin/sh
exec "$oracles/root/$loader" --library-path "$oracles/root/$libraries" "$oracles/root/usr/bin/$tool" "\$@"
TOOL
  chmod +x "$new/bin/$tool"
done
rm -rf "$oracles" && mv "$new" "$oracles"
