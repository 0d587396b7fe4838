# shellcheck shell=bash
# Guide A: a pixel, a token of the Events Manager, a test code; then events.

dataset_guide() {
  step "a paste with quotation marks is mended" takes_mended '"%s"' "took off the quotation marks"
  step "a paste with Bearer before it is mended" takes_mended 'Bearer %s' "took off the name or word before it"
  step "a paste with white space around it is mended" takes_mended '  %s \n\n' "took white space off its ends"
  step "a paste of a whole JSON answer is mended" takes_mended '{"access_token":"%s","token_type":"bearer"}' "out of the JSON"
  step "a paste with a byte-order mark is mended" takes_mended '\xef\xbb\xbf%s' "characters that cannot be seen"
  step "a paste with a comma behind it is mended" takes_mended '%s,' "took off the punctuation"
  step "a paste with its first letter doubled is mended" takes_mended 'E%s' "first letter was there twice"
  step "a paste that the terminal has broken in two is mended" takes_broken
  step "a paste that is short is kept out with a warning" warns_of_short
  step "a masked display is refused as a paste" refuses 'EAAQ…VwRk' "this is a masked display" masked
  step "an app token is refused as a paste" refuses "$app|$app_secret" "which cannot send events" app_token_as_lane_token
  step "two tokens at once are refused as a paste" refuses "$(value dataset) $(value dataset-new)" "more than one value was pasted" several
  step "an empty paste is refused" refuses '' "nothing was pasted" empty
  step "a token in an argument is refused without being repeated" refuses_argument
  step "a pixel id that cannot be one is refused" refuses_pixel_id
  step "a pixel id of unusual length is warned about and one that is out of reach is told" tells_wrong_pixel
  step "an expired token is refused and says what to do" refuses_expired
  step "a permission that is asked for and missing is named" names_missing_scope
  step "a token is verified and sealed and the pixel sends with it" takes_token
  step "the same token twice is noticed" notices_twin
  step "at a terminal the token is asked for unseen" asks_unseen
  step "a second token for the pixel points to rotate" points_to_rotate
  step "one token for two pixels is warned about" warns_of_shared
  step "the list shows tokens masked with state and expiry" lists_tokens
  step "the list as JSON has the three artefacts of a pixel" lists_json
  step "inspect says what Meta says of a token" inspects
  step "verify says that token and pixel belong together" verifies
  step "a test event is not sent without a yes" asks_before_sending
  step "a no at a terminal sends no test event and ends with 7" takes_no
  step "a test event with --yes arrives under its test code" sends_test
  step "a gateway starts with the vault" starts_gateway
  step "a gateway delivers an event with the token of the vault" delivers order-1 dataset
  step "rotate refuses the token that is there already" refuses_same
  step "rotate puts a new token in the place of the old" rotates
  step "a running gateway delivers with the new token without a restart" delivers_until dataset-new
  step "undo goes back to the old token in a running gateway" undoes
  step "a revoked token makes the gateway fall back to the retiring one" falls_back
  step "the gateway's log and pages show no token" gateway_is_discreet
  step "a gateway stops in order" stops_gateway
}

# takes_mended FORMAT SAYS: inspects a paste of this form.
takes_mended() {
  local paste
  # shellcheck disable=SC2059
  printf -v paste "$1" "$(value dataset)"
  token 0 inspect --stdin <<<"$paste"
  says "$2" "Meta says" "system user"
}

takes_broken() {
  local whole
  whole=$(value dataset)
  token 0 inspect --stdin <<<"${whole:0:40}"$'\n'"${whole:40}"
  says "line breaks or blanks inside" "Meta says"
}

warns_of_short() {
  token 3 add --name short <<<"EAAQshort"
  says "it is shorter than such values are" "The token was not kept"
}

# refuses PASTE SAYS WORD: a paste that no token can be got out of.
refuses() {
  token 64 add --pixel "$pixel" <<<"$1"
  says "$2" "($3)"
}

refuses_argument() {
  token 64 add "$(value dataset)"
  says "Never put a token, code or app secret into an"
}

refuses_pixel_id() {
  local bad
  for bad in 0123456789012345 12345678901234x "1234 5678" ""; do
    token 64 add --pixel "$bad" <<<"$(value dataset)"
    says "--pixel"
  done
}

