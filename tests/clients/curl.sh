# shellcheck shell=bash
# The curl lines of Meta's documentation as they are printed there, but for host, pixel, token and
# time; and what else of HTTP a client may use.

# packs standard input by a function of Node's
zlib=tests/clients/node/zlib.mjs

curl_suite() {
  step "multipart, as on the page Using the API" multipart
  step "multipart with the token in the address" multipart_and_query
  step "multipart with a test event code and a partner agent" multipart_with_options
  step "multipart with the events in a file" multipart_from_file
  step "a form, as in the reference" form
  step "a form that curl encodes" form_encoded
  step "a form with each event as a text of its own" form_of_texts
  step "a form to the path of Meta's own gateway" form_to_capi
  step "JSON that is sent as a form, as on the page of Meta's own gateway" json_as_form
  step "JSON with the token in the address" json_and_query
  step "JSON with the token in the body" json_and_body
  step "JSON with a bearer token" json_and_bearer
  step "JSON to the path of Meta's own gateway" json_to_capi
  step "a test event" test_event
  step "several events" several
  step "an event without an id" without_id
  step "HTTP/1.0" plainly --http1.0
  step "HTTP/1.1 that asks before it sends" plainly -H 'Expect: 100-continue'
  step "HTTP/1.1 in chunks" plainly -H 'Transfer-Encoding: chunked'
  step "HTTP/2 without TLS" plainly --http2-prior-knowledge
  step "HTTP/2 by an upgrade that is not taken" plainly --http2
  step "HTTP/1.1 with TLS" over_tls --http1.1 1.1
  step "HTTP/2 with TLS" over_tls --http2 2
  step "two requests on one connection" kept_alive
  step "two requests that do not wait for each other" pipelined
  step "a body packed with gzip" packed gzip gzip -c
  step "a body packed with deflate" packed deflate node "$zlib" deflateSync
  step "a form packed with gzip" packed_form
  step "GET is not taken" get
  step "a token that is wrong" wrong_token
  step "no token" no_token
  step "a pixel that is not configured" unknown_pixel
  step "a body that is cut off" cut_off
  step "an event that is too old" too_old
}

# line ARGUMENT…: one curl line; $status and $body are its answer. Each argument is as it is printed.
line() {
  body=$(curl --silent --show-error --max-time "$one_command" --noproxy '*' --cacert tests/tls/cert.pem \
    --write-out '\n%{http_code} %{http_version}' "$@")
  status=${body##*$'\n'}
  body=${body%$'\n'*}
  http=${status#* } status=${status% *}
}

# event ID [SECONDS]: an event of so long ago, shaped as on the page "Using the API".
event() {
  cat <<END
{
      "event_name": "Purchase",
      "event_time": $(($(date +%s) - ${2:-0})),
      "event_id": "$1",
      "user_data": {
        "em": [
          "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
        ],
        "ph": [
          "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
          null
        ],
        "client_ip_address": "203.0.114.7",
        "client_user_agent": "\$CLIENT_USER_AGENT",
        "fbc": "fb.1.1554763741205.AbCdEfGhIjKlMnOpQrStUvWxYz1234567890",
        "fbp": "fb.1.1558571054389.1098115397"
      },
      "custom_data": {
        "currency": "usd",
        "value": 123.45,
        "contents": [
          {
            "id": "product123",
            "quantity": 1,
            "delivery_category": "home_delivery"
          }
        ]
      },
      "event_source_url": "http://shop.example/product/123?a=b&c=d+e",
      "action_source": "website"
    }
END
}

# events ID…: the value of `data`.
events() {
  local id list=
  for id; do list+=${list:+, }$(event "$id"); done
  echo "[
    $list
  ]"
}

# old ID: the same with one event of 8 days ago.
old() { echo "[$(event "$1" 691200)]"; }

# text JSON: the same in a string of JSON.
text() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  echo "\"${text//$'\n'/}\""
}

# new_id: one that no other line has.
new_id() { echo "curl-$RANDOM-$RANDOM-$RANDOM"; }

# at_sandbox ID: whether the event is there.
at_sandbox() {
  local status head body
  request GET "$sandbox/sandbox/ledger?event_id=$1"
  [[ $body == *"\"event_id\":\"$1\""* ]]
}

# taken ID…: the answer says so, and the events arrive once.
taken() {
  local id
  [[ $status == 200 && $body == *"\"events_received\":$#,"* ]] || wrong "it is not taken: $status $body"
  for id; do
    waits "event $id" at_sandbox "$id"
    request GET "$sandbox/sandbox/ledger?event_id=$id"
    [[ $(member times) == 1 ]] || wrong "it has not arrived once: $body"
  done
}

# refused STATUS CODE: the answer is an error of Graph's shape.
refused() {
  [[ $status == "$1" && $body == *'{"error":{'* && $body == *"\"code\":$2,"* ]] ||
    wrong "wanted $1 and code $2, got $status $body"
}

