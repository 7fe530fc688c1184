#!/usr/bin/env bash
# A SMART on FHIR EHR from npm: Medplum's published FHIR router in memory (@medplum/* 4.5.2, Apache-2.0) behind
# oidc-provider 9.13.3 (MIT); the two .mjs files beside this are the glue.
# Usage: ci-ehr.sh start|stop|env|install     FHIR_PORT=8105 AUTH_PORT=8106 (0: any free one)
#   OPEN=1               no token needed for FHIR
#   TTL=60               seconds that an access token lives
#   REDIRECT_URIS='a b'  where the apps may be sent back to (default http://127.0.0.1:9999/cb)
#   CLIENTS=file         a client list of your own (oidc-provider metadata; keep ehr-server) instead of the one below
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs() { modules; }
peer ci-ehr "${1:-start}"
port FHIR_PORT 8105; port AUTH_PORT 8106
needs
fhir=http://127.0.0.1:$FHIR_PORT/fhir/R4 auth=http://127.0.0.1:$AUTH_PORT
if [ -n "${CLIENTS:-}" ]; then cp "$CLIENTS" "$run/clients.json"; else
"$node" - "$run" ${REDIRECT_URIS:-http://127.0.0.1:9999/cb} <<'J'
const fs = require('fs'), crypto = require('crypto');
const [run, ...redirect_uris] = process.argv.slice(2), pem = run + '/client.pem';
if (!fs.existsSync(pem)) {
  const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  fs.writeFileSync(pem, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
}
const key = { ...crypto.createPublicKey(fs.readFileSync(pem)).export({ format: 'jwk' }), kid: 'k1', use: 'sig' };
const by_key = { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key] } };
const app = { redirect_uris, grant_types: ['authorization_code', 'refresh_token'] };
const service = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] };
fs.writeFileSync(run + '/clients.json', JSON.stringify([
  { client_id: 'ehr-server', client_secret: 'ehr-secret', ...service }, // the FHIR server, to introspect tokens
  { client_id: 'billing-app', client_secret: 'billing-secret', ...app },
  { client_id: 'billing-app-key', ...by_key, ...app },
  { client_id: 'billing-app-public', token_endpoint_auth_method: 'none', ...app },
  { client_id: 'billing-backend', ...by_key, ...service },
  { client_id: 'billing-backend-secret', client_secret: 'backend-secret', ...service },
], null, 1));
J
fi
spawn auth env -C "$modules" PORT="$AUTH_PORT" FHIR="$fhir" CLIENTS="$run/clients.json" "$node" "$here/smart-auth.mjs"
[ -z "${OPEN:-}" ] && smart=$auth || smart=
spawn fhir env -C "$modules" -u TOKEN PORT="$FHIR_PORT" SMART="$smart" "$node" "$here/medplum-memory-ehr.mjs"
ready auth "$auth/.well-known/openid-configuration"; ready fhir "$fhir/metadata"
tell CI_EHR_FHIR="$fhir" CI_EHR_AUTH="$auth" CI_EHR_KEY="$run/client.pem" CI_EHR_KID=k1 CI_EHR_NODE="$("$node" -v)"
