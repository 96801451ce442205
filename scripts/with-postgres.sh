#!/usr/bin/env bash
# Runs a command with TENOR_TEST_PG_URL naming a throw-away PostgreSQL, and stops and removes it afterwards.
#   scripts/with-postgres.sh cargo test --workspace
# Server binaries are found by `pg_config`, PATH or /usr/lib/postgresql; on Debian and Ubuntu they are installed when root or a
# password-less sudo allows it. The server runs as an unprivileged user even when this script runs as root.
set -euo pipefail

find_bin() {
  local dir
  for dir in "$(pg_config --bindir 2>/dev/null || true)" "$(dirname "$(command -v initdb 2>/dev/null || echo /nowhere/x)")" \
             $(ls -d /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin 2>/dev/null | sort -rV); do
    if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ] && [ -x "$dir/postgres" ]; then echo "$dir"; return 0; fi
  done
  return 1
}

install_postgres() {
  command -v apt-get >/dev/null || return 1
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n)
  fi
  echo "installing PostgreSQL from the distribution ..." >&2
  # postgresql-common must not create and start a cluster of its own.
  "${as_root[@]}" mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
  "${as_root[@]}" apt-get -o Acquire::Retries=3 update -qq >&2 && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get -o Acquire::Retries=3 install -y -qq --no-install-recommends postgresql >&2
}

if [ -n "${TENOR_TEST_PG_URL:-}" ]; then exec "$@"; fi
bin=$(find_bin) || { install_postgres && bin=$(find_bin); } || {
  echo "error: PostgreSQL server binaries not found; install them (Debian, Ubuntu: apt-get install postgresql) or set TENOR_TEST_PG_URL" >&2
  exit 1
}

dir=$(mktemp -d "${TMPDIR:-/tmp}/tenor-pg.XXXXXX")
chmod 755 "$dir"
as=()
if [ "$(id -u)" = 0 ]; then
  user=postgres; id "$user" >/dev/null 2>&1 || user=nobody
  chown "$user" "$dir"
  as=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups env HOME="$dir")
fi
stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null || echo $((20000 + RANDOM % 20000)))
cd "$dir"
"${as[@]}" "$bin/initdb" -D "$dir/data" -U tenor --auth=trust -E UTF8 --locale=C --no-sync >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" start >/dev/null \
  -o "-p $port -k $dir -c listen_addresses=127.0.0.1 -c max_connections=300 -c fsync=${TENOR_PG_FSYNC:-off} -c full_page_writes=${TENOR_PG_FSYNC:-off}" \
  || { cat "$dir/log" >&2; exit 1; }
cd - >/dev/null
export TENOR_TEST_PG_URL="postgres://tenor@127.0.0.1:$port/postgres" TENOR_REQUIRE_PG=1
"$@"
