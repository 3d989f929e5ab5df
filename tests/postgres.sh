#!/usr/bin/env bash
# Runs a command with a PostgreSQL of its own: a cluster in a temporary folder, reached by nothing but a Unix socket,
# gone at the end.
#   tests/postgres.sh COMMAND [ARGUMENT...]
set -euo pipefail

bin=$(dirname "$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)" 2>/dev/null)
if [ ! -x "$bin/initdb" ]; then
    echo "PostgreSQL's server programs are needed (Debian: apt-get install postgresql)." >&2
    exit 1
fi

# The server refuses to run as root.
as_server=()
[ "$(id -u)" -ne 0 ] || as_server=(runuser -u postgres --)
cluster=$(mktemp -d)
[ "$(id -u)" -ne 0 ] || chown postgres "$cluster"

stop() {
    "${as_server[@]}" "$bin/pg_ctl" -D "$cluster/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$cluster"
}
trap stop EXIT

# What a crash would lose is of no use to anybody here: no fsync. Trust is by the folder, which nobody else may enter.
(
    cd "$cluster"
    "${as_server[@]}" "$bin/initdb" -D "$cluster/data" -U orchestrator --auth=trust --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    "${as_server[@]}" "$bin/pg_ctl" -D "$cluster/data" -l "$cluster/log" -w -o "-k '$cluster' -c listen_addresses='' \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off" start >/dev/null
)
# By libpq's own variables, so that processes which tests start find the server too.
PGHOST="$cluster" PGUSER=orchestrator DATABASE_URL=postgres:///postgres "$@"
