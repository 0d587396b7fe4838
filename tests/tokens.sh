#!/usr/bin/env bash
# The four guides that people follow to get a token of Meta's, done at a shell as a new user would:
# a pixel with a token of the Events Manager; a page's token; a login through the dialog; tokens of
# system users. The program is the real one, Facebook is `capigate sandbox`, and everything stays on
# loopback and in a directory that is removed at the end. CAPIGATE_BIN names another program than the
# one that is built here. The last line is `N passed, N failed`; the exit code is 1 when one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never LC_ALL=C.UTF-8

capigate=${CAPIGATE_BIN:-}
if [[ -z $capigate ]]; then
  if ! command -v cargo >/dev/null; then
    echo "cargo is missing: install Rust 1.95 or newer, or name a program with CAPIGATE_BIN" >&2
    exit 1
  fi
  cargo build --quiet --locked || exit 1
  capigate=${CARGO_TARGET_DIR:-target}/debug/capigate
fi
capigate=$(realpath "$capigate") || exit 1
SECONDS=0

# shellcheck source=tests/tokens/lib.sh
source tests/tokens/lib.sh || exit 1
for part in facebook first dataset page login system_user vault; do
  # shellcheck source=/dev/null
  source "tests/tokens/$part.sh" || exit 1
done

# a copy that nobody builds anew meanwhile
cp "$capigate" "$work/capigate" && capigate=$work/capigate
mkdir "$work/bin"
: >"$work/pieces" >"$work/said"
for value in "$app_secret" "$other_secret"; do secret "$value" 8; done
while read -r value; do secret "$value"; done < <(sed -n 's/^value = "\(.*\)"$/\1/p' tests/tokens/world.toml)

faults=0
starts tests/tokens/world.toml
if ((faults > 0)); then
  cat "$work"/sandbox.*
  echo "0 passed, 1 failed"
  exit 1
fi

first_steps
dataset_guide
page_guide
login_guide
system_user_guide
vault_care
last_words

echo "$passed passed, $failed failed"
((failed == 0))
