#!/usr/bin/env bash
# Installs the Python programs that judge the Hetzner simulator into a folder of their own: hetzner-judges.sh FOLDER
set -euo pipefail
exec "$(dirname "$0")/judges.sh" "$1" hetzner-judges.txt
