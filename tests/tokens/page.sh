# shellcheck shell=bash
# Guide B: the token of a page, by way of a long-lived token of its person.

page_guide() {
  step "a short-lived token is told and kept from a pixel" tells_short_lived
  step "a page token made with a short-lived one is warned about" warns_of_short_parent
  step "extend shows the token before and after" extends
  step "a token that has been extended is left as it is" extends_no_further
  step "pages lists the pages of the person" lists_pages
  step "a page token made with a long-lived one never expires" gets_page_token
  step "a page token is not given to a pixel" refuses_page_token
  step "a page whose token Meta leaves out is a missing permission" misses_page_token
  step "a page that is out of reach is told" misses_page
  step "without pages_show_list there are no pages and it is said why" lists_no_pages
  step "an expired token cannot be extended and it is said what to do" extends_too_late
}

tells_short_lived() {
  token 3 add --pixel "$pixel" --slot next --name alex <<<"$(value explorer)"
  says "it is short-lived, expiring" "so pixel $pixel did not get it" "capigate token extend alex"
  token 0 list
  says alex user "(in 59 min)"
}

warns_of_short_parent() {
  token 0 page --page-id "$page" --from alex --name early
  says "a page's token made with it ends with it" "this one does" "capigate token extend"
  token 0 list
  says early page
}

extends() {
  token 0 extend alex
  says before after "(in 59 min)" "(in 59 days)" "sealed into the vault as alex"
}

extends_no_further() {
  token 0 extend alex
  says "the new token does not live longer, so the old one stays"
}

lists_pages() {
  token 0 pages --from alex
  says "$page" Shop "ADVERTISE, MANAGE" "$withheld_page" Outlet ANALYZE
  token 0 pages --from alex --json
  says '"has_token": true' '"has_token": false'
  hides access_token
}

gets_page_token() {
  token 0 page --page-id "$page" --from alex --name shop-page
  says "Meta gave the token of page $page" "expires: never" "sealed into the vault as shop-page"
  token 0 inspect shop-page
  says page "$page" never pages_manage_posts
}

refuses_page_token() {
  token 64 page --page-id "$page" --from alex --name other --pixel "$pixel"
  says "--force"
  request GET "$url/sandbox/tokens"
  local print
  token 0 list --json
  print=$(grep -A12 '"fingerprint"' "$work/out" | grep -B12 '"shop-page"' | sed -n 's/.*"fingerprint": "\(.*\)",/\1/p')
  token 3 add --pixel "$pixel" --slot next <<<"$(value "$print")"
  says "a page's token is not given to a pixel" "The token was not kept"
}

misses_page_token() {
  token 4 page --page-id "$withheld_page" --from alex
  says "no token for this Page" "pages_show_list" "→"
}

misses_page() {
  token 4 page --page-id 4000000000009999 --from alex
  says "no such Page for this token" "Page transparency"
}

lists_no_pages() {
  token 1 pages <<<"$(value explorer-bare)"
  says "no page is there for this token" "lacks pages_show_list" "capigate token login --scope pages_show_list"
}

extends_too_late() {
  spoils explorer-bare '{"state":"expired"}'
  token 3 extend --stdin <<<"$(value explorer-bare)"
  says "the token has expired" "(190/463)" "→"
  spoils explorer-bare '{"state":"valid"}'
}
