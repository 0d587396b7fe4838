# shellcheck shell=bash
# Before the guides: a vault, the secret of an app, and help.

first_steps() {
  step "init makes a key that its owner alone can read" makes_key
  step "init overwrites no key" makes_no_second_key
  step "a command without a vault says how to get one" needs_vault
  write_config
  step "the guides are listed and shown" shows_guides
  step "explain says what 190/463 means and what to do" explains_expired
  step "explain says what 100/36009 means and what to do" explains_used
  step "explain says when it does not know a code" explains_nothing
  step "a token in the configuration is refused without being shown" refuses_literal
  step "a wrong app secret is refused before it is kept" refuses_wrong_app
  step "an app id that Meta does not know is refused" refuses_unknown_app
  step "an access token in the place of the app secret is refused" refuses_token_as_secret
  step "an app secret is proved and sealed" takes_app
  step "apps are listed without their secrets" lists_apps
  step "setup asks one question at a time and ends with the lines to add" sets_up
  step "setup goes on where it was left and asks nothing twice" sets_up_again
  step "check holds production to having no test code" checks_production
}

# write_config [FILE [DIRECTORY [KEY]]]: the configuration of a machine.
write_config() {
  local file=${1:-$work/capigate.toml} dir=${2:-$work/data} key=${3:-$work/vault.key}
  cat >"$file" <<END
[listen]
ingest = "127.0.0.1:0"
admin = "127.0.0.1:0"
[graph]
url = "$url"
dialog_url = "$url"
[journal]
dir = "$dir/journal"
[lanes]
linger = "20ms"
probe_interval = "1s"
[reload]
debounce = "20ms"
[telemetry]
log_format = "json"
[shutdown]
grace = "0s"
[tokens]
vault = "$dir/tokens.vault"
vault_key = { file = "$key" }
[sources.shop]
keys = [{ env = "SHOP_KEY" }]
pixels = ["$pixel"]
[pixels.$pixel]
name = "Example Shop, web"
site = "https://shop.example"
[pixels.$outlet]
name = "Example Shop, outlet"
site = "https://outlet.example"
END
}

makes_key() {
  gate 0 token init --key-file "$work/vault.key"
  says "made a key in $work/vault.key" "[tokens]" "vault_key = { file = \"$work/vault.key\" }"
  [[ $(stat -c %a "$work/vault.key") == 600 ]] || wrong "others can read the key"
  secret "$(<"$work/vault.key")" 8
  is_discreet init "$work/out" "$work/err"
}

makes_no_second_key() {
  local before after
  before=$(sha256sum <"$work/vault.key")
  gate 64 token init --key-file "$work/vault.key"
  says "$work/vault.key"
  hides "made a key"
  after=$(sha256sum <"$work/vault.key")
  [[ $before == "$after" ]] || wrong "the key is another one"
}

needs_vault() {
  printf '[graph]\nurl = "%s"\n' "$url" >"$work/bare.toml"
  gate 64 token add --config "$work/bare.toml" <<<"$(value dataset)"
  says "there is no vault" "capigate token init"
}

shows_guides() {
  local topic
  gate 0 token guide
  for topic in pixel dataset-token test-code app page-token system-user login troubleshooting lost-token; do
    says "$topic"
    gate 0 token guide "$topic"
    [[ -s $work/out ]] || wrong "nothing is said about $topic"
    gate 0 token guide
  done
  gate 64 token guide no-such-topic
  says "dataset-token"
}

explains_expired() {
  gate 0 explain 190/463
  says "the token has expired" "→" "capigate token login"
}

explains_used() {
  gate 0 explain 100/36009
  says "this code has been used" "→" "Log in again"
}

explains_nothing() {
  gate 1 explain 987654
  says "987654 is not in this program's catalogue"
}

refuses_literal() {
  printf '[pixels.%s]\ntoken = "%s"\n' "$pixel" "$(value dataset)" >"$work/literal.toml"
  gate 64 config check --config "$work/literal.toml"
  says "pixels.$pixel.token"
}

refuses_wrong_app() {
  token 5 app add --app-id "$app" <<<"0000111122223333444455556666777f"
  says "the app secret is wrong" "Nothing was kept" "trace id" "→"
  token 0 app list
  says "No app is in the vault"
}

refuses_unknown_app() {
  token 5 app add --app-id 1000000000009999 <<<"$app_secret"
  says "there is no such app" "Nothing was kept"
}

refuses_token_as_secret() {
  token 64 app add --app-id "$app" <<<"$(value dataset)"
  says "this is an access token, not the app secret" "token_as_app_secret"
}

takes_app() {
  token 0 app add --app-id "$app" <<<"$app_secret"
  says "Meta knows app $app with this secret" "sealed into the vault" "takes it over by itself"
  [[ $(stat -c %a "$work/data/tokens.vault") == 600 ]] || wrong "others can read the vault"
}

lists_apps() {
  token 0 app list
  says "$app" "$(fingerprint "$app_secret")"
}

sets_up() {
  printf '[graph]\nurl = "%s"\ndialog_url = "%s"\n[journal]\ndir = "%s/setup"\n' "$url" "$url" "$work" >"$work/setup.toml"
  # the place of the vault is taken from where one stands
  mkdir -p "$work/setup"
  local answers=("no id" "$pixel" "Example Shop, web" www.shop.example https://shop.example 1 "$(value dataset)")
  (cd "$work/setup" && printf '%s\n' "${answers[@]}" | run token setup --key-file "$work/setup.key" --config "$work/setup.toml")
  code=$?
  heard "token setup" 0
  says "made a key for the vault in $work/setup.key" "is 5 to 20 digits" "expected the https address of a website" \
    "Generate access token" "sees the pixel (Shop website)" "pixel $pixel sends with it" "[pixels.$pixel]" \
    'site = "https://shop.example"' "capigate check"
  cp "$work/out" "$work/out.setup"
}

sets_up_again() {
  sed -n '/^\[tokens\]$/,/^$/p; /^\[pixels\./,/^$/p' "$work/out.setup" >>"$work/setup.toml"
  gate 0 token setup --pixel "$pixel" --config "$work/setup.toml"
  says "the configuration has a vault" "it is called Example Shop, web" "it has a token already" "valid"
  hides "Which token" "Put this into the configuration"
  gate 0 check --config "$work/setup.toml"
  says "nothing has to be done"
}

checks_production() {
  cp "$work/setup.toml" "$work/production.toml"
  gate 0 check --profile production --config "$work/production.toml"
  echo 'test_event_code = "TEST12345"' >>"$work/production.toml"
  gate 0 check --config "$work/production.toml"
  gate 64 check --profile production --config "$work/production.toml"
  says test_event_code
}
