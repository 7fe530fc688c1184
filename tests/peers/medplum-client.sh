#!/usr/bin/env bash
# A FHIR client from npm (@medplum/core) against a server of ours: BASE=http://127.0.0.1:PORT STATEMENT=JWT medplum-client.sh
# Usage: medplum-client.sh [install]      Prints what it read as one JSON object.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
modules
[ "${1:-}" = install ] || exec env -C "$modules" "$node" "$here/medplum-client.mjs"
