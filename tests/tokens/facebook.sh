# shellcheck shell=bash
# The made-up Facebook of the session, and what a person at a browser does there.

# the values of tests/tokens/world.toml
readonly app=1000000000000001 app_secret=9c41d07be85fa2634d1f8e6b70c935ad
readonly other_app=1000000000000002 other_secret=e27a5b9048d3c16f7f03b6d9a4812ec5
readonly pixel=1234567890123456 outlet=2222222222222222 new_pixel=3333333333333333
readonly business=2000000000000001 strict_business=2000000000000002
readonly system_user=61550000000001 bare_user=61550000000002 strict_user=61550000000003
readonly page=4000000000000001 withheld_page=4000000000000002
readonly listed_uri=https://gate.example/callback

# starts WORLD: a sandbox with this world; its address is in $url then.
starts() {
  local log
  log=$(mktemp "$work/sandbox.XXXXXX")
  "$capigate" sandbox --listen 127.0.0.1:0 --world "$1" >"$log" 2>&1 &
  pids+=($!)
  waits "the sandbox" grep -q '^listening on ' "$log"
  url=$(sed -n 's/^listening on //p' "$log")
}

# value NAME: the value of a token of the world.
value() {
  request GET "$url/sandbox/tokens/$1/value"
  member access_token
}

# spoils NAME CHANGE: changes a token at Facebook.
spoils() {
  request POST "$url/sandbox/tokens/$1" "$2"
  [[ $status == 200 ]] || wrong "the sandbox does not change $1: $body"
}

# mood JSON: how the next dialogs end.
mood() {
  request POST "$url/sandbox/dialog" "$1"
  [[ $status == 200 ]] || wrong "the sandbox does not take the mood: $body"
}

# fault JSON: what happens to the next call.
fault() {
  request POST "$url/sandbox/faults" "$1"
  [[ $status == 200 ]] || wrong "the sandbox does not take the fault: $body"
}

# forget_calls: begins the list of calls anew.
forget_calls() { request DELETE "$url/sandbox/calls"; }

# calls EDGE: how many there were.
calls() {
  request GET "$url/sandbox/calls"
  grep -oF "\"edge\":\"$1\"" <<<"$body" | wc -l
}

# visit URL: opens the dialog as a browser would; where it leads back to is in $back.
visit() {
  request GET "$1"
  back=$(sed -n 's/^location: \(.*\)\r$/\1/Ip' <<<"$head"$'\r')
  # the code in it is a secret from now on
  [[ $back =~ [?\&]code=([A-Za-z0-9_-]+) ]] && secret "${BASH_REMATCH[1]}" 8
  return 0
}

# follow URL: goes to where the dialog leads, as a browser does, without the fragment.
follow() {
  request GET "${1%%#*}"
  is_discreet "the page that the browser ends on" <(printf %s "$head$body")
}
