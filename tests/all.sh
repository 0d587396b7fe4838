#!/usr/bin/env bash
# Installs what is missing and runs every test. The last line is `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never

if ! command -v cargo >/dev/null; then
  echo "cargo is missing: install Rust 1.95 or newer, then run this again" >&2
  exit 1
fi
if ! command -v cc >/dev/null; then
  # the TLS library has parts in C
  apt-get update -qq && apt-get install -y -qq gcc libc6-dev || exit 1
fi

passed=0 failed=0 skipped=0 notes=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# step NAME COMMAND…: shows the output and adds up what Rust's test runner reports in it, or a script
# of ours in its last line; a command that reports nothing counts as one test.
step() {
  local name=$1; shift
  printf '\n== %s\n' "$name"
  "$@" 2>&1 | tee "$log"
  local code=${PIPESTATUS[0]}
  local sums
  sums=$(awk '/^test result:/ { for (i = 2; i <= NF; i++) {
      if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1); if ($i == "ignored;") s += $(i-1) } n++ }
      /^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3; n++ }
      END { print n + 0, p + 0, f + 0, s + 0 }' "$log")
  read -r results p f s <<<"$sums"
  if ((results == 0)); then
    if ((code == 0)); then p=1; else f=1; fi
  elif ((code != 0 && f == 0)); then
    # the runner itself failed: it did not compile, or it was killed
    f=1
  fi
  ((passed += p, failed += f, skipped += s))
  if ((s > 0)); then notes+=("$name: $(grep -E '^test .* ignored' "$log" | tr '\n' ';')"); fi
  return 0
}

step "unit, integration and crash tests" cargo test --locked --features failpoints --no-fail-fast
step "benches run once" cargo test --locked --features failpoints --bench event --bench ingest --bench journal --bench receipts \
  --bench isolation --bench arrears --bench scale --bench console -- --test
step "every fuzz target, ${FUZZ_SECONDS:-60} s each" tests/fuzz.sh
SOAK_SECONDS=${SOAK_SECONDS:-20} step "a short soak" tests/soak.sh
step "a session of the four guides" tests/tokens.sh
step "official SDKs and curl" tests/clients/run.sh
step "dashboard, alerts and runbooks" tests/observability.sh
step "the console in a browser" tests/browser/run.sh
step "units, image, manifests and package" tests/deploy.sh
step "the servers that speed is compared with run once" benches/peers.sh --test
step "the demo of the README" cargo run --locked -- demo --once

printf '\n'
for note in "${notes[@]+"${notes[@]}"}"; do printf 'skipped: %s\n' "$note"; done
if ((skipped > 0)); then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
((failed == 0))
