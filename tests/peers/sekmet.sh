#!/usr/bin/env bash
# sekmet-fhir 0.1.1 (PyPI, Apache-2.0): an EHR and payer simulator, FHIR R4.
# Usage: sekmet.sh start|stop|env|install [open|smart]     (start means open; stop means both)
#   open : OPEN_PORT=8190,  no sign-in; the payer answers a Claim after DELAY=2 seconds
#   smart: SMART_PORT=8192, SMART Backend Services; client billing-backend, SCOPES='system/*.cruds', key made in the run folder
# A port of 0 takes any free one. NOTIFY=post-endpoint sends hooks by POST to the endpoint instead of PUT endpoint/Type/id.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs() { venv sekmet; }
case "${1:-start} ${2:-}" in
  "stop ") for mode in open smart; do (peer sekmet-$mode stop); done; exit ;;
  *" "|*" open") mode=open ;;
  *" smart") mode=smart ;;
  *) die "usage: $0 start|stop|env|install [open|smart]" ;;
esac
peer sekmet-$mode "${1:-start}"
if [ $mode = open ]; then port OPEN_PORT 8190; port=$OPEN_PORT; else port SMART_PORT 8192; port=$SMART_PORT; fi
needs; cd "$run"
base=http://127.0.0.1:$port/fhir auth='{types: [none]}'
if [ $mode = smart ]; then
  [ -e client.pem ] || "$bin/sekmet" keys generate --out client.pem > /dev/null
  auth="{types: [smart], smart_clients: [{client_id: billing-backend, public_key_path: client.pem, client_secret: backend-secret, scopes: '${SCOPES:-system/*.cruds}'}]}"
fi
cat > settings.yaml <<Y
base_url: $base
host: 127.0.0.1
port: $port
data_dir: data
simulator: {delay_seconds: ${DELAY:-2}}
subscriptions: {notify_method: ${NOTIFY:-put-resource}}
server_auth: $auth
Y
spawn sekmet env -u SEKMET_BASE_URL -u SEKMET_DB -u SEKMET_PUBLIC_URL -u SEKMET_PORT SEKMET_CONFIG=settings.yaml "$bin/sekmet" serve
ready sekmet "$base/metadata"
if [ $mode = open ]; then tell SEKMET_OPEN="$base" SEKMET_CONSOLE="${base%fhir}ui" SEKMET_PYTHON="$bin/python"
else tell SEKMET_SMART="$base" SEKMET_SMART_CLIENT=billing-backend SEKMET_SMART_KEY="$run/client.pem" SEKMET_SMART_SECRET=backend-secret; fi
# As driver of another EHR (plays admission, transfer, discharge, billing on it), add to a settings file
#   peers: {other: {base_url: http://127.0.0.1:8103/fhir/R4, auth: {type: client_credentials, client_id: .., client_secret: ..,
#           token_url: http://127.0.0.1:8103/oauth2/token, scope: openid}}}
# and run: sekmet scenario run adt_admit_transfer_discharge billing_claim --peer other