tells_wrong_pixel() {
  # a token of the Events Manager may still be able to send, so this is no failure
  token 0 add --pixel 12345678901234 --name far <<<"$(value dataset)"
  says "pixel ids have 15 or 16 digits today" "no such pixel for this token" "(100/33)" "is not in the configuration" \
    "[pixels.12345678901234]"
  token 0 remove far --force --yes
}

refuses_expired() {
  token 3 add --pixel "$pixel" <<<"$(value dataset-ended)"
  says "the token has expired" "(190/463)" "→" "The token was not kept"
}

names_missing_scope() {
  token 4 add --pixel "$pixel" --require-scope business_management <<<"$(value dataset)"
  says "it lacks what was asked for: business_management" "The token was not kept"
}

takes_token() {
  token 0 add --pixel "$pixel" --name shop <<<"$(value dataset)"
  says "sealed into the vault as shop: EAAQ…wRk6" "pixel $pixel sends with it" "Meta does not show it again" \
    "takes it over by itself"
}

notices_twin() {
  token 0 add <<<"$(value dataset)"
  says "this very token is in the vault already, as shop"
}

asks_unseen() {
  mkfifo "$work/keys"
  exec 4<>"$work/keys"
  # a terminal of its own, which would echo what is typed
  run_at_terminal "$capigate token inspect --stdin --config $work/capigate.toml" <"$work/keys" 4>&- &
  local terminal=$!
  waits "the question" grep -q "not shown while you paste" "$work/out"
  # the terminal is made silent right after the question
  sleep 0.3
  value dataset >&4
  wait "$terminal"
  code=$?
  exec 4>&-
  heard "token inspect, at a terminal" 0
  says "Access token (not shown while you paste)" "Meta says"
}

# run_at_terminal LINE: the same as run, with a terminal for standard input.
run_at_terminal() {
  timeout "$one_command" script -qec "$1" /dev/null >"$work/out" 2>"$work/err"
}

points_to_rotate() {
  token 1 add --pixel "$pixel" --name second <<<"$(value dataset-new)"
  says "has a current token already, shop" "capigate token rotate --pixel $pixel"
}

warns_of_shared() {
  token 0 add --pixel "$outlet" --force <<<"$(value dataset)"
  says "have this same token" "give each pixel a token of its own"
  token 0 remove shop --force --yes
  token 0 add --pixel "$pixel" --name shop <<<"$(value dataset)"
  hides "have this same token"
}

lists_tokens() {
  token 0 list
  says shop "$pixel (current)" "EAAQ…wRk6 (sha256:$(fingerprint "$(value dataset)")" vault valid never
}

lists_json() {
  token 0 list --json --pixel "$pixel"
  says '"token": "EAAQ…wRk6' '"expires": "never"' '"sends_with": "shop"' '"sends": true' '"test_event_code": false'
}

inspects() {
  token 0 inspect shop
  says "system user" never ads_management "Conversions API"
  hides "the app in the vault is not the one"
  token 0 inspect shop --json
  says '"state": "valid"' '"scopes_missing": []'
  token 1 inspect nobody
  says "there is no token nobody" "capigate token list"
}

verifies() {
  token 0 verify --pixel "$pixel"
  says "pixel id $pixel" "Shop website"
}

asks_before_sending() {
  token 64 verify --pixel "$pixel" --send-test --test-event-code TEST12345
  says "A test event is not a rehearsal" "add --yes"
  token 64 verify --pixel "$pixel" --send-test
  says "say which test code"
  request GET "$url/sandbox/test_events"
  [[ $body != *TEST12345* ]] || wrong "a test event was sent: $body"
}

takes_no() {
  run_at_terminal "$capigate token verify --pixel $pixel --send-test --test-event-code TEST12345 --config $work/capigate.toml" \
    <<<"n"
  code=$?
  heard "token verify, at a terminal" 7
  says "no test event was sent"
  request GET "$url/sandbox/test_events"
  [[ $body != *TEST12345* ]] || wrong "a test event was sent: $body"
}

sends_test() {
  token 0 verify --pixel "$pixel" --send-test --test-event-code TEST12345 --yes
  says "A test event is not a rehearsal" "events received: 1" "trace id"
  request GET "$url/sandbox/test_events"
  [[ $body == *TEST12345* && $body == *GatewayTokenCheck* ]] || wrong "it has not arrived: $body"
}

