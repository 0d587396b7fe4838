#!/usr/bin/env bash
# Rules, dashboard and runbooks of deploy/, held to what the program really exports: promtool checks
# and tests the rules, a Prometheus scrapes a gateway with real traffic, and every expression of every
# rule and panel is evaluated there. Installs what is missing by apt-get. CAPIGATE_BIN names another
# program than the one that is built here. The last line is `N passed, N failed`; the exit code is 1
# when one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

missing=()
command -v prometheus >/dev/null || missing+=(prometheus)
command -v python3 >/dev/null || missing+=(python3-minimal)
if ((${#missing[@]} > 0)); then
  # Debian starts what it installs, unless a policy says no
  policy=/usr/sbin/policy-rc.d made=
  if [[ ! -e $policy ]]; then printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && made=yes; fi
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"
  installed=$?
  [[ -z $made ]] || rm -f $policy
  ((installed == 0)) || exit 1
fi

# shellcheck source=tests/tokens/lib.sh
source tests/tokens/lib.sh || exit 1
# shellcheck source=tests/scene/lib.sh
source tests/scene/lib.sh || exit 1
has_program || exit 1
SECONDS=0

# starts_prometheus: its address is in $prometheus then.
starts_prometheus() {
  local port
  port=$(free_port)
  cat >"$work/prometheus.yml" <<END
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["$PWD/deploy/alerts.yaml"]
scrape_configs:
  - job_name: capigate
    static_configs: [{ targets: ["$admin"] }]
END
  prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus" --log.level=warn \
    --web.listen-address="127.0.0.1:$port" >"$work/prometheus.log" 2>&1 &
  pids+=($!)
  prometheus=http://127.0.0.1:$port
  waits "Prometheus" has_scraped
}

# A second scrape of what the scene has left.
has_scraped() {
  request GET "$prometheus/api/v1/query?query=count_over_time(up%5B1m%5D)%3E1"
  [[ $body == *'"instance"'* ]]
}

faults=0
starts_scene
runs_scene
if ((faults > 0)); then
  cat "$work"/*.log
  echo "0 passed, 1 failed"
  exit 1
fi

step "promtool checks the rules" promtool check rules deploy/alerts.yaml
step "promtool tests the rules" promtool test rules deploy/alerts.test.yaml
step "Prometheus scrapes the gateway" starts_prometheus
python3 tests/observability/check.py "$prometheus" "http://$admin/metrics" "$capigate" | tee "$work/checks"
if ((PIPESTATUS[0] > 1)); then echo "not ok - check.py" >>"$work/checks"; fi
((passed += $(grep -c '^ok - ' "$work/checks")))
((failed += $(grep -c '^not ok - ' "$work/checks")))

echo "$passed passed, $failed failed"
((failed == 0))
