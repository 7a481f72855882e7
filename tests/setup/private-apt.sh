#!/usr/bin/env bash
# Sourced. apt with lists, cache and packages of its own: needs no root and leaves the system as it is.

# private_apt FOLDER ARCHITECTURE,... [SUITE...]: from then on apt-get and apt-cache know Debian's packages of
# these architectures, of SUITE or of the host's own suites, from the mirrors of the host's apt sources.
private_apt() {
  local work=$1 architectures=$2 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  shift 2
  rm -rf "$work"
  mkdir -p "$work"/{lists,archives}/partial
  : >"$work/status"
  cat >"$work/apt.conf" <<TEXT
Dir::State "$work"; Dir::State::status "$work/status"; Dir::Cache "$work";
Acquire::Languages "none"; APT::Sandbox::User "root";
TEXT
  export APT_CONFIG=$work/apt.conf
  apt-get -qq update
  # Of the host's sources only those that are Debian's own, whatever form they are written in.
  local mirrors
  # shellcheck disable=SC2016 # apt's own variables
  mirrors=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' | awk '$3 == "main"' | sort -u)
  [ -n "$mirrors" ] || { echo "no Debian mirror in the sources of apt" >&2; return 1; }
  if [ $# -gt 0 ]; then
    local mirror
    mirror=$(awk '$2 !~ /-security$/ {print $1; exit}' <<<"$mirrors")
    mirrors=$(printf "$mirror %s main\n" "$@")
  fi
  awk -v options="[arch=$architectures signed-by=$keyring]" '{print "deb", options, $0}' <<<"$mirrors" \
    >"$work/sources.list"
  cat >>"$work/apt.conf" <<TEXT
Dir::Etc::SourceList "$work/sources.list"; Dir::Etc::SourceParts "/dev/null";
APT::Architectures { "${architectures//,/\";\"}"; };
TEXT
  apt-get -qq update
}

# unpack_into FOLDER PACKAGE[=VERSION]...: downloads just these and unpacks them, without their dependencies.
unpack_into() {
  local folder=$1 debs
  shift
  debs=$(mktemp -d)
  (cd "$debs" && apt-get -qq download "$@")
  mkdir -p "$folder"
  for package in "$debs"/*.deb; do dpkg-deb -x "$package" "$folder"; done
  rm -rf "$debs"
}
