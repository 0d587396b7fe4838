#!/usr/bin/env bash
# Builds the fuzz targets and runs each for FUZZ_SECONDS (60), two at a time, on stable Rust. New inputs
# are not kept; one that makes a target fail is left in fuzz/artifacts. The last line is
# `N passed, M failed`. With names as arguments only those targets run.
set -uo pipefail
cd "$(dirname "$0")/../fuzz"
export CARGO_TERM_COLOR=never
seconds=${FUZZ_SECONDS:-60}

if ! command -v c++ >/dev/null; then
  # libFuzzer is C++
  apt-get update -qq && apt-get install -y -qq g++ || exit 1
fi

# the coverage that libFuzzer steers by; with --target, so that build scripts and macros do without
coverage=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing)
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="${coverage[*]}" cargo build --locked --release --target "$host" || { echo "0 passed, 1 failed"; exit 1; }

targets=("$@")
if ((${#targets[@]} == 0)); then
  mapfile -t targets < <(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p artifacts

# run TARGET: one line about it, and a file in $work if it failed
run() {
  local target=$1 log=$work/$1.log
  mkdir -p "$work/$target"
  if "target/$host/release/$target" "$work/$target" "corpus/$target" -max_total_time="$seconds" \
    -rss_limit_mb=1024 -timeout=10 -max_len=16384 -artifact_prefix="artifacts/$target-" \
    -print_final_stats=1 >"$log" 2>&1; then
    printf '%-18s ok, %s runs, %s\n' "$target" "$(awk '/number_of_executed_units/ { print $2 }' "$log")" \
      "$(grep -oE 'cov: [0-9]+' "$log" | tail -1)"
  else
    touch "$work/$target.failed"
    printf '%-18s FAILED\n%s\n' "$target" "$(tail -40 "$log")"
  fi
}

for target in "${targets[@]}"; do
  while (($(jobs -rp | wc -l) >= 2)); do wait -n; done
  run "$target" &
done
wait
failed=$(find "$work" -name '*.failed' | wc -l)
echo "$((${#targets[@]} - failed)) passed, $failed failed"
((failed == 0))
