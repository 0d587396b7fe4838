# shellcheck shell=bash
# Guide C: the login dialog and the exchange of its code.

login_guide() {
  port=$(free_port)
  uri=http://localhost:$port/
  step "the address of the dialog is encoded once and keeps its slash at the end" prints_address
  step "a redirect URI that is not absolute is refused before any call" refuses_relative
  step "a redirect URI that is percent-encoded already is refused before any call" refuses_encoded
  step "a login ends with a long-lived token in the vault" logs_in
  step "a login opens the browser" opens_browser
  step "a login takes the address that the browser has ended on" takes_pasted_address
  step "a login that is declined ends with 7 and no exchange" is_declined
  step "an answer with another state is not exchanged" refuses_other_state
  step "an answer without a state is not exchanged" refuses_no_state
  step "a login that nobody answers tells the causes" times_out
  step "a login says what the dialog says when it fails" dialog_fails
  step "a refused permission is told with --rerequest" tells_refused_permission
  step "a port that is taken is told before the dialog" tells_busy_port
  step "a code that was used is explained (36009)" explains_36009
  step "a code that has expired is explained (36007)" explains_36007
  step "redirect URIs that differ are explained (36008)" explains_36008
  step "a redirect URI that is not listed is explained (191)" explains_191_listed
  step "a redirect URI that Meta finds relative is explained (191)" explains_191_relative
  step "a code that was cut off is explained" explains_malformed
  step "a wrong app secret is explained (1)" explains_1
  step "a wrong app id is explained (101)" explains_101
  step "an answer that was lost is not asked for again" asks_once
  step "an exchange never repeats a call and keeps secrets out of addresses" travels_well
}

# address ARGUMENT…: the address of a dialog that nobody waits for, in $dialog.
address() {
  token 0 login --url-only "$@"
  dialog=$(grep -m1 '/dialog/oauth?' "$work/out")
  [[ -n $dialog ]] || wrong "it shows no address"
}

# begins ARGUMENT…: starts a login, and waits for its dialog, which is in $dialog then.
begins() {
  : >"$work/out" >"$work/err"
  run token login --port "$port" --config "$work/capigate.toml" "$@" &
  login=$!
  waits "the dialog" grep -q '/dialog/oauth?' "$work/out"
  waits "the end of its words" grep -q '^Waiting up to' "$work/out"
  dialog=$(sed -n 's/^ *\(http.*\/dialog\/oauth?.*\)$/\1/p' "$work/out")
}

# ends CODE: waits for the end of the login.
ends() {
  wait "$login"
  code=$?
  # the address of the dialog is for the person, and its state with it
  heard "token login" "$1"
}

