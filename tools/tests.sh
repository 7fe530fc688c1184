#!/usr/bin/env bash
# All tests, in two halves side by side: most of them wait for a server, so that one core would idle.
# Each half starts servers of its own. What the first half says is printed when both are done.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
said=.cache/tests-contract.txt
mkdir -p .cache
.venv/bin/pytest tests/contract tests/fault > "$said" 2>&1 &
contract=$!
trap 'kill "$contract" 2>/dev/null' INT TERM
.venv/bin/pytest --ignore=tests/contract --ignore=tests/fault
others=$?
wait "$contract"
contracts=$?
cat "$said"
exit $((others > contracts ? others : contracts))
