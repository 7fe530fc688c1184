#!/usr/bin/env bash
# Private PostgreSQL (PostgreSQL licence) and Redis (BSD-3) of Debian, for a product or a peer that needs them.
# Usage: backing.sh start|stop|env [postgres|redis]     (both when none is named)
#   PG_PORT=5442 REDIS_PORT=6390 (0: any free one); user, database and every password: medplum
# Needs Debian's postgresql and redis-server: root gets them by itself, anyone else must have them. Postgres: no fsync, tests only.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs() { :; }
signal=INT  # Postgres: stop now, do not wait for clients

start_redis() {
  port REDIS_PORT 6390
  command -v redis-server > /dev/null || debian redis-server
  spawn redis redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --requirepass medplum --save '' --appendonly no --dir "$run"
  ready redis "127.0.0.1/$REDIS_PORT"
  tell BACKING_REDIS="redis://:medplum@127.0.0.1:$REDIS_PORT/0"
}

start_postgres() {
  local bin data=$run/data as=() pid
  port PG_PORT 5442
  compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null || debian postgresql
  bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  if [ "$(id -u)" = 0 ]; then  # Postgres refuses to be root, and its user may not reach the run folder
    as=(runuser -u postgres --)
    "${as[@]}" test -x "$run" || data=/var/lib/postgresql/peers-$(sum <<< "$run")
    mkdir -p "$data"; chown postgres: "$data"
  fi
  cd /
  if [ ! -e "$data/PG_VERSION" ]; then
    install -m 644 <(echo medplum) "$data.pw"
    "${as[@]}" "$bin/initdb" -D "$data" -U medplum -A scram-sha-256 --pwfile="$data.pw" --locale=C.UTF-8 -E UTF8 > "$run/initdb.log" 2>&1 || { cat "$run/initdb.log" >&2; exit 1; }
  fi
  "${as[@]}" "$bin/pg_ctl" -D "$data" -l "$data/server.log" -w -t 60 \
    -o "-p $PG_PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" start > "$run/pg_ctl.log" 2>&1 8>&- \
    || { tail -n 20 "$run/pg_ctl.log" "$data/server.log" >&2; exit 1; }
  read -r pid < "$data/postmaster.pid"; keep postgres "$pid"
  sql() { PGPASSWORD=medplum "$bin/psql" -h 127.0.0.1 -p "$PG_PORT" -U medplum -d postgres -Atqc "$1"; }
  [ -n "$(sql "select 1 from pg_database where datname = 'medplum'")" ] || sql 'create database medplum'
  tell BACKING_POSTGRES="postgresql://medplum:medplum@127.0.0.1:$PG_PORT/medplum" BACKING_PSQL="$bin/psql"
}

case "${2:-all}" in all) names='postgres redis' ;; postgres|redis) names=$2 ;; *) die "usage: $0 start|stop|env [postgres|redis]" ;; esac
for name in $names; do (peer "$name" "${1:-start}"; "start_$name"); done
