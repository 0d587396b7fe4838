# shellcheck shell=bash
# Guide D: tokens of system users, their expiry and renewal, and how a pixel changes tokens.

system_user_guide() {
  step "an admin's token is kept to ask with" keeps_admin
  step "system users of the business are listed" lists_system_users
  step "a system user without the app is refused with Meta's words" needs_install
  step "the app is installed for a system user" installs
  step "a scope that Meta does not list is passed on with a warning" warns_of_scope
  step "a 60-day token is made for a system user and the pixel sends with it" creates
  step "inspect shows kind app expiry and scopes" inspects_system_user
  step "check looks at everything and ends well" checks
  step "a refresh that is not due says so" is_not_due
  step "a forced refresh replaces the token and keeps the old one to go back to" refreshes
  step "a business that wants 60-day tokens refuses one that never ends" must_expire
  step "a token that expired is told with 190/463 and what to do" tells_expired
  step "an expired token cannot be refreshed" refreshes_too_late
  step "check says what has to be done about an expired token" checks_expired
  step "a new token renews the pixel" renews
  step "rotate refuses a token of another app" refuses_other_app
  step "rotate refuses a token that may do less" refuses_fewer_scopes
  step "rotate finds the next token by itself" rotates_from_next
  step "finish is refused while the overlap lasts" finishes_too_early
  step "finish with revoke asks" asks_before_revoking
  step "finish with revoke ends the old token at Meta" finishes
  step "revoke refuses what a pixel sends with" revokes_nothing_in_use
  step "a leaked token is revoked at once" revokes_leaked
  step "a token of the Events Manager is revoked by hand and it is said where" revokes_by_hand
  step "a token that leaves the vault is said to be still good" removes
}

# is_valid NAME: what Facebook says of the token in the vault with this name.
state_of() {
  local print
  print=$(print_of "$1")
  request GET "$url/sandbox/tokens"
  grep -oE '\{[^{}]*"fingerprint":"'"$print"'"[^{}]*\}' <<<"$body" | grep -oE '"state":"[a-z_]*"' | cut -d'"' -f4
}

# print_of NAME: the fingerprint of a token in the vault.
print_of() {
  timeout "$one_command" "$capigate" token list --json --config "$work/capigate.toml" 2>/dev/null |
    sed -n 's/^ *"\(fingerprint\|name\)": "\(.*\)",$/\1 \2/p' |
    awk -v name="$1" '$1 == "fingerprint" { print_ = $2 } $1 == "name" && $2 == name { print print_; exit }'
}

keeps_admin() {
  token 0 add --name admin --kind system-user <<<"$(value admin)"
  says "sealed into the vault as admin" "a system user's token"
}

lists_system_users() {
  token 0 system-user list --business "$business" --from admin
  says "$system_user" Gateway ADMIN "$bare_user" Reports
  token 0 system-user list --business "$business" --from admin --json
  says '"role": "ADMIN"'
}

needs_install() {
  token 5 system-user create --system-user "$bare_user" --scope ads_management --from admin
  says "refused for this system user" "Meta says" "trace id" "→"
}

installs() {
  token 0 system-user install --system-user "$bare_user" --from admin
  says "app $app is installed for system user $bare_user" "Add assets" "capigate token system-user create"
}

warns_of_scope() {
  token 5 system-user create --system-user "$bare_user" --scope no_such_scope --from admin
  says "Meta does not list these for system users" no_such_scope
  token 64 system-user create --system-user "$bare_user" --scope 'ads_management,ads_read' --from admin
  says "--scope" "repeat it for more"
}

creates() {
  token 0 system-user create --system-user "$bare_user" --scope ads_management --scope ads_read \
    --sixty-days --pixel "$outlet" --name outlet --from admin
  says "made a token for system user $bare_user" "sealed into the vault as outlet" "pixel $outlet sends with it" "(in 60 days)"
}

inspects_system_user() {
  token 0 inspect outlet
  says "system user" "$app (Shop events)" "$bare_user" "(in 60 days)" ads_read
  token 0 inspect outlet --json
  says '"expires_in_days": ' '"kind": "system_user"'
}

checks() {
  gate 0 check --config "$work/capigate.toml"
  says "$outlet" "$pixel"
  gate 0 check --json --config "$work/capigate.toml"
  says '"ok": true'
}

is_not_due() {
  token 0 system-user refresh outlet
  says "it is not due yet" "--force refreshes it now"
  token 0 system-user refresh --all
}

refreshes() {
  local before
  # a token of the same second would not live longer
  request POST "$url/sandbox/clock" '{"advance":"1d"}'
  before=$(print_of outlet)
  token 0 system-user refresh outlet --force
  says "outlet is refreshed: outlet-2 takes its place and expires" "(in 61 days)"
  [[ $(print_of outlet-2) != "$before" && -n $(print_of outlet-2) ]] || wrong "it is the same token"
  token 0 list --pixel "$outlet"
  says "$outlet (current)" "$outlet (retiring)"
  [[ $(state_of outlet) == valid ]] || wrong "the old one does not work any more"
}

