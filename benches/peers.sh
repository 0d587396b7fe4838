#!/usr/bin/env bash
# The same load on capigate, on a Node server that is built on Meta's official SDK, on Vector and on
# bare hyper; prints one table. `--test` runs everything once in seconds and measures nothing.
# Installs what the Node server needs from npm into the target directory, and Node and npm by
# apt-get; with `--test` only if both are there. VECTOR_BIN names the program of Vector, CAPIGATE_BIN
# another capigate than the one that is built here.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never

once=
case ${1-} in
'') ;;
--test) once=1 ;;
*)
  echo "unknown argument: give --test or nothing" >&2
  exit 1
  ;;
esac

if ! command -v cargo >/dev/null; then
  echo "cargo is missing: install Rust 1.95 or newer, then run this again" >&2
  exit 1
fi
if [[ -n ${VECTOR_BIN-} && ! -x $VECTOR_BIN ]]; then
  echo "VECTOR_BIN must name the program of Vector; there is none at that path" >&2
  exit 1
fi
has_node() { command -v node >/dev/null && command -v npm >/dev/null; }
if ! has_node && [[ -z $once ]]; then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs npm
fi
if has_node && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then
  PEERS_NODE=$(realpath -m "${CARGO_TARGET_DIR:-target}")/peers/node
  export PEERS_NODE
  mkdir -p "$PEERS_NODE"
  cp benches/peers/node/{.npmrc,package.json,package-lock.json,server.mjs} "$PEERS_NODE"
  if ! cmp -s "$PEERS_NODE/package-lock.json" "$PEERS_NODE/installed"; then
    if npm ci --silent --prefix "$PEERS_NODE"; then
      cp "$PEERS_NODE/package-lock.json" "$PEERS_NODE/installed"
    elif [[ -n $once ]]; then
      echo "npm could not install the packages of the Node server, which does not run then" >&2
      unset PEERS_NODE
    else
      echo "npm could not install the packages of the Node server: is the registry in reach?" >&2
      exit 1
    fi
  fi
elif [[ -z $once ]]; then
  echo "the Node server needs Node 20 or newer: install it, then run this again" >&2
  exit 1
fi

if [[ -n $once ]]; then
  # as the tests are built
  cargo test --locked --features failpoints --bench peers -- --test
else
  cargo bench --locked --bench peers
fi
