#!/usr/bin/env bash
# What is in deploy/, tried out as far as a machine without a running systemd, Docker or Kubernetes can:
# the units by systemd's own checks and by what the program really calls; socket activation; the image's
# root, user, variables and health check in a chroot; the manifests against published schemas; the package,
# built, installed into an empty root and removed; completions, manual pages, backups as root. Installs what
# is missing: by apt-get, from PyPI, from npm, and cargo-deb. CAPIGATE_BIN names another program than the
# one that is built here. The last line is `N passed, N failed`; the exit code is 1 when one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 SYSTEMD_COLORS=0

readonly cargo_deb=3.8.0
# `systemd-analyze security` of the unit, in tenths; systemd calls up to 2.0 safe
readonly most_exposure=11

missing=()
command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v strace >/dev/null || missing+=(strace)
command -v pgrep >/dev/null || missing+=(procps)
command -v mandoc >/dev/null || missing+=(mandoc)
command -v strip >/dev/null || missing+=(binutils)
command -v fish >/dev/null || missing+=(fish)
command -v zsh >/dev/null || missing+=(zsh)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if ((${#missing[@]} > 0)); then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || exit 1
fi
if ! command -v cargo >/dev/null; then
  echo "cargo is missing: install Rust 1.95 or newer" >&2
  exit 1
fi

target=${CARGO_TARGET_DIR:-target}
capigate=${CAPIGATE_BIN:-}
if [[ -z $capigate ]]; then
  cargo build --quiet --locked || exit 1
  capigate=$target/debug/capigate
fi
capigate=$(realpath "$capigate") || exit 1

tools=$target/deploy
mkdir -p "$tools" && tools=$(realpath "$tools")
[[ -x $tools/venv/bin/pip ]] || python3 -m venv "$tools/venv" || exit 1
"$tools/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/deploy/requirements.txt || exit 1
npm ci --silent --prefix tests/deploy/node || exit 1
if ! "$tools/bin/cargo-deb" --version 2>/dev/null | grep -qxF "$cargo_deb"; then
  cargo install --quiet --locked --root "$tools" --version "$cargo_deb" --no-default-features cargo-deb || exit 1
fi

# shellcheck source=tests/tokens/lib.sh
source tests/tokens/lib.sh || exit 1
: >"$work/pieces"
chmod 0711 "$work"
SECONDS=0
# a copy that nobody builds anew meanwhile; without its debug information, as in a package
cp "$capigate" "$work/capigate" && strip "$work/capigate" && chmod 0755 "$work/capigate" || exit 1
capigate=$work/capigate
python=$tools/venv/bin/python
readonly pixel=1234567890123456 uid=10001

starts_sandbox() {
  "$capigate" sandbox --listen 127.0.0.1:0 --token sandbox-token --pixel "$pixel" >"$work/sandbox.log" 2>&1 &
  pids+=($!)
  waits "the sandbox" grep -q '^listening on ' "$work/sandbox.log"
  sandbox=$(sed -n 's/^listening on //p' "$work/sandbox.log")
}

# configures DIR: a configuration for the gateway in DIR/capigate.toml, with its data in DIR/data.
configures() {
  mkdir -p "$1/data"
  ingest=$(free_port) admin=$(free_port)
  cat >"$1/capigate.toml" <<TOML
[listen]
ingest = "127.0.0.1:$ingest"
admin = "127.0.0.1:$admin"
[journal]
dir = "${2:-$1}/data/journal"
segment_bytes = "1MiB"
[lanes]
linger = "10ms"
[graph]
url = "$sandbox"
[shutdown]
grace = "0s"
[pixels.$pixel]
token = { env = "TOKEN" }
[sources.shop]
keys = [{ env = "KEY" }]
pixels = ["$pixel"]
TOML
  chmod 0644 "$1/capigate.toml"
  chmod 0755 "$1"
}

# accepts PORT ID: an event is posted, and answered with 200.
accepts() {
  local event
  event='{"event_name":"Purchase","event_time":'$(date +%s)',"event_id":"'$2'","action_source":"website",
    "event_source_url":"https://shop.example/","user_data":{"em":"jane@example.com","client_user_agent":"t"},
    "custom_data":{"value":1,"currency":"EUR"}}'
  request POST "http://127.0.0.1:$1/v26.0/$pixel/events" "{\"data\":[$event]}" "authorization: Bearer the-key" || return 1
  [[ $status == 200 ]] || wrong "answered $status: $body"
}

# delivered ID: whether the simulated Graph has it.
delivered() {
  request GET "$sandbox/sandbox/ledger" && [[ $body == *"$1"* ]]
}

is_ready() {
  "$capigate" health --admin "http://127.0.0.1:$admin" >/dev/null 2>&1
}

# ends PID: asks it to stop, and wants a good end.
ends() {
  kill "$1"
  wait "$1"
  local ended=$?
  ((ended == 0)) || wrong "it ended with $ended"
}

units_are_understood() {
  mkdir -p "$work/units"
  sed "s|/usr/bin/capigate|$capigate|" deploy/capigate.service >"$work/units/capigate.service"
  cp deploy/capigate.socket "$work/units"
  systemd-analyze verify --man=no "$work/units/capigate.service" "$work/units/capigate.socket" 2>&1 | tee "$work/verify"
  [[ ! -s $work/verify ]] || wrong "systemd-analyze verify complains"
}

unit_is_hardened() {
  systemd-analyze security --offline=true --no-pager --threshold="$most_exposure" deploy/capigate.service >"$work/security" 2>&1 ||
    wrong "the unit is too exposed"
  grep '✗' "$work/security"
  grep 'Overall exposure' "$work/security" | tee "$work/exposure"
}

unit_allows_what_the_program_does() {
  local dir=$work/traced traced
  configures "$dir"
  chown -R "$uid:$uid" "$dir/data"
  TOKEN=sandbox-token KEY=the-key strace -f -qq -o "$work/trace" \
    setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs --bounding-set=-all \
    "$capigate" serve --config "$dir/capigate.toml" >"$work/traced.log" 2>&1 &
  pids+=($!)
  traced=$!
  waits "the gateway" is_ready
  accepts "$ingest" traced-1
  waits "the delivery" delivered traced-1
  local own
  own=$(pgrep -P "$traced" -x capigate)
  # a file that changes, a reload by a signal, and the end
  echo '# changed' >>"$dir/capigate.toml"
  kill -HUP "$own"
  sleep 1
  kill -TERM "$own"
  wait "$traced" || wrong "it ended with $?: $(tail -3 "$work/traced.log")"
  "$python" tests/deploy/files.py syscalls "$work/trace"
}

sockets_are_taken_over() {
  local dir=$work/socket
  configures "$dir"
  local port
  port=$(free_port)
  local socket
  # the program is started with the first connection
  TOKEN=sandbox-token KEY=the-key systemd-socket-activate --listen="127.0.0.1:$port" --fdname=ingest \
    --setenv=TOKEN --setenv=KEY "$capigate" serve --config "$dir/capigate.toml" >"$work/socket.log" 2>&1 &
  socket=$!
  pids+=("$socket")
  waits "the socket" grep -q 'Listening on' "$work/socket.log"
  accepts "$port" by-socket-1
  waits "the delivery" delivered by-socket-1
  waits "readiness" is_ready
  ! (: <>"/dev/tcp/127.0.0.1/$ingest") 2>/dev/null || wrong "it listens on listen.ingest as well"
  ends "$socket"
}

# The image's root file system as the Dockerfile makes it, owned by root, and the program as its user.
image_runs_with_a_root_it_cannot_write() {
  "$python" tests/deploy/files.py dockerfile "$work/image" || return 1
  local root=$work/root user
  user=$(<"$work/image/user")
  mkdir -p "$root"/usr/bin "$root"/etc/capigate "$root"/etc/ssl "$root"/var/lib/capigate
  cp "$capigate" "$root/usr/bin/capigate"
  local library
  for library in $(ldd "$capigate" | grep -o '/[^ ]*'); do
    mkdir -p "$root${library%/*}"
    cp -L "$library" "$root$library"
  done
  mkdir -p "$root/etc/ssl/certs"
  [[ ! -d /etc/ssl/certs ]] || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs" 2>/dev/null || true
  configures "$work/image"
  # the addresses are this test's, all else is the image's
  cp "$work/image/capigate.toml" "$root/etc/capigate/capigate.toml"
  chmod 0700 "$root/var/lib/capigate" && chown "$user" "$root/var/lib/capigate"
  local words vars
  mapfile -t words <"$work/image/start.args"
  mapfile -t vars < <(grep -v '^CAPIGATE__LISTEN__' "$work/image/image.env")
  grep -qx 'CAPIGATE__LISTEN__INGEST=0.0.0.0:8080' "$work/image/image.env" || wrong "the image listens elsewhere"
  find "$root" -path "$root/var/lib/capigate" -prune -o -printf '%p %m %u %T@\n' | sort >"$work/before"
  env -i "${vars[@]}" PATH=/usr/bin:/usr/sbin CAPIGATE__LISTEN__INGEST="127.0.0.1:$ingest" CAPIGATE__LISTEN__ADMIN="127.0.0.1:$admin" \
    TOKEN=sandbox-token KEY=the-key \
    setpriv --bounding-set=-all,+sys_chroot,+setuid,+setgid chroot --userspec="$user" --groups='' "$root" "${words[@]}" >"$work/image.log" 2>&1 &
  local pid=$!
  pids+=("$pid")
  waits "the gateway in its root" is_ready
  accepts "$ingest" in-image-1 || tail -3 "$work/image.log"
  waits "the delivery" delivered in-image-1
  mapfile -t words <"$work/image/health.args"
  health() {
    env -i "${vars[@]}" PATH=/usr/bin:/usr/sbin CAPIGATE__LISTEN__ADMIN="127.0.0.1:$admin" \
      chroot --userspec="$user" --groups='' "$root" "${words[@]}"
  }
  health || wrong "the health check fails beside a healthy gateway"
  ends "$pid"
  ! health 2>/dev/null || wrong "the health check succeeds without a gateway"
  find "$root" -path "$root/var/lib/capigate" -prune -o -printf '%p %m %u %T@\n' | sort >"$work/after"
  diff "$work/before" "$work/after" || wrong "it has written outside of its volume"
  local loose
  loose=$(find "$root/var/lib/capigate" \( -type f -not -perm 600 -o -type d -not -perm 700 \))
  [[ -z $loose ]] || wrong "not private: $loose"
}

compose_file_is_sound() {
  "$tools/venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml || wrong "not as the schema says"
  "$python" tests/deploy/files.py compose "$work/compose" || return 1
  "$capigate" config check --config "$work/compose/capigate.toml" || wrong "the gateway's configuration has faults"
  local settings words
  mapfile -t settings <"$work/compose/trial.env"
  env -i "${settings[@]}" "$capigate" config check || wrong "the trial's configuration has faults"
  # the sandbox's own words, but for its address
  mapfile -t words < <(sed "s/^0.0.0.0:8081$/127.0.0.1:0/" "$work/compose/sandbox.args")
  "$capigate" "${words[@]}" >"$work/compose/sandbox.log" 2>&1 &
  local pid=$!
  pids+=("$pid")
  waits "the sandbox of the compose file" grep -q '^listening on ' "$work/compose/sandbox.log"
  kill "$pid"
}

manifests_are_as_published_schemas_say() {
  "$tools/venv/bin/kubernetes-validate" --strict deploy/kubernetes/{namespace,configmap,service,statefulset,poddisruptionbudget,networkpolicy}.yaml \
    deploy/kubernetes/secret.example.yaml || wrong "not as the schemas say"
  local monitor='import json, yaml; print(json.dumps(yaml.safe_load(open("deploy/kubernetes/servicemonitor.yaml"))))'
  "$python" -c "$monitor" >"$work/monitor.json"
  node tests/deploy/node/servicemonitor.mjs <"$work/monitor.json" || wrong "the ServiceMonitor is not as its CRD says"
  # and the schema sees what is wrong
  ! sed 's/"endpoints": \[/"endpoints": [1, /' "$work/monitor.json" | node tests/deploy/node/servicemonitor.mjs 2>/dev/null ||
    wrong "the schema of the ServiceMonitor takes anything"
}

manifests_fit_together() {
  "$python" tests/deploy/files.py kubernetes "$work/kubernetes" || return 1
  "$capigate" config check --config "$work/kubernetes/capigate.toml" || wrong "the ConfigMap's configuration has faults"
}

shells_know_the_commands() {
  deploy/debian/assets.sh "$capigate" || return 1
  bash -c 'source target/deb/completions/bash && COMP_WORDS=(capigate hea) && COMP_CWORD=1 && _capigate capigate hea capigate && echo "${COMPREPLY[@]}"' |
    grep -qw health || wrong "bash completes nothing"
  zsh -n target/deb/completions/zsh || wrong "zsh does not read its completions"
  fish --no-config -c 'source target/deb/completions/fish; complete -C "capigate hea"' | grep -qw health || wrong "fish completes nothing"
}

manual_pages_are_sound() {
  local pages
  pages=(target/deb/man/*.1)
  ((${#pages[@]} > 40)) || wrong "only ${#pages[@]} pages"
  mandoc -T lint -W error "${pages[@]}" || wrong "mandoc finds errors"
  mandoc -T utf8 target/deb/man/capigate-serve.1 | grep -q 'Run the gateway' || wrong "capigate-serve(1) says nothing"
}

package_is_built() {
  mkdir -p "$work/target/release"
  cp "$capigate" "$work/target/release/capigate"
  CARGO_TARGET_DIR=$work/target "$tools/bin/cargo-deb" --no-build --no-strip --fast --output "$work/capigate.deb" --quiet || return 1
  dpkg-deb --info "$work/capigate.deb"
  dpkg-deb --contents "$work/capigate.deb" | awk '{ print $1, $2, $6 }' | sort -k3 >"$work/contents"
  local file
  for file in usr/bin/capigate usr/lib/systemd/system/capigate.{service,socket} usr/lib/sysusers.d/capigate.conf \
    etc/capigate/capigate.toml usr/share/bash-completion/completions/capigate usr/share/zsh/vendor-completions/_capigate \
    usr/share/fish/vendor_completions.d/capigate.fish usr/share/man/man1/capigate.1.gz usr/share/man/man1/capigate-serve.1.gz \
    usr/share/doc/capigate/{copyright,UPGRADING.md,changelog.Debian.gz}; do
    grep -qE " \./$file\$" "$work/contents" || wrong "it has no $file"
  done
  grep -vE '^(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x) (root/root|0/0) ' "$work/contents" && wrong "other owners or modes"
  [[ $(dpkg-deb --field "$work/capigate.deb" Depends) == *libc6* ]] || wrong "it depends on no libc6"
  dpkg-deb --ctrl-tarfile "$work/capigate.deb" | tar -xO ./conffiles | grep -qx /etc/capigate/capigate.toml || wrong "the configuration is no conffile"
  return 0
}

package_is_installed_and_removed() {
  local root=$work/installed
  mkdir -p "$root"/var/lib/dpkg/{info,updates} "$root"/etc
  : >"$root/var/lib/dpkg/status" >"$root/etc/passwd" >"$root/etc/group"
  local dpkg=(dpkg --root="$root" --force-script-chrootless --force-depends --log=/dev/null)
  "${dpkg[@]}" --install "$work/capigate.deb" || wrong "it cannot be installed"
  grep -q '^capigate:.*:/var/lib/capigate:/usr/sbin/nologin$' "$root/etc/passwd" || wrong "no user was made: $(<"$root/etc/passwd")"
  "$root/usr/bin/capigate" --version || wrong "the program does not run"
  "$root/usr/bin/capigate" config check --config "$root/etc/capigate/capigate.toml" || wrong "its configuration has faults"
  [[ $(stat -c %a "$root/etc/capigate/capigate.toml") == 644 ]] || wrong "the configuration has another mode"
  # twice is as good as once, and a changed configuration stays
  echo '# mine' >>"$root/etc/capigate/capigate.toml"
  "${dpkg[@]}" --force-confdef --force-confold --install "$work/capigate.deb" || wrong "it cannot be installed again"
  grep -qx '# mine' "$root/etc/capigate/capigate.toml" || wrong "the configuration was replaced"
  (($(grep -c '^capigate:' "$root/etc/passwd") == 1)) || wrong "the user is there twice"
  mkdir -p "$root/var/lib/capigate" && touch "$root/var/lib/capigate/kept"
  "${dpkg[@]}" --purge capigate || wrong "it cannot be removed"
  [[ ! -e $root/usr/bin/capigate && ! -e $root/etc/capigate/capigate.toml ]] || wrong "something stays"
  [[ -e $root/var/lib/capigate/kept ]] || wrong "the data is gone"
}

roots_backup_belongs_to_the_service() {
  local dir=$work/kept
  configures "$dir"
  TOKEN=sandbox-token KEY=the-key "$capigate" serve --config "$dir/capigate.toml" >"$work/kept.log" 2>&1 &
  local pid=$!
  pids+=("$pid")
  waits "the gateway" is_ready
  accepts "$ingest" kept-1
  waits "the delivery" delivered kept-1
  "$capigate" backup --config "$dir/capigate.toml" --out "$dir/backup" || wrong "no backup"
  ends "$pid"
  mv "$dir/data" "$dir/lost" && mkdir "$dir/data" && chown "$uid:$uid" "$dir/data"
  "$capigate" restore --config "$dir/capigate.toml" --from "$dir/backup" || wrong "no restore"
  local others
  others=$(find "$dir/data" -not -uid "$uid")
  [[ -z $others ]] || wrong "not the service's: $others"
  chmod 0700 "$dir/data"
  TOKEN=sandbox-token KEY=the-key setpriv --reuid "$uid" --regid "$uid" --clear-groups \
    "$capigate" serve --config "$dir/capigate.toml" >"$work/kept.log" 2>&1 &
  pid=$!
  pids+=("$pid")
  waits "the restored gateway" is_ready
  ends "$pid"
}

faults=0
starts_sandbox
if ((faults > 0)); then
  cat "$work/sandbox.log"
  echo "0 passed, 1 failed"
  exit 1
fi
step "systemd understands the units" units_are_understood
step "the unit is hardened" unit_is_hardened
grep -h 'Overall' "$work/exposure"
step "the unit allows what the program does" unit_allows_what_the_program_does
step "a socket of systemd's is taken over" sockets_are_taken_over
step "the image's program runs with a root it cannot write" image_runs_with_a_root_it_cannot_write
step "the compose file is sound" compose_file_is_sound
step "the manifests are as published schemas say" manifests_are_as_published_schemas_say
step "the manifests fit together" manifests_fit_together
step "shells know the commands" shells_know_the_commands
step "the manual pages are sound" manual_pages_are_sound
SECONDS=0
step "the package is built" package_is_built
step "the package is installed and removed" package_is_installed_and_removed
step "what root restores belongs to the service" roots_backup_belongs_to_the_service

echo "$passed passed, $failed failed"
((failed == 0))
