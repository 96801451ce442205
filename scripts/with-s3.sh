#!/usr/bin/env bash
# Runs a command with TENOR_TEST_S3_URL naming a throw-away bucket of moto, an imitation of S3 from PyPI, and stops it afterwards.
#   scripts/with-s3.sh cargo test --workspace --test it -- blob
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'moto[server]==5.*'
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$folder/log" 2>&1 &
server=$!
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_ALLOW_HTTP=true AWS_ENDPOINT="http://127.0.0.1:$port"
for _ in $(seq 100); do
  curl -fsS -o "$folder/answer" -X PUT "$AWS_ENDPOINT/tenor" 2>"$folder/curl" && break
  sleep 0.1
done
[ -e "$folder/answer" ] || { cat "$folder/log" "$folder/curl" >&2; exit 1; }
export TENOR_TEST_S3_URL=s3://tenor/blobs
"$@"