must_expire() {
  token 0 app add --app-id "$other_app" <<<"$other_secret"
  token 5 system-user create --app-id "$other_app" --system-user "$strict_user" --scope ads_management \
    <<<"$(value strict-admin)"
  says "refused for this system user" "60 days" "Meta says"
  token 0 system-user create --app-id "$other_app" --system-user "$strict_user" --scope ads_management \
    --sixty-days --name strict <<<"$(value strict-admin)"
  says "(in 61 days)"
}

tells_expired() {
  request POST "$url/sandbox/clock" '{"advance":"61d"}'
  local verb
  for verb in inspect verify; do
    token 3 "$verb" outlet-2
    says "the token has expired" "(190/463)" "→" "capigate token system-user"
  done
  token 0 list
  says "expired (190/463)"
}

refreshes_too_late() {
  token 3 system-user refresh outlet-2
  says "the token has expired" "(190/463)"
  token 3 extend outlet-2
  says "the token has expired"
}

checks_expired() {
  gate 3 check --config "$work/capigate.toml"
  says "$outlet" "190/463" "→"
}

renews() {
  token 0 system-user create --system-user "$bare_user" --scope ads_management --scope ads_read \
    --name outlet-3 --app-id "$app" --from admin
  says "expires: never"
  token 0 add --pixel "$outlet" --slot next <<<"$(value "$(print_of outlet-3)")"
  token 0 rotate --pixel "$outlet" --from-next
  says "outlet-2, the token until now, is expired" "pixel $outlet sends with outlet-3 now"
  token 0 verify --pixel "$outlet"
  says "expires: never"
}

refuses_other_app() {
  request POST "$url/sandbox/tokens" '{"name":"foreign","app":"'"$other_app"'","holder":"'"$system_user"'","scopes":["ads_management","ads_read"]}'
  token 5 rotate --pixel "$outlet" <<<"$(value foreign)"
  says "it belongs to another app than the one it is to replace" "The token was not kept"
}

refuses_fewer_scopes() {
  request POST "$url/sandbox/tokens" '{"name":"weak","app":"'"$app"'","holder":"'"$system_user"'","scopes":["ads_management"]}'
  token 4 rotate --pixel "$outlet" <<<"$(value weak)"
  says "it may do less than the one it is to replace: ads_read" "The token was not kept"
}

rotates_from_next() {
  token 1 rotate --pixel "$outlet" --from-next
  says "has no next token"
  token 0 system-user create --system-user "$system_user" --scope ads_management --scope ads_read \
    --name outlet-4 --app-id "$app" --from admin
  token 0 add --pixel "$outlet" --slot next <<<"$(value "$(print_of outlet-4)")"
  says "falls back on it"
  token 0 rotate --pixel "$outlet" --from-next
  says "pixel $outlet sends with outlet-4 now; outlet-3 is kept as the one to go back to"
}

finishes_too_early() {
  token 1 rotate --pixel "$outlet" --finish
  says "the overlap (tokens.overlap) lasts until" "outlet-3 stays as the one to go back to" "--force"
}

asks_before_revoking() {
  token 64 rotate --pixel "$outlet" --finish --force --revoke
  says "This ends outlet-3 at Meta, at once and for good" "add --yes"
  [[ $(state_of outlet-3) == valid ]] || wrong "it has ended"
}

finishes() {
  local print
  print=$(print_of outlet-3)
  token 0 rotate --pixel "$outlet" --finish --force --revoke --yes
  says "Meta has ended outlet-3" "Meta says that it is not valid any more" "pixel $outlet has let go of outlet-3"
  request GET "$url/sandbox/tokens"
  [[ $body == *"\"fingerprint\":\"$print\""*'"state":"'* ]] || wrong "Facebook does not know it: $body"
  [[ -z $(print_of outlet-3) ]] || wrong "it is still in the vault"
  token 3 inspect --stdin <<<"$(value "$print")"
  says "(190/466)"
}

revokes_nothing_in_use() {
  token 1 revoke outlet-4 --yes
  says "pixel $outlet sends with outlet-4: replace it first" "capigate token rotate --pixel $outlet" "--now"
  [[ $(state_of outlet-4) == valid ]] || wrong "it has ended"
}

revokes_leaked() {
  local print
  print=$(print_of outlet-4)
  token 64 revoke --fingerprint "$print" --now
  says "add --yes"
  token 0 revoke --fingerprint "$print" --now --yes
  says "Meta has ended outlet-4" "Meta says that it is not valid any more" "pixel $outlet has no token now" \
    "capigate token add --pixel $outlet"
}

revokes_by_hand() {
  token 0 list --pixel "$pixel"
  token 5 revoke shop-2 --yes
  says "shop-2 cannot be ended from here" "Events Manager" "Revoke tokens" "capigate token remove shop-2"
  token 1 revoke --fingerprint 00000000 --yes
  says "no token with this fingerprint is kept here"
}

removes() {
  token 0 remove shop-2 --yes
  says "shop-2 is not in the vault any more" "at Meta it is as good as before" "capigate token revoke"
  token 1 remove shop
  says "token shop is what pixel $pixel sends with"
}
