#!/usr/bin/env bash
# Makes mkfs.erofs and fsck.erofs of Debian 13 callable in target/oracles/bin where the host's are older: those of
# Debian 12 know no zstd. Nothing is installed: packages are unpacked there and run by their own loader.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/setup/private-apt.sh
oracles=$PWD/target/oracles
# Versions before 1.6 take no --version and say it in no other way.
version=$(PATH=$PATH:/usr/sbin:/sbin fsck.erofs --version 2>/dev/null | grep -om1 '[0-9]\+\.[0-9]\+' || echo 1)
if printf '%s\n' 1.8 "$version" | sort -CV || [ -x "$oracles/bin/fsck.erofs" ]; then exit; fi

echo "unpacking erofs-utils of Debian 13 in target/oracles"
new=$oracles.partial
rm -rf "$new"
mkdir -p "$new/bin"
private_apt "$new/apt" "$(dpkg --print-architecture)" trixie
mapfile -t packages < <(apt-get -s --no-install-recommends install erofs-utils | awk '/^Inst/ {print $2}')
unpack_into "$new/root" "${packages[@]}"
rm -rf "$new/apt"
libraries=$(cd "$new/root" && echo usr/lib/*-linux-gnu*)
loader=$(cd "$new/root" && find usr/lib -name 'ld-linux*.so.*' | head -1)
for tool in mkfs.erofs fsck.erofs; do
  cat >"$new/bin/$tool" <<TOOL
#!/bin/sh
exec "$oracles/root/$loader" --library-path "$oracles/root/$libraries" "$oracles/root/usr/bin/$tool" "\$@"
TOOL
  chmod +x "$new/bin/$tool"
done
rm -rf "$oracles"
mv "$new" "$oracles"
