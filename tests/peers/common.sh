# Shared by the start scripts beside it (sourced). Needs bash, python3 and Debian's base packages, nothing else.
#   PEERS_RUN    where state goes: settings, keys, data, logs, process ids   (default run-peers in the repository; delete it for a clean start)
#   PEERS_CACHE  where pip and npm install, once for all runs                (default .cache/peers in the repository)
# What a script installs is pinned in pins/, with hashes; `X.sh install` does only that. Only lines KEY=VALUE go to standard output, so: eval "$(script start)"
set -euo pipefail; shopt -s inherit_errexit
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(realpath -m "${PEERS_RUN:-$here/../../run-peers}")
cache=$(realpath -m "${PEERS_CACHE:-$here/../../.cache/peers}")
mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || { cache=$root/cache; mkdir -p "$cache"; }
export no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}"; export NO_PROXY=$no_proxy

note() { echo "${0##*/}: $*" >&2; }
die() { note "$@"; exit 1; }

# peer NAME start|stop|env|install: sets $run; does stop and env itself; comes back only when start has something to start
peer() {
  run=$root/$1
  case $2 in
    start) mkdir -p "$run"; exec 8> "$run/lock"; flock 8
           if up; then note "$1 is running already"; cat "$run/env"; exit; fi
           stop ;;
    stop)  stop; exit ;;
    install) needs; exit ;;
    env)   up || die "$1 is not running"; cat "$run/env"; exit ;;
    *)     die "usage: see the head of this script" ;;
  esac
}

# tell KEY=VALUE...: prints, and keeps for later, what a caller needs to know
tell() {
  local kv
  { for kv; do printf '%s=%q\n' "${kv%%=*}" "${kv#*=}"; done
    printf '# stop: PEERS_RUN=%q %q stop\n' "$root" "$here/${0##*/}"; } > "$run/env"
  cat "$run/env"
}