multipart() {
  local id
  id=$(new_id)
  line -X POST \
    -F "data=$(events "$id")" \
    -F "access_token=$key" \
    "$gateway/v26.0/$pixel/events"
  taken "$id"
}

multipart_and_query() {
  local id
  id=$(new_id)
  line -X POST -F "data=$(events "$id")" "$gateway/v26.0/$pixel/events?access_token=$key"
  taken "$id"
}

multipart_with_options() {
  local id
  id=$(new_id)
  line -X POST -F "data=$(events "$id")" -F 'test_event_code=TEST123' -F 'partner_agent=exampleplatform' \
    -F "access_token=$key" "$gateway/v26.0/$pixel/events"
  taken "$id"
  request GET "$sandbox/sandbox/batches?limit=1"
  [[ $body == *'"options":{"partner_agent":"exampleplatform","test_event_code":"TEST123"}'* ]] ||
    wrong "the options are not those: $body"
}

multipart_from_file() {
  local id
  id=$(new_id)
  events "$id" >"$work/data"
  line -X POST -F "data=<$work/data" -F "access_token=$key" "$gateway/v26.0/$pixel/events"
  taken "$id"
}

# percent TEXT: as a form has it.
percent() { node -e 'process.stdout.write(encodeURIComponent(process.argv[1]))' "$1"; }

form() {
  local id
  id=$(new_id)
  line -X POST -d "data=$(percent "$(events "$id")")" -d "access_token=$key" "$gateway/v26.0/$pixel/events"
  taken "$id"
}

form_encoded() {
  local id
  id=$(new_id)
  line --data-urlencode "data=$(events "$id")" --data-urlencode 'upload_tag=a b' -d "access_token=$key" \
    "$gateway/v26.0/$pixel/events"
  taken "$id"
  request GET "$sandbox/sandbox/batches?limit=1"
  [[ $body == *'"options":{"upload_tag":"a b"}'* ]] || wrong "the options are not those: $body"
}

form_of_texts() {
  local one two
  one=$(new_id) two=$(new_id)
  line --data-urlencode "data=[$(text "$(event "$one")"), $(text "$(event "$two")")]" -d "access_token=$key" \
    "$gateway/v26.0/$pixel/events"
  taken "$one" "$two"
}

form_to_capi() {
  local id
  id=$(new_id)
  line --data-urlencode "data=$(events "$id")" -d "access_token=$key" "$gateway/capi/$pixel/events"
  taken "$id"
}

json_as_form() {
  local id
  id=$(new_id)
  line -i -X POST -d "{
  \"data\": $(events "$id")
}" "$gateway/capi/$pixel/events?access_token=$key"
  taken "$id"
}

json_and_query() {
  local id
  id=$(new_id)
  line -X POST -H 'Content-Type: application/json' -d "{ \"data\": $(events "$id") }" \
    "$gateway/v26.0/$pixel/events?access_token=$key"
  taken "$id"
}

json_and_body() {
  local id
  id=$(new_id)
  line -X POST -H 'Content-Type: application/json' -d "{ \"data\": $(events "$id"), \"access_token\": \"$key\" }" \
    "$gateway/v26.0/$pixel/events"
  taken "$id"
}

json_and_bearer() {
  local id
  id=$(new_id)
  line "$gateway/v26.0/$pixel/events" -H 'Content-Type: application/json' -H "Authorization: Bearer $key" \
    -d "
{
  \"data\": $(events "$id")
}
"
  taken "$id"
}

json_to_capi() {
  local id
  id=$(new_id)
  line -X POST -H 'Content-Type: application/json' -d "{ \"data\": $(events "$id") }" \
    "$gateway/capi/$pixel/events?access_token=$key"
  taken "$id"
}

test_event() {
  local id
  id=$(new_id)
  line -X POST -H 'Content-Type: application/json' \
    -d "{ \"data\": $(events "$id"), \"test_event_code\": \"TEST12345\" }" \
    "$gateway/v26.0/$pixel/events?access_token=$key"
  taken "$id"
  request GET "$sandbox/sandbox/test_events"
  [[ $body == *TEST12345*"$id"* ]] || wrong "it is not among the test events: $body"
}

several() {
  local one two
  one=$(new_id) two=$(new_id)
  line -X POST -H 'Content-Type: application/json' -d "{ \"data\": $(events "$one" "$two") }" \
    "$gateway/v26.0/$pixel/events?access_token=$key"
  taken "$one" "$two"
}

without_id() {
  request GET "$sandbox/sandbox/health"
  local before after=0 until=$((SECONDS + one_wait))
  before=$(member events_distinct)
  line -X POST -H 'Content-Type: application/json' \
    -d "{ \"data\": $(events none | grep -v '"event_id"') }" "$gateway/v26.0/$pixel/events?access_token=$key"
  [[ $status == 200 && $body == *'"events_received":1,'* ]] || wrong "it is not taken: $status $body"
  while ((after <= before && SECONDS < until)); do
    request GET "$sandbox/sandbox/health"
    after=$(member events_distinct)
  done
  ((after == before + 1)) || wrong "there were $before events and are $after"
}

