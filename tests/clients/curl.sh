# shellcheck shell=bash
# The curl lines of Meta's documentation as they are printed there, but for host, pixel, token and
# time; and what else of HTTP a client may use.

# packs standard input by a function of Node's
zlib=tests/clients/node/zlib.mjs

curl_suite() {
  local url=$gateway/v26.0/$pixel/events capi=$gateway/capi/$pixel/events
  local json=(-H 'Content-Type: application/json')

  # the page Using the API, and the reference
  step "multipart" sends -X POST -F 'data=EVENTS' -F "access_token=$key" "$url"
  step "multipart with the token in the address" sends -X POST -F 'data=EVENTS' "$url?access_token=$key"
  step "multipart with options" has '{"partner_agent":"exampleplatform","test_event_code":"TEST123"}' -X POST \
    -F 'data=EVENTS' -F 'test_event_code=TEST123' -F 'partner_agent=exampleplatform' -F "access_token=$key" "$url"
  step "multipart with the events in a file" sends -F "data=<FILE" -F "access_token=$key" "$url"
  step "a form" sends -X POST -d 'data=FORM' -d "access_token=$key" "$url"
  step "a form that curl encodes" has '{"upload_tag":"a b"}' \
    --data-urlencode 'data=EVENTS' --data-urlencode 'upload_tag=a b' -d "access_token=$key" "$url"
  step "a form with each event as a text of its own" form_of_texts
  step "JSON with the token in the address" sends -X POST "${json[@]}" -d '{ "data": EVENTS }' "$url?access_token=$key"
  step "JSON with the token in the body" sends "${json[@]}" -d "{ \"data\": EVENTS, \"access_token\": \"$key\" }" "$url"
  step "JSON with a bearer token" sends "$url" "${json[@]}" -H "Authorization: Bearer $key" -d '{ "data": EVENTS }'
  step "JSON with options" has '{"test_event_code":"TEST123"}' "${json[@]}" \
    -d '{ "data": EVENTS, "test_event_code": "TEST123" }' "$url?access_token=$key"
  step "several events" several
  step "an event without an id" without_id

  # the page of Meta's own gateway, which prints no token
  step "JSON without its type, to /capi" sends -i -X POST -d '{ "data": EVENTS }' "$capi?access_token=$key"
  step "JSON to /capi" sends "${json[@]}" -d '{ "data": EVENTS }' "$capi?access_token=$key"
  step "a form to /capi" sends -d 'data=FORM' -d "access_token=$key" "$capi"

  # the page Batch Requests
  step "a batch" graph_batch
  step "a batch as JSON, one of it refused" graph_batch_as_json

  # HTTP
  local plain=("${json[@]}" -d '{ "data": EVENTS }' "$url?access_token=$key")
  step "HTTP/1.0" sends --http1.0 "${plain[@]}"
  step "HTTP/1.1 that asks before it sends" sends -H 'Expect: 100-continue' "${plain[@]}"
  step "HTTP/1.1 in chunks" sends -H 'Transfer-Encoding: chunked' "${plain[@]}"
  step "HTTP/2 without TLS" sends --http2-prior-knowledge "${plain[@]}"
  step "HTTP/2 by an upgrade that is not taken" sends --http2 "${plain[@]}"
  step "HTTP/1.1 with TLS" over_tls --http1.1 1.1
  step "HTTP/2 with TLS" over_tls --http2 2
  step "two requests on one connection" kept_alive
  step "two requests that do not wait for each other" pipelined
  step "JSON packed with gzip" packed gzip '{ "data": EVENTS }' gzip -c
  step "JSON packed with deflate" packed deflate '{ "data": EVENTS }' node "$zlib" deflateSync
  step "JSON packed with br" packed br '{ "data": EVENTS }' node "$zlib" brotliCompressSync
  step "JSON packed with zstd" packed zstd '{ "data": EVENTS }' zstd -c
  step "a form packed with gzip" packed gzip 'data=FORM' gzip -c
  step "HEAD and OPTIONS" head_and_options

  # refusals
  step "GET" refuses 405 100 '' "$url?access_token=$key"
  step "a token that is wrong" refuses 401 190 '' -F 'data=EVENTS' -F "access_token=EAAB-wrong" "$url"
  step "no token" refuses 401 190 '' -F 'data=EVENTS' "$url"
  step "a pixel that is not configured" refuses 400 100 33 \
    -F 'data=EVENTS' -F "access_token=$key" "$gateway/v26.0/9999999999999999/events"
  step "an event that is too old" refuses 400 100 2804003 -F 'data=OLD' -F "access_token=$key" "$url"
  step "a body that is cut off" refuses 400 100 '' "${json[@]}" -d '{ "data": [' "$url?access_token=$key"
  step "curl --fail sees a refusal" fails
}

# line ARGUMENT…: one curl line; $status, $http and $body are its answer.
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

# percent TEXT: as a form has it.
percent() { node -e 'process.stdout.write(encodeURIComponent(process.argv[1]))' "$1"; }

# words ID ARGUMENT…: the arguments into $words; in them EVENTS stands for the value of `data` with this
# event, FORM for the same as a form has it, FILE for a file with it, and OLD for an event of 8 days ago.
words() {
  local data form
  data=$(events "$1")
  form=$(percent "$data")
  echo "$data" >"$work/events"
  shift
  words=("${@//EVENTS/"$data"}")
  words=("${words[@]//FORM/"$form"}")
  words=("${words[@]//FILE/"$work/events"}")
  words=("${words[@]//OLD/"$(old "$(new_id)")"}")
}

# sends ARGUMENT…: a curl line with one new event, which is taken and arrives; its id is in $id.
sends() {
  id=$(new_id)
  words "$id" "$@"
  line "${words[@]}"
  taken "$id"
}