# starts_gateway [CONFIGURATION]: its addresses are in $ingest and $admin then.
starts_gateway() {
  # what an earlier one has said is not of this one
  : >"$work/gateway.log"
  env -i PATH=/usr/bin:/bin SHOP_KEY=key-of-the-shop CAPIGATE__TELEMETRY__LOG_LEVEL=trace \
    "$capigate" serve --config "${1:-$work/capigate.toml}" >"$work/gateway.log" 2>&1 &
  gateway=$!
  pids+=("$gateway")
  waits "the gateway" grep -q '"message":"gateway is ready"' "$work/gateway.log"
  local ready
  ready=$(grep '"message":"gateway is ready"' "$work/gateway.log")
  [[ $ready =~ \"listen.ingest\":\"([^\"]+)\" ]] && ingest=http://${BASH_REMATCH[1]}
  [[ $ready =~ \"listen.admin\":\"([^\"]+)\" ]] && admin=http://${BASH_REMATCH[1]}
}

# posts ID: an event for the gateway, which takes it.
posts() {
  request POST "$ingest/v26.0/$pixel/events" '{"data":[{"event_name":"Purchase","event_time":'"$(date +%s)"',"event_id":"'"$1"'","action_source":"website","event_source_url":"https://shop.example/thanks","user_data":{"em":"jane@example.com","client_user_agent":"tests"},"custom_data":{"value":1,"currency":"EUR"}}]}' \
    "authorization: Bearer key-of-the-shop"
  [[ $status == 200 ]] || wrong "the gateway does not take it: $status $body"
}

# has_arrived ID: whether Graph has this event.
has_arrived() {
  request GET "$url/sandbox/ledger?event_id=$1"
  [[ $body == *"\"$1\""* ]]
}

# last_token: the name of the token that the newest batch came with.
last_token() {
  request GET "$url/sandbox/batches?limit=1"
  member token
}

# delivers ID TOKEN: posts an event, which has to arrive with this token.
delivers() {
  posts "$1"
  waits "event $1" has_arrived "$1"
  [[ $(last_token) == "$2" ]] || wrong "it came with $(last_token), not with $2"
}

# delivers_until TOKEN: posts events until one arrives with this token.
delivers_until() {
  local id until=$((SECONDS + one_wait))
  while ((SECONDS <= until)); do
    id=order-$RANDOM$RANDOM
    posts "$id"
    waits "event $id" has_arrived "$id"
    [[ $(last_token) == "$1" ]] && return 0
    sleep 0.1
  done
  wrong "events still come with $(last_token), not with $1"
}

refuses_same() {
  token 1 rotate --pixel "$pixel" <<<"$(value dataset)"
  says "the token that pixel $pixel sends with already" "make a new one"
}

rotates() {
  token 0 rotate --pixel "$pixel" --name shop-2 <<<"$(value dataset-new)"
  says "pixel $pixel sends with shop-2 now; shop is kept as the one to go back to" "--finish --revoke" "--undo"
}

undoes() {
  token 0 rotate --pixel "$pixel" --undo
  says "pixel $pixel sends with shop again" "shop-2 is the pixel's next token now"
  delivers_until dataset
  token 1 rotate --pixel "$pixel" --undo
  says "has no retiring token to go back to"
}

falls_back() {
  token 0 rotate --pixel "$pixel" --from-next
  says "pixel $pixel sends with shop-2 now"
  delivers_until dataset-new
  spoils dataset-new '{"state":"revoked","message":"Malformed access token {token}"}'
  delivers_until dataset
  waits "the vault to follow" is_current shop
  spoils dataset-new '{"state":"valid"}'
}

# is_current NAME: whether the pixel sends with this token.
is_current() {
  timeout "$one_command" "$capigate" token list --json --config "$work/capigate.toml" --pixel "$pixel" 2>/dev/null |
    grep -qF "\"sends_with\": \"$1\""
}

gateway_is_discreet() {
  local path
  [[ $(wc -l <"$work/gateway.log") -gt 20 ]] || wrong "the log is too short to say anything"
  is_discreet "the log" "$work/gateway.log"
  for path in / /healthz /readyz /metrics; do
    request GET "$admin$path"
    [[ $status == 200 ]] || wrong "$path answers $status"
    is_discreet "the page $path" <(printf %s "$body")
  done
}

stops_gateway() {
  kill "$gateway"
  wait "$gateway"
  code=$?
  ((code == 0)) || wrong "it ended with $code"
}
