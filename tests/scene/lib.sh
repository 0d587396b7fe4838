# shellcheck shell=bash
# What tests/observability.sh and tests/browser/run.sh look at: a gateway in front of `capigate
# sandbox`, with four pixels and real traffic: good events, refused ones, dead letters, duplicates, a
# lane that is held, a pixel in test mode. Before it, tests/tokens/lib.sh; $capigate names the program.

readonly shop=1234567890123456 outlet=2222222222222222 blog=3333333333333333 tills=4444444444444444
readonly shop_key=the-canary-key-of-the-shop-1 admin_key=the-canary-admin-key-1 view_key=the-canary-view-key-1
# in events, raw: nothing may show it
readonly canary=canary.jane.7731@example.com canary_ip=203.0.113.77 canary_agent=CanaryAgent/7.31
sandbox='' ingest='' admin=''

# has_program: builds it, unless CAPIGATE_BIN names one; a copy that nobody builds anew is $capigate.
has_program() {
  local built=${CAPIGATE_BIN:-}
  if [[ -z $built ]]; then
    if ! command -v cargo >/dev/null; then
      echo "cargo is missing: install Rust 1.95 or newer, or name a program with CAPIGATE_BIN" >&2
      return 1
    fi
    cargo build --quiet --locked || return 1
    built=${CARGO_TARGET_DIR:-target}/debug/capigate
  fi
  cp "$built" "$work/capigate" && capigate=$work/capigate
  # lib.sh looks for secrets in what the program says; here nobody reads that
  : >"$work/pieces"
}