# plainly OPTION…: the same by another manner of HTTP.
plainly() {
  local id
  id=$(new_id)
  line "$@" -H 'Content-Type: application/json' -d "{ \"data\": $(events "$id") }" \
    "$gateway/v26.0/$pixel/events?access_token=$key"
  taken "$id"
}

# over_tls OPTION VERSION: and it is this version of HTTP.
over_tls() {
  local id
  id=$(new_id)
  line "$1" -H 'Content-Type: application/json' -d "{ \"data\": $(events "$id") }" \
    "$gateway_tls/v26.0/$pixel/events?access_token=$key"
  [[ $http == "$2" ]] || wrong "it is HTTP $http"
  taken "$id"
}

kept_alive() {
  local one two url=$gateway/v26.0/$pixel/events?access_token=$key
  one=$(new_id) two=$(new_id)
  curl --silent --max-time "$one_command" --noproxy '*' --write-out '\n%{http_code} %{num_connects}\n' \
    -H 'Content-Type: application/json' -d "{ \"data\": $(events "$one") }" "$url" --next \
    --silent --write-out '\n%{http_code} %{num_connects}\n' \
    -H 'Content-Type: application/json' -d "{ \"data\": $(events "$two") }" "$url" >"$work/out"
  grep -qx '200 1' "$work/out" && grep -qx '200 0' "$work/out" || wrong "not two answers on one connection"
  waits "event $one" at_sandbox "$one"
  waits "event $two" at_sandbox "$two"
}

# pipelined: two requests are written at once; the second one asks for the connection to be closed.
pipelined() {
  local one two id host=${gateway#http://} data
  one=$(new_id) two=$(new_id)
  exec 3<>"/dev/tcp/${host%:*}/${host##*:}"
  for id in "$one" "$two"; do
    data="{ \"data\": $(events "$id") }"
    printf 'POST /v26.0/%s/events?access_token=%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n' \
      "$pixel" "$key" "$host"
    [[ $id == "$one" ]] || printf 'Connection: close\r\n'
    printf 'Content-Length: %s\r\n\r\n%s' "${#data}" "$data"
  done >"$work/requests"
  cat "$work/requests" >&3
  timeout "$one_command" cat <&3 >"$work/out"
  exec 3>&-
  [[ $(grep -o 'HTTP/1.1 200 ' "$work/out" | wc -l) == 2 ]] || wrong "there are not two answers"
  waits "event $one" at_sandbox "$one"
  waits "event $two" at_sandbox "$two"
}

# packed NAME COMMAND…: a body that the command has packed.
packed() {
  local id name=$1
  shift
  id=$(new_id)
  echo "{ \"data\": $(events "$id") }" | "$@" >"$work/packed"
  line -H 'Content-Type: application/json' -H "Content-Encoding: $name" --data-binary "@$work/packed" \
    "$gateway/v26.0/$pixel/events?access_token=$key"
  taken "$id"
}

packed_form() {
  local id
  id=$(new_id)
  printf 'access_token=%s&data=%s' "$key" "$(percent "$(events "$id")")" | gzip -c >"$work/packed"
  line -H 'Content-Encoding: gzip' --data-binary "@$work/packed" "$gateway/v26.0/$pixel/events"
  taken "$id"
}

get() {
  line "$gateway/v26.0/$pixel/events?access_token=$key"
  refused 405 100
}

wrong_token() {
  line -X POST -H 'Content-Type: application/json' -d "{ \"data\": $(events "$(new_id)") }" \
    "$gateway/v26.0/$pixel/events?access_token=EAAB-wrong"
  refused 401 190
  [[ $body != *EAAB-wrong* ]] || wrong "it repeats the token"
  curl --silent --fail --noproxy '*' -o /dev/null -d '{}' "$gateway/v26.0/$pixel/events?access_token=EAAB-wrong"
  [[ $? == 22 ]] || wrong "curl --fail does not see an error"
}

cut_off() {
  line -X POST -H 'Content-Type: application/json' -d '{ "data": [' \
    "$gateway/v26.0/$pixel/events?access_token=$key"
  refused 400 100
}

no_token() {
  line -X POST -F "data=$(events "$(new_id)")" "$gateway/v26.0/$pixel/events"
  refused 401 190
}

unknown_pixel() {
  line -X POST -F "data=$(events "$(new_id)")" -F "access_token=$key" "$gateway/v26.0/9999999999999999/events"
  refused 400 100
  [[ $body == *'"error_subcode":33,'* ]] || wrong "it has no subcode 33: $body"
}

too_old() {
  local id
  id=$(new_id)
  line -X POST -F "data=$(old "$id")" -F "access_token=$key" "$gateway/v26.0/$pixel/events"
  refused 400 100
  [[ $body == *'"error_subcode":2804003,'* ]] || wrong "it has no subcode 2804003: $body"
}
