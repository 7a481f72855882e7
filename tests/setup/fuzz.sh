#!/usr/bin/env bash
# Runs every fuzz target for SECONDS_EACH (60). What they find lies in target/fuzz/artifacts/.
set -euo pipefail
cd "$(dirname "$0")/../.."
fuzz=tests/fuzz seconds=${SECONDS_EACH:-60}
# A stable compiler takes the sanitizer's flags this way.
export RUSTC_BOOTSTRAP=1
cargo fuzz build --fuzz-dir $fuzz --target "$TRIPLE" --target-dir target/fuzz
for target in $(cargo fuzz list --fuzz-dir $fuzz); do
  corpus=target/fuzz/corpus/$target found=target/fuzz/artifacts/$target/
  mkdir -p "$corpus" "$found"
  printf '\n== %s for %s s\n' "$target" "$seconds"
  "target/fuzz/$TRIPLE/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="$found" "$corpus" "$fuzz/seeds/$target" ||
    { echo "input that shows it: the newest file in $found" >&2; exit 1; }
done
