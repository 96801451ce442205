#!/usr/bin/env bash
# Licences, banned crates and sources of every dependency, by deny.toml; advisories too where their database can be reached.
# cargo-deny is installed into target/tools when it is missing; where that fails, the check is skipped with a line.
set -euo pipefail
cd "$(dirname "$0")/.."
VERSION=0.20.2
export PATH="$PWD/target/tools/bin:$PATH"
if ! command -v cargo-deny >/dev/null; then
  echo "installing cargo-deny $VERSION ..." >&2
  cargo install --quiet --locked --root target/tools "cargo-deny@$VERSION" >&2 ||
    { echo "skipped: cargo-deny cannot be installed here"; exit 0; }
fi
cargo deny --log-level error check licenses bans sources
if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
  cargo deny --log-level error check advisories
else
  echo "skipped: the advisory database cannot be reached from here"
fi
