#!/usr/bin/env bash
# Instructions an event takes on its way from the text a client sent to the bytes that are stored,
# counted by valgrind's callgrind: a number that repeats, where times are lost in noise.
#
# benches/instructions.sh          prints the table
# benches/instructions.sh --check  compares it with benches/instructions.txt, and fails where an
#                                  input takes more than 5 % above what is there
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never

case ${1-} in
'' | --check) ;;
*)
  echo "unknown argument: give --check or nothing" >&2
  exit 1
  ;;
esac

if ! command -v valgrind >/dev/null; then
  echo "valgrind is missing: install it, on Debian and Ubuntu with: apt-get install valgrind" >&2
  exit 1
fi

# EVENT_BENCH may name one that is built already
bench=${EVENT_BENCH:-}
if [ -z "$bench" ]; then
  built=$(cargo bench --locked --bench event --no-run 2>&1) || { printf '%s\n' "$built" >&2; exit 1; }
  bench=$(sed -n 's/.*Executable.*(\(.*\)).*/\1/p' <<<"$built")
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# instructions INPUT EVENTS: of the whole program; by function in $work/INPUT.out
instructions() {
  valgrind --tool=callgrind --callgrind-out-file="$work/$1.out" "$bench" --count "$1" "$2" \
    >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$work/log"
}

# of the same, by SHA-256
hashing() {
  callgrind_annotate --auto=no --threshold=100 "$work/$1.out" |
    awk '/sha2::/ { gsub(",", "", $1); sum += $1 } END { print sum + 0 }'
}

# per_event INPUT: the difference of two runs, so that the start of the program does not count
per_event() {
  local few=1000 many=3000 of_few hash_few of_many hash_many
  of_few=$(instructions "$1" $few)
  hash_few=$(hashing "$1")
  of_many=$(instructions "$1" $many)
  hash_many=$(hashing "$1")
  if ((of_many <= of_few)); then
    echo "$1: nothing was counted" >&2
    exit 1
  fi
  echo "$1 $(((of_many - of_few) / (many - few))) $(((hash_many - hash_few) / (many - few)))"
}

table=$(for input in typical request hashed warned; do per_event "$input"; done)
printf '%-10s %20s %20s\n' input "instructions/event" "of them SHA-256"
printf '%s\n' "$table" | while read -r input all hash; do printf '%-10s %20d %20d\n' "$input" "$all" "$hash"; done

if [ "${1:-}" = --check ]; then
  failed=0
  while read -r input all hash; do
    # SHA-256 is the library's, and another one where valgrind knows the processor's own
    was=$(awk -v input="$input" '$1 == input { print $2 - $3 }' benches/instructions.txt)
    if [ -z "$was" ]; then
      echo "$input: not in benches/instructions.txt" >&2
      failed=1
    elif ((100 * (all - hash) > 105 * was)); then
      echo "$input: $((all - hash)) instructions beside SHA-256, more than 5 % above $was" >&2
      failed=1
    fi
  done <<<"$table"
  exit $failed
fi
