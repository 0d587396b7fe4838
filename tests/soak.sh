#!/usr/bin/env bash
# Runs the gateway under load while everything goes wrong that can, for SOAK_SECONDS (120), and
# then accounts for every event. SOAK_SEED repeats the choices of a run. The last line is
# `accepted=… delivered=… dead=… in_journal=… lost=0 repeated_unambiguously=0`, and the exit code 0,
# when all laws hold.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never SOAK_SECONDS=${SOAK_SECONDS:-120}
if ! command -v cargo >/dev/null; then
  echo "cargo is missing: install Rust 1.95 or newer, then run this again" >&2
  exit 1
fi
cargo test --quiet --locked --features failpoints --test soak --no-run || exit 1
# far beyond the longest time to drain: only a driver that hangs is cut
exec timeout $((SOAK_SECONDS + 170)) cargo test --quiet --locked --features failpoints --test soak
