#!/usr/bin/env bash
# Installs the Python programs that judge SBOMs, or those of another list, into a folder of their own:
# judges.sh FOLDER [LIST]
set -euo pipefail
list=$(dirname "$0")/${2:-judges.txt} folder=$1
cmp -s "$list" "$folder/judges.txt" && exit
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" --quiet --disable-pip-version-check install --requirement "$list"
cp "$list" "$folder/judges.txt"
