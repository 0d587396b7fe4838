# shellcheck shell=bash
# What the chapters of tests/tokens.sh and tests/clients/run.sh work with: steps, the program, and
# requests over HTTP.

# seconds that one command, one wait and the whole session may take
readonly one_command=20 one_wait=15 whole_session=90

work=$(mktemp -d)
# processes that were started, to be ended with the session; nothing else is
pids=()
passed=0 failed=0 faults=0
# the exit code of the last command of the program
code=0
# what the last request was answered
status='' head='' body=''
# variables that the program is given, NAME=value
vars=()

end() {
  local pid
  for pid in "${pids[@]+"${pids[@]}"}"; do kill "$pid" 2>/dev/null; done
  wait
  rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

# step NAME COMMAND…: runs it, and counts it as passed when it ends well and nothing in it was wrong.
step() {
  local name=$1
  shift
  faults=0
  : >"$work/out" >"$work/err" >"$work/log"
  if ((SECONDS > whole_session)); then
    echo "the session takes longer than $whole_session s" >"$work/log"
    faults=1
  elif ! "$@" </dev/null >"$work/log" 2>&1; then
    ((faults++))
  fi
  if ((faults == 0)); then
    ((passed++))
    echo "ok - $name"
  else
    ((failed++))
    echo "not ok - $name"
    sed 's/^/    /' "$work/log" "$work/out" "$work/err"
  fi
}

# wrong TEXT: notes a fault of the step that runs.
wrong() {
  ((faults++))
  echo "$*"
}

# run ARGUMENT…: runs the program with what is on standard input; what it says is in $work/out and
# $work/err.
run() {
  timeout "$one_command" env -i PATH="$work/bin:/usr/bin:/bin" HOME="$work" "${vars[@]+"${vars[@]}"}" \
    "$capigate" "$@" >"$work/out" 2>"$work/err"
}

# gate CODE ARGUMENT…: runs the program with what is on standard input, wants this exit code, and
# wants nothing secret to be said.
gate() {
  local wanted=$1
  shift
  run "$@"
  code=$?
  heard "$*" "$wanted"
  return 0
}

# token CODE VERB ARGUMENT…: the same for `capigate token VERB` with the configuration.
token() {
  local wanted=$1
  shift
  gate "$wanted" token "$@" --config "$work/capigate.toml"
}

# heard COMMAND CODE: holds what a command has said, and its exit code, to what is wanted.
heard() {
  ((code == $2)) || wrong "capigate $1: exit code $code, wanted $2"
  cat "$work/out" "$work/err" >>"$work/said"
  is_discreet "capigate $1" "$work/out" "$work/err"
}

# says TEXT…: what the last command must have said.
says() {
  local text
  for text; do
    grep -qF -- "$text" "$work/out" "$work/err" || wrong "it does not say: $text"
  done
  return 0
}

# hides TEXT…: what the last command must not have said.
hides() {
  local text
  for text; do
    ! grep -qF -- "$text" "$work/out" "$work/err" || wrong "it says: $text"
  done
  return 0
}

# secret VALUE [WIDTH]: from now on no command may say WIDTH characters of it that stand together:
# 5, since a mask shows 4 at each end; 8 of what is made up anew for each run, so that chance cannot
# make them.
secret() {
  local value=$1 width=${2:-5} at
  for ((at = 0; at + width <= ${#value}; at++)); do
    echo "${value:at:width}"
  done >>"$work/pieces"
}

# is_discreet WHAT FILE…: wants no piece of a secret in the files, and no token that nobody has told
# of either. The address of a dialog has its state in it, which is what it is shown for.
is_discreet() {
  local what=$1 piece
  shift
  piece=$(sed 's/state=[0-9a-f]*//' "$@" | grep -m1 -oFf "$work/pieces")
  # the text counts, not the exit code: sed fails when grep has seen enough
  [[ -z $piece ]] || wrong "$what says a part of a secret: $piece"
  piece=$(grep -m1 -hoE 'EAA[A-Za-z0-9]{2,}' "$@")
  [[ -z $piece ]] || wrong "$what says a part of a token: $piece"
  return 0
}

# fingerprint VALUE: how lists call it.
fingerprint() {
  local digest
  digest=$(printf %s "$1" | sha256sum)
  echo "${digest:0:8}"
}

# request METHOD URL [BODY [HEADER]]: sends it; $status, $head and $body are what came back. A bare
# machine has no curl, and this needs none.
request() {
  local method=$1 rest=${2#http://} data=${3-} header=${4-} host answer
  status='' head='' body=''
  host=${rest%%/*}
  rest=${rest#"$host"}
  rest=${rest:-/}
  { exec 3<>"/dev/tcp/${host%:*}/${host##*:}"; } 2>/dev/null || return 1
  # who listens may be gone between two writes, which must not end the session
  (
    trap '' PIPE
    printf '%s %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n' "$method" "$rest" "$host"
    printf 'content-type: application/json\r\n%scontent-length: %s\r\n\r\n%s' \
      "${header:+$header$'\r\n'}" "${#data}" "$data"
  ) >&3
  answer=$(timeout "$one_command" cat <&3)
  exec 3>&-
  head=${answer%%$'\r\n\r\n'*}
  body=${answer#*$'\r\n\r\n'}
  status=${head#* }
  status=${status%% *}
}

# member NAME: the value of this member in $body: the first that is a text or a number.
member() {
  [[ $body =~ \"$1\":\"?([^\",}]*) ]] && echo "${BASH_REMATCH[1]}"
}

# waits FOR COMMAND…: until the command succeeds, for a while.
waits() {
  local what=$1 until=$((SECONDS + one_wait))
  shift
  while ! "$@"; do
    if ((SECONDS > until)); then
      wrong "still waiting for $what"
      return 0
    fi
    sleep 0.05
  done
}

# free_port: one that nothing listens on, below those that the system gives out by itself.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}
