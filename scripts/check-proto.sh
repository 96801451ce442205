#!/usr/bin/env bash
# Lints proto/ and refuses changes that would break a client of the recorded baseline (proto/baseline.binpb).
set -euo pipefail
cd "$(dirname "$0")/../proto"
if command -v buf >/dev/null; then
  buf=(buf)
elif command -v npm >/dev/null; then
  buf=(npm exec --yes --package=@bufbuild/buf@1.75.0 -- buf)
else
  echo "skipped: neither buf nor npm is on this machine"; exit 0
fi
"${buf[@]}" lint
"${buf[@]}" breaking --against baseline.binpb
