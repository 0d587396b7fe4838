# shellcheck shell=bash
# What becomes of the vault: a token in clear for another program, a copy, a wrong key, damage.

vault_care() {
  step "export-env writes a private file" exports
  step "export-env overwrites no file" exports_over_nothing
  step "export-env prints nothing without a yes" asks_before_revealing
  step "a copied vault opens with its key on another machine" opens_elsewhere
  step "another key does not open the vault and harms nothing" refuses_other_key
  step "a damaged vault is told and not written over" refuses_damage
  step "what is no vault is told and not written over" refuses_stranger
  step "a vault that others may read is refused" refuses_open_vault
  step "a key that others may read is refused" refuses_open_key
  step "a gateway whose vault cannot be read says so and takes events" gateway_stands_damage
  step "no file of the gateway holds a token in clear" files_are_sealed
}

exports() {
  token 0 export-env shop --var SHOP_TOKEN --out "$work/shop.env"
  says "wrote shop in clear to $work/shop.env" "is safer than a variable"
  [[ $(stat -c %a "$work/shop.env") == 600 ]] || wrong "others can read the file"
  [[ $(<"$work/shop.env") == "SHOP_TOKEN='$(value dataset)'" ]] || wrong "it is not what a shell reads"
}

exports_over_nothing() {
  echo mine >"$work/mine.env"
  token 1 export-env shop --var SHOP_TOKEN --out "$work/mine.env"
  says "$work/mine.env"
  [[ $(<"$work/mine.env") == mine ]] || wrong "the file was written over"
  token 64 export-env shop --var 'NOT A NAME' --out "$work/other.env"
  says "--var"
  [[ ! -e $work/other.env ]] || wrong "a file was made"
}

asks_before_revealing() {
  token 64 export-env shop --var SHOP_TOKEN
  says "--out"
  token 64 export-env shop --var SHOP_TOKEN --reveal
  says "in clear" "add --yes"
}

# copies: the vault and its key, each to a place of its own; the configuration is $there.
copies() {
  there=$work/copy.toml
  rm -rf "$work/copy" "$work/copy.key"
  mkdir -m 700 "$work/copy"
  cp -p "$work/data/tokens.vault" "$work/copy/tokens.vault"
  cp -p "$work/vault.key" "$work/copy.key"
  write_config "$there" "$work/copy" "$work/copy.key"
}

opens_elsewhere() {
  copies
  gate 0 token list --config "$there"
  says shop "EAAQ…wRk6" shop-page by-login
  gate 0 token verify --pixel "$pixel" --config "$there"
  says "Shop website"
  gate 0 token export-env shop --var SHOP_TOKEN --out "$work/copy.env" --config "$there"
  cmp -s "$work/shop.env" "$work/copy.env" || wrong "it is another token"
}

# changes_nothing CODE SAYS…: neither a look at the copy nor a change of it does anything to it.
changes_nothing() {
  local wanted=$1 before
  shift
  before=$(sha256sum <"$work/copy/tokens.vault")
  gate "$wanted" token list --config "$there"
  says "$@"
  gate "$wanted" token add --name more --config "$there" <<<"$(value dataset-new)"
  says "$@"
  gate "$wanted" token app add --app-id "$app" --offline --config "$there" <<<"$app_secret"
  says "$@"
  [[ $before == "$(sha256sum <"$work/copy/tokens.vault")" ]] || wrong "the vault was written over"
}

refuses_other_key() {
  copies
  rm "$work/copy.key"
  gate 0 token init --key-file "$work/copy.key"
  changes_nothing 64 "$work/copy/tokens.vault is sealed with another key" "tokens.vault_key"
}

refuses_damage() {
  copies
  # one bit of its last byte
  local size last
  size=$(stat -c %s "$work/copy/tokens.vault")
  last=$(tail -c 1 "$work/copy/tokens.vault" | od -An -tu1)
  # shellcheck disable=SC2059
  printf "\\x$(printf %02x $((last ^ 1)))" |
    dd of="$work/copy/tokens.vault" bs=1 seek=$((size - 1)) conv=notrunc status=none
  changes_nothing 64 "$work/copy/tokens.vault is damaged: put it back from a backup"
}

refuses_stranger() {
  copies
  echo '{"tokens":{}}' >"$work/copy/tokens.vault"
  changes_nothing 64 "$work/copy/tokens.vault is no vault of capigate"
}

refuses_open_vault() {
  copies
  chmod 640 "$work/copy/tokens.vault"
  changes_nothing 64 "can be read by others (mode 0640)" "chmod 600 $work/copy/tokens.vault"
}

refuses_open_key() {
  copies
  chmod 644 "$work/copy.key"
  changes_nothing 64 "$work/copy.key can be read by others" "chmod 600"
}

gateway_stands_damage() {
  refuses_damage
  local before
  before=$(sha256sum <"$work/copy/tokens.vault")
  starts_gateway "$there"
  grep -qF "the vault cannot be read: events of pixels whose token is there are taken and wait" "$work/gateway.log" ||
    wrong "the log does not say it"
  posts waits-1
  request GET "$admin/readyz"
  stops_gateway
  [[ $before == "$(sha256sum <"$work/copy/tokens.vault")" ]] || wrong "the vault was written over"
}

files_are_sealed() {
  local found
  rm -f "$work"/*.env
  # what the sandbox handed out, too
  request GET "$url/sandbox/tokens"
  local print
  for print in $(grep -oE '"fingerprint":"[0-9a-f]*"' <<<"$body" | cut -d'"' -f4); do
    secret "$(value "$print")" 12
    request GET "$url/sandbox/tokens"
  done
  found=$(grep -rlaFf <(awk 'length >= 8' "$work/pieces") "$work/data" "$work/copy")
  [[ -z $found ]] || wrong "a secret lies in $found"
}

last_words() {
  step "no command has ever shown a piece of any token there was" said_nothing
}

said_nothing() {
  [[ $(wc -l <"$work/said") -gt 500 ]] || wrong "too little was said to say anything"
  is_discreet "some command" "$work/said"
}