# has OPTIONS ARGUMENT…: the same, and it arrives with these request options.
has() {
  local options=$1
  shift
  sends "$@"
  request GET "$sandbox/sandbox/batches?limit=1"
  [[ $body == *"\"options\":$options"* ]] || wrong "the options are not $options: $body"
}

# refuses STATUS CODE SUBCODE ARGUMENT…: a curl line that is answered with an error of Graph's shape.
refuses() {
  local expected=$1 code=$2 subcode=$3
  shift 3
  words "$(new_id)" "$@"
  line "${words[@]}"
  [[ $status == "$expected" && $body == *'{"error":{'* && $body == *"\"code\":$code,"* ]] ||
    wrong "wanted $expected and code $code, got $status $body"
  [[ -z $subcode || $body == *"\"error_subcode\":$subcode,"* ]] || wrong "it has no subcode $subcode: $body"
  [[ $body != *EAAB-* ]] || wrong "it repeats the token"
}

# at_sandbox ID: whether the event is there.
at_sandbox() {
  local status head body
  request GET "$sandbox/sandbox/ledger?event_id=$1"
  [[ $body == *"\"event_id\":\"$1\""* ]]
}

# taken ID…: the answer says so, and the events arrive once.
taken() {
  local id
  if [[ $status != 200 || $body != *"\"events_received\":$#,"* ]]; then
    wrong "it is not taken: $status $body"
    return
  fi
  for id; do
    waits "event $id" at_sandbox "$id"
    request GET "$sandbox/sandbox/ledger?event_id=$id"
    [[ $(member times) == 1 ]] || wrong "it has not arrived once: $body"
  done
}

form_of_texts() {
  local one two
  one=$(new_id) two=$(new_id)
  line --data-urlencode "data=[$(text "$(event "$one")"), $(text "$(event "$two")")]" -d "access_token=$key" "$url"
  taken "$one" "$two"
}

several() {
  local one two
  one=$(new_id) two=$(new_id)
  line -X POST "${json[@]}" -d "{ \"data\": $(events "$one" "$two") }" "$url?access_token=$key"
  taken "$one" "$two"
}

without_id() {
  request GET "$sandbox/sandbox/health"
  local before after=0 until=$((SECONDS + one_wait))
  before=$(member events_distinct)
  line -F "data=$(events none | grep -v '"event_id"')" -F "access_token=$key" "$url"
  [[ $status == 200 && $body == *'"events_received":1,'* ]] || wrong "it is not taken: $status $body"
  while ((after <= before && SECONDS < until)); do
    request GET "$sandbox/sandbox/health"
    after=$(member events_distinct)
  done
  ((after == before + 1)) || wrong "there were $before events and are $after"
}

# operation VERSION DATA: one of a batch.
operation() {
  echo "{\"method\":\"POST\", \"relative_url\":\"$1$pixel/events\", \"body\":\"data=$(percent "$2")\"}"
}

graph_batch() {
  local id
  id=$(new_id)
  line -F "access_token=$key" -F 'include_headers=false' -F "batch=[$(operation v26.0/ "$(events "$id")")]" "$gateway"
  [[ $status == 200 && $body == '[{"code":200,"body":"{\"events_received\":1,'* ]] ||
    wrong "the answer is not that of a batch: $status $body"
  waits "event $id" at_sandbox "$id"
}

graph_batch_as_json() {
  local id bad
  id=$(new_id) bad=$(new_id)
  line "${json[@]}" "$gateway/v26.0?access_token=$key" \
    -d "{\"batch\":[$(operation '' "$(events "$id")"), $(operation '' "$(old "$bad")")]}"
  [[ $status == 200 && $body == '[{"code":200,"headers":['*'{"code":400,'*'\"error_subcode\":2804003'* ]] ||
    wrong "the answer is not that of a batch: $status $body"
  waits "event $id" at_sandbox "$id"
  ! at_sandbox "$bad" || wrong "the old event has arrived"
}

# over_tls OPTION VERSION: and it is this version of HTTP.
over_tls() {
  sends "$1" "${json[@]}" -d '{ "data": EVENTS }' "$gateway_tls/v26.0/$pixel/events?access_token=$key"
  [[ $http == "$2" ]] || wrong "it is HTTP $http"
}

kept_alive() {
  local one two each=(--silent --noproxy '*' --write-out '\n%{http_code} %{num_connects}\n' "${json[@]}")
  one=$(new_id) two=$(new_id)
  curl --max-time "$one_command" "${each[@]}" -d "{ \"data\": $(events "$one") }" "$url?access_token=$key" \
    --next "${each[@]}" -d "{ \"data\": $(events "$two") }" "$url?access_token=$key" >"$work/out"
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

# packed NAME BODY COMMAND…: a body that the command has packed.
packed() {
  local id name=$1 type=application/json
  [[ $2 == '{'* ]] || type=application/x-www-form-urlencoded
  id=$(new_id)
  words "$id" "$2"
  shift 2
  printf %s "${words[0]}" | "$@" >"$work/packed"
  line -H "Content-Type: $type" -H "Content-Encoding: $name" --data-binary "@$work/packed" "$url?access_token=$key"
  taken "$id"
}

head_and_options() {
  line --head "$url"
  [[ $status == 405 && ${body,,} == *'allow: '*post* ]] || wrong "HEAD is answered $status $body"
  line -i -X OPTIONS "$url"
  [[ $status == 204 && ${body,,} == *'allow: '*post* ]] || wrong "OPTIONS is answered $status $body"
}

fails() {
  curl --silent --fail --noproxy '*' -o /dev/null -d '{}' "$url?access_token=EAAB-wrong"
  (($? == 22)) || wrong "curl --fail does not see an error"
}
