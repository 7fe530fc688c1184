#!/usr/bin/env bash
# A permissive OIDC provider for staff sign-in: oidc-provider-mock 0.3.4 (PyPI, MIT).
# Usage: staff-oidc.sh start|stop|env|install     OIDC_PORT=8196 (0: any free one)   CLAIMS='{"sub":..,"email":..}' of the one user
# Any client id and secret pass; POST sub=<user> to the authorize URL instead of filling in the form.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs() { venv staff-oidc; }
peer staff-oidc "${1:-start}"
port OIDC_PORT 8196
needs
claims=${CLAIMS:-'{"sub":"biller@example.com","email":"biller@example.com","name":"Bea Biller"}'}
spawn oidc "$bin/oidc-provider-mock" --host 127.0.0.1 --port "$OIDC_PORT" --user-claims "$claims"
ready oidc "http://127.0.0.1:$OIDC_PORT/.well-known/openid-configuration"
tell STAFF_OIDC="http://127.0.0.1:$OIDC_PORT"
