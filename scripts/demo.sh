#!/usr/bin/env bash
# The first five minutes: starts a server in a fresh data folder, carries reviews from a file to a served model, and says what to
# do next. On a terminal it serves until Ctrl-C; without one, or with ONCE=1, it ends by itself. Exit code 0 only if every step worked.
#   scripts/demo.sh [reviews.csv]        the file also as DATA=; BIN=folder with tenor-server and tenor
set -euo pipefail
DATA=${1:-${DATA:-}}
if [ -n "$DATA" ]; then
  [ -f "$DATA" ] || { echo "error: there is no file \`$DATA\`; DATA names a CSV, JSON lines or Parquet file with reviews" >&2; exit 2; }
  DATA=$(realpath -- "$DATA")
fi
cd "$(dirname "$0")/.."
BIN=$(realpath -- "${BIN:-target/debug}")
dir=$(mktemp -d "${TMPDIR:-/tmp}/tenor-demo.XXXXXX")
server=
stop() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

step() { printf '\n== %s\n' "$*" >&2; }
tenor() {
  local word
  printf '$ tenor' >&2
  for word; do
    case $word in *[!A-Za-z0-9_./:=-]*) printf " '%s'" "$word" >&2 ;; *) printf ' %s' "$word" >&2 ;; esac
  done
  printf '\n' >&2
  "$BIN/tenor" "$@"
}

if [ -z "$DATA" ]; then
  step "No file given (make demo DATA=reviews.csv): writing 4,000 synthetic Kindle reviews"
  DATA=$dir/reviews.csv
  "$BIN/tenor-server" generate "$DATA" --rows 4000 --seed 42
fi

step "Starting tenor-server on a fresh data folder"
"$BIN/tenor-server" serve --data-dir "$dir/data" --listen 127.0.0.1:"${PORT:-0}" --address-file "$dir/address" 2> "$dir/server.log" &
server=$!
for _ in $(seq 300); do
  [ -s "$dir/address" ] && break
  kill -0 "$server" 2>/dev/null || { echo "error: the server did not start:" >&2; cat "$dir/server.log" >&2; exit 1; }
  sleep 0.1
done
[ -s "$dir/address" ] || { echo "error: the server was not ready after 30 s:" >&2; cat "$dir/server.log" >&2; exit 1; }
export TENOR_SERVER="http://$(cat "$dir/address")"
echo "ready on $TENOR_SERVER" >&2

step "1. Import: upload, validate, profile; bad rows go to quarantine with a reason"
tenor dataset import "$DATA" --dataset reviews
step "2. Process: clean, compute features, split into train, validation and test"
tenor dataset split reviews --task binary
step "3. Train (few reviews are negative: weigh the classes), evaluate, register version 1 and call it champion"
tenor run train --dataset reviews --kind logreg --param class_weight=balanced --experiment demo --register reviews --alias champion
step "4. Deploy what the alias points at"
tenor deployment create reviews --model reviews --alias champion
step "5. Predict, and say why"
tenor predict reviews --explain 8 \
  "I loved this book, an amazing story. Could not put it down!" \
  "Boring. Nothing happens, poor grammar and so many errors, I did not finish it."

if [ -t 1 ] && [ -z "${ONCE:-}" ]; then
  step "Done. It serves until Ctrl-C; meanwhile, in another terminal:"
  cat >&2 <<TXT
  export PATH="$BIN:\$PATH" TENOR_SERVER=$TENOR_SERVER
  tenor run list
  tenor model describe reviews
  tenor predict reviews --explain 5 "I could not put it down"
  curl $TENOR_SERVER/metrics
TXT
  trap 'exit 0' INT TERM
  wait "$server"
else
  step "Done. To keep a server: $BIN/tenor-server serve, then the commands above as $BIN/tenor ..."
fi