prints_address() {
  address --scope ads_read,read_insights --port 8080
  local state
  state=$(sed -n 's/.*&state=\([0-9a-f]*\)&.*/\1/p' <<<"$dialog")
  [[ ${#state} -ge 32 ]] || wrong "the state is too short"
  local want="$url/v26.0/dialog/oauth?client_id=$app&redirect_uri=http%3A%2F%2Flocalhost%3A8080%2F&state=$state&response_type=code&scope=ads_read%2Cread_insights"
  [[ $dialog == "$want" ]] || wrong "$dialog is not $want"
  local first=$state
  address
  [[ $dialog != *"$first"* ]] || wrong "two logins have one state"
}

refuses_relative() {
  forget_calls
  local bad
  for bad in localhost:8080/ /callback null; do
    token 64 login --no-browser --redirect-uri "$bad"
    says "--redirect-uri"
    token 64 exchange --redirect-uri "$bad" <<<code
    says "--redirect-uri"
  done
  (($(calls oauth) == 0)) || wrong "Meta was asked"
}

refuses_encoded() {
  forget_calls
  token 64 login --no-browser --redirect-uri 'http%3A%2F%2Flocalhost%3A8080%2F'
  says redirect_uri_encoded
  (($(calls oauth) == 0)) || wrong "Meta was asked"
}

logs_in() {
  begins --no-browser --name by-login
  says "$uri works while the app is in Development mode" "https address that is listed"
  visit "$dialog"
  follow "$back"
  [[ $head == *"no-store"* && $head == *"no-referrer"* ]] || wrong "the page may be kept: $head"
  ends 0
  says "logged in as Alex Example" "exchanged for a token" "it was short-lived" "is extended" \
    "(in 59 days)" "sealed into the vault as by-login"
}

opens_browser() {
  # what opens addresses on a desktop
  printf '#!/bin/sh\nprintf "%%s" "$1" >"%s/opened"\n' "$work" >"$work/bin/xdg-open"
  chmod +x "$work/bin/xdg-open"
  begins --name by-browser
  says "The browser is being opened"
  waits "the browser" test -s "$work/opened"
  [[ $(<"$work/opened") == "$dialog" ]] || wrong "it was opened at $(<"$work/opened")"
  visit "$(<"$work/opened")"
  follow "$back"
  # browsers ask again, and for an icon
  follow "$back"
  ends 0
  says "sealed into the vault as by-browser"
  rm "$work/bin/xdg-open"
}

takes_pasted_address() {
  mkfifo "$work/typed"
  # held open, as a terminal is
  exec 4<>"$work/typed"
  : >"$work/out" >"$work/err"
  run token login --no-browser --redirect-uri "$listed_uri" --name by-paste \
    --config "$work/capigate.toml" <"$work/typed" 4>&- &
  login=$!
  waits "the dialog" grep -q '/dialog/oauth?' "$work/out"
  dialog=$(sed -n 's/^ *\(http.*\/dialog\/oauth?.*\)$/\1/p' "$work/out")
  visit "$dialog"
  [[ $back == "$listed_uri?code="*"#_=_" ]] || wrong "it leads elsewhere"
  echo "$back" >&4
  ends 0
  exec 4>&-
  rm "$work/typed"
  says "$listed_uri has to be listed" "sealed into the vault as by-paste"
}

is_declined() {
  forget_calls
  mood '{"outcome":"deny"}'
  begins --no-browser
  visit "$dialog"
  follow "$back"
  ends 7
  says "login declined" "→"
  mood '{}'
  (($(calls oauth) == 0)) || wrong "a code was exchanged"
}

refuses_other_state() {
  forget_calls
  begins --no-browser
  visit "$dialog"
  follow "${back%%&state=*}&state=0123456789abcdef0123456789abcdef"
  ends 7
  says "not the answer to this login" "its code was not used"
  (($(calls oauth) == 0)) || wrong "a code was exchanged"
}

refuses_no_state() {
  forget_calls
  begins --no-browser
  visit "$dialog"
  follow "${back%%&state=*}"
  ends 7
  says "not the answer to this login"
  (($(calls oauth) == 0)) || wrong "a code was exchanged"
}

times_out() {
  forget_calls
  mood '{"outcome":"blocked"}'
  begins --no-browser --timeout 1s
  visit "$dialog"
  [[ -z $back ]] || wrong "it leads back"
  ends 7
  says "nobody came back from the login" "URL Blocked" "App not active" "Invalid App ID" "Development mode"
  mood '{}'
  (($(calls oauth) == 0)) || wrong "a code was exchanged"
}

dialog_fails() {
  mood '{"outcome":"error"}'
  begins --no-browser
  visit "$dialog"
  follow "$back"
  ends 5
  says "the login dialog failed" "something went wrong by script"
  mood '{}'
}

tells_refused_permission() {
  mood '{"decline":["business_management"]}'
  begins --no-browser --scope ads_management --scope business_management --name refused
  visit "$dialog"
  follow "$back"
  ends 4
  says "these permissions were refused: business_management" "capigate token login --rerequest"
  mood '{}'
  begins --no-browser --scope ads_management --scope business_management --name asked-again --rerequest
  [[ $dialog == *"&auth_type=rerequest"* ]] || wrong "it does not ask again: $dialog"
  visit "$dialog"
  follow "$back"
  ends 0
}

tells_busy_port() {
  # the gateway of the session is gone; the sandbox is there
  token 64 login --no-browser --port "${url##*:}"
  says port_busy "--port"
  hides /dialog/oauth
}

# coded ARGUMENT…: a code that was not exchanged yet; the whole address is in $back.
coded() {
  address --port "$port" "$@"
  visit "$dialog"
  [[ $back == "$uri?code="* ]] || wrong "no code came: $back"
}

# exchanges CODE ARGUMENT…: the same with $back for a code.
exchanges() {
  local wanted=$1
  shift
  token "$wanted" exchange --redirect-uri "$uri" --app-id "$app" "$@" <<<"$back"
}

explains_36009() {
  coded
  exchanges 0 --name by-exchange
  says "exchanged the code for a token" "sealed into the vault as by-exchange"
  exchanges 3 --name again
  says "this code has been used" "Each code can be exchanged once" "(100/36009)" "trace id" "Log in again"
}

explains_36007() {
  coded
  request POST "$url/sandbox/clock" '{"advance":"11m"}'
  exchanges 3
  says "this code has expired" "Too much time went by" "(100/36007)" "Log in again"
}

explains_36008() {
  coded
  token 5 exchange --redirect-uri "${uri%/}" --app-id "$app" <<<"$back"
  says "the redirect URIs differ" "(100/36008)" "the redirect URI of this exchange was ${uri%/}" \
    "the slash at the end"
}

explains_191_listed() {
  coded
  token 5 exchange --redirect-uri https://other.example/ --app-id "$app" <<<"$back"
  says "the redirect URI is not allowed" "(191)" "Valid OAuth Redirect URIs" https://other.example/
}

explains_191_relative() {
  coded
  fault '{"edge":"oauth","do":"status","status":400,"code":191,"message":"redirect_uri isn'"'"'t an absolute URI. Check RFC 3986."}'
  exchanges 5
  says "the redirect URI is not absolute" "percent-encoded twice" "(191)"
}

explains_malformed() {
  coded
  local cut=${back#*code=}
  token 3 exchange --redirect-uri "$uri" --app-id "$app" <<<"${cut:0:40}"
  says "this is not a whole code" "cut off" "#_=_"
}

# elsewhere NAME: another machine, with a vault of its own, in $there.
elsewhere() {
  there=$work/$1.toml
  write_config "$there" "$work/$1" "$work/$1.key"
  gate 0 token init --key-file "$work/$1.key"
}

explains_1() {
  elsewhere wrong-secret
  gate 0 token app add --offline --app-id "$app" --config "$there" <<<"ffffeeeeddddccccbbbbaaaa99998888"
  says "Meta was not asked"
  coded
  gate 5 token exchange --redirect-uri "$uri" --config "$there" <<<"$back"
  says "the app secret is wrong" "trying again does not help" "(1)"
}

explains_101() {
  elsewhere wrong-app
  gate 0 token app add --offline --app-id 1000000000009999 --config "$there" <<<"ffffeeeeddddccccbbbbaaaa99998888"
  coded
  gate 5 token exchange --redirect-uri "$uri" --config "$there" <<<"$back"
  says "there is no such app" "trying again does not help" "(101)"
}

asks_once() {
  coded
  forget_calls
  fault '{"edge":"oauth","do":"cut_after_accept"}'
  exchanges 6
  says "the answer to the exchange was lost" "not tried again"
  (($(calls oauth) == 1)) || wrong "it was asked $(calls oauth) times"
}

travels_well() {
  request GET "$url/sandbox/violations"
  [[ $body == *'"total":0'* ]] || wrong "the sandbox has seen what a careful program never does: $body"
  coded
  forget_calls
  exchanges 0 --name careful
  request GET "$url/sandbox/calls"
  local call
  call=$(grep -oE '\{[^{}]*"edge":"oauth".*' <<<"$body")
  [[ $call == *'{"name":"code","place":"body"}'* && $call == *'{"name":"client_secret","place":"body"}'* ]] ||
    wrong "code and secret do not travel in the body: $call"
  [[ $body != *'"name":"client_secret","place":"query"'* ]] || wrong "the secret travels in an address"
}
