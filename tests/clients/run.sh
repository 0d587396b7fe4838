#!/usr/bin/env bash
# Meta's official SDKs for Python and Node, as their registries have them, and the curl lines of
# Meta's documentation, against a gateway in front of `capigate sandbox`. Only the host is changed.
# Installs what is missing: by apt-get, from PyPI and from npm. What is installed for the suites is
# kept in the target directory. CAPIGATE_BIN names another program than the one that is built here.
# The last line is `N passed, N failed`; the exit code is 1 when one failed.
set -uo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TERM_COLOR=never LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

missing=()
command -v curl >/dev/null || missing+=(curl)
command -v zstd >/dev/null || missing+=(zstd)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if ((${#missing[@]} > 0)); then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" || exit 1
fi

target=${CARGO_TARGET_DIR:-target}
capigate=${CAPIGATE_BIN:-}
if [[ -z $capigate ]]; then
  if ! command -v cargo >/dev/null; then
    echo "cargo is missing: install Rust 1.95 or newer, or name a program with CAPIGATE_BIN" >&2
    exit 1
  fi
  cargo build --quiet --locked || exit 1
  capigate=$target/debug/capigate
fi
capigate=$(realpath "$capigate") || exit 1

venv=$target/clients/venv
[[ -x $venv/bin/pip ]] || python3 -m venv "$venv" || exit 1
"$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/clients/python/requirements.txt || exit 1
npm ci --silent --prefix tests/clients/node || exit 1

# shellcheck source=tests/tokens/lib.sh
source tests/tokens/lib.sh || exit 1
# shellcheck source=tests/clients/curl.sh
source tests/clients/curl.sh || exit 1
SECONDS=0

# a copy that nobody builds anew meanwhile
cp "$capigate" "$work/capigate" && capigate=$work/capigate
# lib.sh looks for secrets in what the program says; here nobody reads that
: >"$work/pieces"

readonly pixel=1234567890123456 other_pixel=2222222222222222
readonly key=EAAB-key-of-the-shop-1 strict_key=EAAB-key-of-a-strict-shop-1
readonly python_limited=EAAB-key-of-a-limited-shop-1 node_limited=EAAB-key-of-a-limited-shop-2

# starts_sandbox: its address is in $sandbox then.
starts_sandbox() {
  "$capigate" sandbox --listen 127.0.0.1:0 --token sandbox-token --pixel "$pixel" >"$work/sandbox.log" 2>&1 &
  pids+=($!)
  waits "the sandbox" grep -q '^listening on ' "$work/sandbox.log"
  sandbox=$(sed -n 's/^listening on //p' "$work/sandbox.log")
}

# write_config NAME [LINE]: the configuration of one gateway.
write_config() {
  local codes=
  # a gateway that has this key takes a client's test code only where it is set
  "$capigate" config reference | grep -q allow_test_event_code && codes='allow_test_event_code = true'
  cat >"$work/$1.toml" <<END
[listen]
ingest = "127.0.0.1:0"
admin = "127.0.0.1:0"
${2-}
[graph]
url = "$sandbox"
dialog_url = "$sandbox"
[journal]
dir = "$work/$1"
[lanes]
linger = "20ms"
rate = "1000/s"
rate_per_pixel = "1000/s"
[shutdown]
grace = "0s"
[telemetry]
log_format = "json"
[pixels.$pixel]
token = { env = "CLIENTS_TOKEN" }
[pixels.$other_pixel]
token = { env = "CLIENTS_TOKEN" }
[sources.shop]
keys = [{ env = "CLIENTS_KEY" }]
pixels = ["$pixel"]
rate = "100000/s"
$codes
[sources.strict]
keys = [{ env = "CLIENTS_STRICT_KEY" }]
pixels = ["$pixel"]
strict = true
[sources.limited]
keys = [{ env = "CLIENTS_PYTHON_LIMITED" }]
pixels = ["$pixel"]
rate = "1/s"
[sources.limited_too]
keys = [{ env = "CLIENTS_NODE_LIMITED" }]
pixels = ["$pixel"]
rate = "1/s"
END
}

# starts_gateway NAME: its addresses are in $ingest and $admin then.
starts_gateway() {
  local log=$work/$1.log ready
  env -i PATH=/usr/bin:/bin CLIENTS_TOKEN=sandbox-token CLIENTS_KEY="$key" CLIENTS_STRICT_KEY="$strict_key" \
    CLIENTS_PYTHON_LIMITED="$python_limited" CLIENTS_NODE_LIMITED="$node_limited" \
    "$capigate" serve --config "$work/$1.toml" >"$log" 2>&1 &
  pids+=($!)
  waits "the gateway $1" grep -q '"message":"gateway is ready"' "$log"
  ready=$(grep '"message":"gateway is ready"' "$log")
  [[ $ready =~ \"listen.ingest\":\"([^\"]+)\" ]] && ingest=${BASH_REMATCH[1]}
  [[ $ready =~ \"listen.admin\":\"([^\"]+)\" ]] && admin=${BASH_REMATCH[1]}
}

# suite COMMAND…: runs a suite with what it needs to know.
suite() {
  env -u REQUESTS_CA_BUNDLE -u CURL_CA_BUNDLE \
    CLIENTS_GATEWAY="$gateway" CLIENTS_GATEWAY_TLS="$gateway_tls" CLIENTS_SANDBOX="$sandbox" \
    CLIENTS_CERTIFICATE="$PWD/tests/tls/cert.pem" NODE_EXTRA_CA_CERTS="$PWD/tests/tls/cert.pem" \
    CLIENTS_PIXEL="$pixel" CLIENTS_OTHER_PIXEL="$other_pixel" CLIENTS_KEY="$key" \
    CLIENTS_STRICT_KEY="$strict_key" no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 "$@"
}

# number PATTERN: the number behind what the lines of the suite's log begin with, or 0.
number() {
  local found
  found=$(sed -nE "s/^$1([0-9]+).*/\1/p" "$work/suite.log" | tail -n 1)
  echo "${found:-0}"
}

# counts CODE PASSED FAILED: adds a suite up; one that broke without a failed test failed once.
counts() {
  local bad=$3
  if (($1 != 0 && bad == 0)) || (($2 + bad == 0)); then bad=1; fi
  ((passed += $2, failed += bad))
}

python_suite() {
  local ran bad
  suite CLIENTS_LIMITED_KEY="$python_limited" \
    "$venv/bin/python" -m unittest discover -v -s tests/clients/python 2>&1 | tee "$work/suite.log"
  local code=${PIPESTATUS[0]}
  ran=$(number 'Ran ')
  bad=$(($(number 'FAILED.*failures=') + $(number 'FAILED.*errors=')))
  # several parts of one test may have failed, and what comes after the tests
  counts "$code" $((ran > bad ? ran - bad : 0)) "$bad"
}

node_suite() {
  suite CLIENTS_LIMITED_KEY="$node_limited" node --test --test-reporter=tap tests/clients/node/*.test.mjs 2>&1 |
    tee "$work/suite.log"
  local code=${PIPESTATUS[0]}
  counts "$code" "$(number '# pass ')" "$(number '# fail ')"
}

# sum NAME: of a metric over its labels and both gateways.
sum() {
  local each
  for each in "${admins[@]}"; do
    request GET "http://$each/metrics"
    printf '%s\n' "$body"
  done | awk -v name="$1" '$1 ~ "^" name "([{]|$)" { sum += $2 } END { printf "%d\n", sum }'
}

is_idle() { (($(sum capigate_journal_records) == 0)); }

# Every event that was accepted is at the sandbox exactly once, and none of them broke a rule.
books_balance() {
  waits "the last event" is_idle
  request GET "$sandbox/sandbox/health"
  local accepted distinct violations
  accepted=$(member events_accepted) distinct=$(member events_distinct) violations=$(member violations)
  local said="accepted $(sum capigate_accepted_total), delivered $(sum capigate_delivered_total),"
  said+=" dead $(sum capigate_dead_total), arrived $accepted, different ones $distinct, violations $violations"
  echo "$said"
  ((accepted > 0)) || wrong "no event has arrived"
  [[ $said == "accepted $accepted, delivered $accepted, dead 0, arrived $accepted, different ones $accepted, violations 0" ]] ||
    wrong "that does not balance"
  request GET "$sandbox/sandbox/violations"
  ((violations == 0)) || echo "$body"
}

faults=0
starts_sandbox
write_config plain
write_config tls "tls = { cert = \"$PWD/tests/tls/cert.pem\", key = \"$PWD/tests/tls/key.pem\" }"
starts_gateway plain
gateway=http://$ingest admins=("$admin")
starts_gateway tls
gateway_tls=https://$ingest admins+=("$admin")
if ((faults > 0)); then
  cat "$work"/*.log
  echo "0 passed, 1 failed"
  exit 1
fi

printf '\n== curl, as Meta documents it\n'
curl_suite
printf '\n== facebook_business for Python\n'
python_suite
printf '\n== facebook-nodejs-business-sdk\n'
node_suite
printf '\n== what has arrived\n'
SECONDS=0
step "every accepted event has arrived exactly once, and none broke a rule" books_balance

echo "$passed passed, $failed failed"
((failed == 0))