# spawn NAME COMMAND...: in the background, with a log; the process id is kept with its birth time, so that no later process is taken for it
spawn() {
  local name=$1; shift
  setsid "$@" > "$run/$name.log" 2>&1 < /dev/null 8>&- &
  keep "$name" $!
}
keep() { echo "$2 $(born "$2")" > "$run/$1.pid"; }
# birth time of a process; nothing for one that is gone, or a zombie whose threads are gone too
born() { local s; s=$(cat "/proc/$1/stat" 2>/dev/null) && set -- ${s##*) } && { [ "$1" != Z ] || [ "${18}" -gt 1 ]; } && echo "${20}"; }
alive() { local pid at; read -r pid at 2>/dev/null < "$1" && [ -n "$at" ] && [ "$(born "$pid" || true)" = "$at" ]; }
up() { local f any=1; for f in "$run"/*.pid; do [ -e "$f" ] || continue; alive "$f" || return 1; any=0; done; return $any; }
stop() {
  local f pid at
  for f in "$run"/*.pid; do
    [ -e "$f" ] || continue
    if alive "$f"; then
      read -r pid at < "$f"; kill -"${signal:-TERM}" "$pid"
      for at in $(seq 100); do alive "$f" || break; sleep 0.1; done
      ! alive "$f" || kill -KILL "$pid"
    fi
    rm -f "$f"
  done
}

# ready NAME URL|HOST/PORT [SECONDS]: waits until it answers; shows the log of a process that died or stayed silent
ready() {
  local i
  for i in $(seq $((${3:-60} * 5))); do
    alive "$run/$1.pid" || break
    case $2 in
      http*) python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=5)' "$2" 2>/dev/null && return ;;
      *) (exec 3<> "/dev/tcp/$2") 2>/dev/null && return ;;
    esac
    sleep 0.2
  done
  tail -n 20 "$run/$1.log" >&2; stop; die "$1 did not start: see $run/$1.log"
}

# port NAME DEFAULT: sets $NAME to a port that is free on 127.0.0.1; 0 asks for any
port() {
  local want=${!1:-$2} got
  command -v python3 > /dev/null || debian python3
  got=$(python3 -c 'import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try: s.bind(("127.0.0.1", int(sys.argv[1])))
except OSError as e: sys.exit(print(e.strerror) or 1)
print(s.getsockname()[1])' "$want") || die "port $want of 127.0.0.1: ${got:-not a port}. Set $1 to another, or to 0 for any free one"
  printf -v "$1" %s "$got"
}

# debian PACKAGE: root gets it from apt (its own service is not started); anyone else is told what is missing
debian() {
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || die "Debian package $1 is missing. As root: apt-get install $1"
  note "installing Debian package $1"
  ( exec 9> "$cache/apt.lock"; flock 9; hold=/usr/sbin/policy-rc.d
    if [ ! -e $hold ]; then trap 'rm -f $hold' EXIT; printf '#!/bin/sh\nexit 101\n' > $hold; chmod 755 $hold; fi
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$1"
  ) > "$cache/apt-$1.log" 2>&1 8>&- || { tail -n 20 "$cache/apt-$1.log" >&2; die "could not install $1"; }
}

# once FOLDER COMMAND...: fills the folder, one caller at a time, until that has succeeded once
once() {
  local dir=$1; shift
  [ ! -e "$dir/.done" ] || return 0
  ( exec 9> "$dir.lock"; flock 9
    [ ! -e "$dir/.done" ] || exit 0
    note "installing into $dir (once)"
    rm -rf "$dir"; mkdir -p "$dir"
    "$@" > "$dir.log" 2>&1 || { tail -n 20 "$dir.log" >&2; die "could not install: see $dir.log"; }
    touch "$dir/.done" ) 8>&-
}
sum() { cat "$@" | cksum | cut -d' ' -f1; }

# venv NAME: sets $bin to the programs of a Python environment that holds pins/NAME.txt
venv() {
  local dir
  dir=$cache/$1-$(sum "$here/pins/$1.txt" <(python3 -c 'import sys; print(sys.version_info[:2], sys.executable)'))
  python3 -c 'import ensurepip' 2>/dev/null || debian python3-venv
  once "$dir" make_venv "$dir" "$here/pins/$1.txt"
  bin=$dir/bin
}
make_venv() { python3 -m venv "$1" && timeout 900 "$1/bin/pip" install -qq --disable-pip-version-check --require-hashes -r "$2"; }

# need_node: sets $node, and $npm to the command for its npm. The machine's own Node if @medplum 4.5 and oidc-provider 9
# run on it (20.19 and later 20, or 22.12 and up; Debian 12's own 18 is too old), else Node 24 from PyPI
need_node() {
  local cli
  for node in "$(command -v node || true)" wheel; do
    if [ "$node" = wheel ]; then venv node; node=$bin/node; fi
    [ -n "$node" ] && "$node" -e 'const [a, b] = process.versions.node.split(".").map(Number);
      process.exit(a > 22 || a == 22 && b >= 12 || a == 20 && b >= 19 ? 0 : 1)' || continue
    node=$("$node" -p process.execPath)  # past any wrapper, so that the process we stop is Node itself
    cli=${node%/bin/node}/lib/node_modules/npm/bin/npm-cli.js
    if [ -e "$cli" ]; then npm=("$node" "$cli"); return; fi
    if command -v npm > /dev/null; then npm=(npm); return; fi
  done
  die "no fitting Node with npm"
}

# modules: sets $modules to a folder whose node_modules holds pins/package-lock.json
modules() {
  need_node
  modules=$cache/ehr-$(sum "$here/pins/package-lock.json")
  once "$modules" make_modules "$modules"
}
make_modules() {
  mkdir -p "${npm_config_cache:-${HOME:-/proc}/.npm}" || export npm_config_cache=$cache/npm  # npm hangs without a writable one
  cp "$here"/pins/package*.json "$1" && cd "$1" && timeout 300 "${npm[@]}" ci --ignore-scripts --no-audit --no-fund
}
