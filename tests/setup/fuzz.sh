#!/usr/bin/env bash
# Runs every fuzz target for SECONDS_EACH (600, ten minutes). What they find lies in target/fuzz/artifacts/.
set -euo pipefail
cd "$(dirname "$0")/../.."
fuzz=tests/fuzz seconds=${SECONDS_EACH:-600}
# A stable compiler takes the sanitizer's flags this way.
export RUSTC_BOOTSTRAP=1
cargo fuzz build --fuzz-dir $fuzz --target "$TRIPLE" --target-dir target/fuzz
# Freed memory that the sanitizer holds back is not the target's.
export ASAN_OPTIONS=quarantine_size_mb=8
for target in $(cargo fuzz list --fuzz-dir $fuzz); do
  corpus=target/fuzz/corpus/$target found=target/fuzz/artifacts/$target/ log=target/fuzz/$target.log
  mkdir -p "$corpus" "$found"
  printf '%-14s %s s … ' "$target" "$seconds"
  "target/fuzz/$TRIPLE/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=256 \
    -artifact_prefix="$found" "$corpus" "$fuzz/seeds/$target" >"$log" 2>&1 ||
    { echo; tail -40 "$log"; echo "input that shows it: the newest file in $found" >&2; exit 1; }
  sed -nE 's/^#([0-9]+)[[:space:]]+DONE +cov: ([0-9]+) .* rss: ([0-9]+)Mb.*/\2 edges covered by \1 inputs in \3 MiB/p' "$log"
done