starts_scene() {
  : >"$work/sandbox.log" >"$work/gateway.log"
  "$capigate" sandbox --listen 127.0.0.1:0 --world tests/scene/world.toml >"$work/sandbox.log" 2>&1 &
  pids+=($!)
  waits "the sandbox" grep -q '^listening on ' "$work/sandbox.log"
  sandbox=$(sed -n 's/^listening on //p' "$work/sandbox.log")
  request POST "$sandbox/sandbox/faults" '[
    {"do":"status","status":503,"times":1,"pixel":"'$shop'"},
    {"do":"throttle","code":80004,"subcode":2446079,"times":1,"pixel":"'$tills'"},
    {"do":"refuse_event","event_id":"bad-*","subcode":2804019,"pixel":"'$shop'"}]'
  [[ $status == 200 ]] || wrong "the sandbox takes no faults: $body"
  scene_config >"$work/capigate.toml"
  value() { sed -n "/^name = \"$1\"$/,/^value/s/^value = \"\(.*\)\"$/\1/p" tests/scene/world.toml; }
  env -i PATH=/usr/bin:/bin SHOP_TOKEN="$(value shop)" OUTLET_TOKEN="$(value outlet)" BLOG_TOKEN="$(value blog)" \
    TILLS_TOKEN="$(value tills)" SHOP_KEY="$shop_key" ADMIN_KEY="$admin_key" VIEW_KEY="$view_key" \
    "$capigate" serve --config "$work/capigate.toml" >"$work/gateway.log" 2>&1 &
  pids+=($!)
  waits "the gateway" grep -q '"message":"gateway is ready"' "$work/gateway.log"
  local ready
  ready=$(grep '"message":"gateway is ready"' "$work/gateway.log")
  [[ $ready =~ \"listen.ingest\":\"([^\"]+)\" ]] && ingest=${BASH_REMATCH[1]}
  [[ $ready =~ \"listen.admin\":\"([^\"]+)\" ]] && admin=${BASH_REMATCH[1]}
}

scene_config() {
  cat <<END
[listen]
ingest = "127.0.0.1:0"
admin = "127.0.0.1:0"
[graph]
url = "$sandbox"
dialog_url = "$sandbox"
[journal]
dir = "$work/journal"
[duplicates]
events = "all"
[lanes]
linger = "50ms"
backoff_min = "100ms"
backoff_max = "500ms"
throttle_min = "1s"
probe_interval = "10m"
[reload]
debounce = "20ms"
[shutdown]
grace = "0s"
[telemetry]
log_format = "json"
[admin]
keys = [{ env = "ADMIN_KEY" }]
view_keys = [{ env = "VIEW_KEY" }]
[pixels.$shop]
name = "Example Shop, web, with a name that is sixty characters long"
site = "https://shop.example"
token = { env = "SHOP_TOKEN" }
policy = { block_events = ["Noise"], rename_events = { "Order Completed" = "Purchase" } }
[pixels.$outlet]
name = "Example Shop, outlet"
site = "https://outlet.example"
token = { env = "OUTLET_TOKEN" }
[pixels.$blog]
name = "Example Blog"
site = "https://blog.example"
token = { env = "BLOG_TOKEN" }
[pixels.$tills]
name = "Example Shop, tills"
token = { env = "TILLS_TOKEN" }
[sources.shop]
keys = [{ env = "SHOP_KEY" }]
pixels = ["$shop", "$outlet", "$blog", "$tills"]
[sources.pages]
kind = "browser"
pixels = ["$shop"]
origins = ["https://shop.example"]
END
}

# event NAME ID [MORE]: one event as JSON; MORE are further members.
event() {
  printf '{"event_name":"%s","event_id":"%s","event_time":%d,"action_source":"website",' "$1" "$2" "$(($(date +%s) - 5))"
  printf '"event_source_url":"https://shop.example/thanks","user_data":{"em":"%s","client_user_agent":"%s","client_ip_address":"%s"},' "$canary" "$canary_agent" "$canary_ip"
  printf '"custom_data":{"value":129.9,"currency":"EUR","order_id":"order-%s"}%s}' "$2" "${3-}"
}

# posts PIXEL EVENT…: in one request.
posts() {
  local pixel=$1 data
  shift
  data=$(IFS=,; printf '{"data":[%s]}' "$*")
  request POST "http://$ingest/v26.0/$pixel/events" "$data" "Authorization: Bearer $shop_key"
}

# some PREFIX COUNT: posts so many good events of several names to the shop.
some() {
  local names=(Purchase PageView AddToCart Lead) events=() n
  for ((n = 0; n < $2; n++)); do events+=("$(event "${names[n % 4]}" "$1-$n")"); done
  posts "$shop" "${events[@]}"
}

# All that can become of events, once.
runs_scene() {
  local twin
  ADMIN_KEY=$admin_key "$capigate" test-mode start "$tills" --code TEST12345 --for 2h --admin "http://$admin" --key-env ADMIN_KEY >"$work/said" 2>&1 ||
    wrong "no test mode: $(cat "$work/said")"
  some good 40
  twin=$(event Purchase twin-1)
  posts "$shop" "$twin"
  posts "$shop" "$twin"
  posts "$shop" "$(event Purchase fine-1)" "$(event Purchase "")" "$(event Purchase old-1 ',"event_time":1000')" '{"event_name":""}'
  posts "$shop" "$(event Purchase bad-1)" "$(event Lead bad-2)" "$(event Purchase fine-2)" "$(event Noise noise-1)" "$(event "Order Completed" named-1)"
  posts "$outlet" "$(event Purchase held-1)" "$(event Lead held-2)"
  posts "$blog" "$(event PageView blog-1)"
  posts "$tills" "$(event Purchase till-1)"
  # a wrong key, a body that is none
  request POST "http://$ingest/v26.0/$shop/events" '{"data":[]}' 'Authorization: Bearer nobody'
  request POST "http://$ingest/v26.0/$shop/events" '{"data":' "Authorization: Bearer $shop_key"
  waits "dead letters, and a lane that is held" is_played
  # a change, which also makes the watch over tokens look again
  sed -i 's/^name = "Example Blog"$/name = "Example Blog, news"\napp_id = "1000000000000001"/' "$work/capigate.toml"
  waits "the changed configuration, and when tokens were used" is_changed
}

is_changed() {
  request GET "http://$admin/metrics"
  [[ $body == *'capigate_config_generation 2'* && $body == *'capigate_token_last_used_timestamp_seconds{'* ]]
}

is_played() {
  request GET "http://$admin/metrics"
  [[ $body == *'capigate_dead_letters 2'* && $body == *'capigate_lanes{state="held"} 1'* &&
    $body == *"capigate_delivered_total{pixel=\"$blog\"} 1"* && $body == *"capigate_delivered_total{pixel=\"$tills\"} 1"* ]]
}
