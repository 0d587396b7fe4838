#!/bin/sh
# What goes into the package besides the program: completions and manual pages, written by the program
# itself. deploy/debian/assets.sh target/release/capigate, then: cargo deb --no-build
set -eu
cd "$(dirname "$0")/../.."
out=target/deb
rm -rf "$out"
mkdir -p "$out/completions"
for shell in bash zsh fish; do
    "$1" completions "$shell" >"$out/completions/$shell"
done
"$1" man --out "$out/man" >/dev/null
