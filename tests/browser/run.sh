#!/usr/bin/env bash
# The console in a headless Chromium, Debian's: every page that its navigation links to and the pages
# behind those, at the width of a desktop and of a phone, light and dark, before a gateway with real
# traffic and the sandbox. A CSP violation, an error in the browser's console, what axe finds, a page
# that scrolls sideways or cannot be used by the keyboard, and any secret shown is a failure.
# Screenshots are kept in target/browser. Installs what is missing: by apt-get and from npm.
# CAPIGATE_BIN names another program than the one that is built here. The last line is
# `N passed, N failed`; the exit code is 1 when one failed.
set -uo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TERM_COLOR=never LC_ALL=C.UTF-8

missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if ((${#missing[@]} > 0)); then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" || exit 1
fi
npm ci --silent --no-audit --no-fund --prefix tests/browser || exit 1

# shellcheck source=tests/tokens/lib.sh
source tests/tokens/lib.sh || exit 1
# shellcheck source=tests/scene/lib.sh
source tests/scene/lib.sh || exit 1
has_program || exit 1

starts_scene
runs_scene
if ((faults > 0)); then
  cat "$work"/*.log
  echo "0 passed, 1 failed"
  exit 1
fi

tokens=$(sed -n 's/^value = "\(.*\)"$/"\1"/p' tests/scene/world.toml | paste -sd,)
shots=${CARGO_TARGET_DIR:-target}/browser
rm -rf "$shots"
BROWSER_CONSOLE=http://$admin BROWSER_SHOTS=$shots BROWSER_PROFILE=$work/profile BROWSER_CHROMIUM=$(command -v chromium) \
  BROWSER_ADMIN_KEY=$admin_key BROWSER_VIEW_KEY=$view_key BROWSER_SHOP_KEY=$shop_key BROWSER_EMAIL=$canary \
  BROWSER_IP=$canary_ip BROWSER_AGENT=$canary_agent BROWSER_TOKENS="[$tokens]" \
  BROWSER_INGEST=http://$ingest BROWSER_PIXELS="[\"$shop\",\"$outlet\",\"$blog\",\"$tills\"]" \
  no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 \
  node tests/browser/console.mjs | tee "$work/checks"
code=${PIPESTATUS[0]}
((passed += $(grep -c '^ok - ' "$work/checks")))
((failed += $(grep -c '^not ok - ' "$work/checks")))
# it broke without a check that failed
if ((code != 0 && failed == 0)); then failed=1; fi

echo "$passed passed, $failed failed"
((failed == 0))
