#!/usr/bin/env bash
# One step of set-up, named by its word; the Makefile knows the order and keeps the stamps.
# Needs bash and python3, as an ordinary user. Only `packages` and a missing python3-venv ask for root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
say() { echo "setup: $*" >&2; }
die() { say "$@"; exit 1; }
stamp() { mkdir -p .make && touch ".make/$1"; }
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

# debian PACKAGE...: root gets them from apt, their own services are not started
debian() {
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 1
  say "installing Debian packages: $*"
  local hold=/usr/sbin/policy-rc.d made=
  if [ ! -e $hold ]; then printf '#!/bin/sh\nexit 101\n' > $hold; chmod 755 $hold; made=1; fi
  mkdir -p .cache
  local ok=0
  { apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
  } > .cache/apt.log 2>&1 || ok=$?
  [ -z "$made" ] || rm -f $hold
  [ $ok = 0 ] || { tail -n 20 .cache/apt.log >&2; die "apt-get could not install: $*"; }
}

# environment FOLDER: a Python environment, made once
environment() {
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null ||
    die "Python 3.11 or newer is needed; $python is not. Name another: make PYTHON=python3.12 …"
  "$python" -c 'import ensurepip, venv' 2> /dev/null || debian python3-venv ||
    die "Debian package python3-venv is missing. As root: apt-get install python3-venv"
  [ -x "$1/bin/python" ] && "$1/bin/python" -m pip --version > /dev/null 2>&1 || { rm -rf "$1"; "$python" -m venv "$1"; }
}

case ${1:-} in
  run)
    environment .venv
    say "installing what the product needs (once)"
    pip install -qq --require-hashes -r requirements/build.txt
    pip install -qq --require-hashes --no-build-isolation -r requirements/run.txt
    pip install -qq --no-deps --no-build-isolation -e .
    stamp run ;;
  test)
    say "installing what the tests need (once)"
    pip install -qq --require-hashes -r requirements/test.txt
    stamp test ;;
  assets)
    .venv/bin/python -m tools.assets
    stamp assets ;;
  codes)
    # Without it everything works but the search for diagnoses, which says so; the next set-up tries again.
    if .venv/bin/python -m tools.codes; then stamp codes; else say "the table of diagnoses could not be made; go on without"; fi ;;
  sandbox)
    tests/peers/sekmet.sh install
    stamp sandbox ;;
  packages)
    want=()
    command -v redis-server > /dev/null || want+=(redis-server)
    compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null || want+=(postgresql)
    command -v chromium > /dev/null || want+=(chromium)
    [ ${#want[@]} = 0 ] || debian "${want[@]}" ||
      say "Debian packages missing: ${want[*]}. Tests that need them are skipped. As root: apt-get install ${want[*]}" ;;
  pins)
    environment .cache/pins
    .cache/pins/bin/python -m pip --disable-pip-version-check install -qq uv
    for list in requirements/{build,run,test,assets,codes,node} tests/peers/pins/{sekmet,staff-oidc,node}; do
      .cache/pins/bin/uv pip compile -q --upgrade --generate-hashes --universal --python-version 3.11 \
        --no-emit-index-url --no-header "$list.in" -o "$list.txt"
    done ;;
  *) die "usage: tools/setup.sh run|test|assets|codes|sandbox|packages|pins" ;;
esac
