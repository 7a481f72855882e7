#!/usr/bin/env bash
# Installs the Python programs that judge the Hetzner simulator into a folder of their own: hetzner-judges.sh FOLDER
set -euo pipefail
list=$(dirname "$0")/hetzner-judges.txt folder=$1
cmp -s "$list" "$folder/judges.txt" && exit
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" --quiet --disable-pip-version-check install --requirement "$list"
cp "$list" "$folder/judges.txt"
