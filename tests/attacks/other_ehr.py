"""An EHR whose every word a test decides: honest by default, and as dishonest as the attack needs.

The strict provider of `ci-ehr.sh` cannot lie; this one can send another patient, another nonce, another issuer's name,
and it remembers each request, so that a test can say that it was never asked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.e2e.any_method import AnyMethod


@cache
def key_of(name: str) -> RSAKey:
    """A key pair of this run; making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})


class OtherEhr:
    """FHIR base, authorization server and charts in one, on a port of its own."""

    def __init__(self, patient: str = "pat-1", encounter: str = "enc-1") -> None:
        self.key = key_of(patient)
        self.context: dict[str, Any] = {"patient": patient, "encounter": encounter, "need_patient_banner": True}
        self.launches: dict[str, dict[str, Any]] = {}
        """What else each launch id opens; `context` for any other."""
        self.lives = 3600
        """How long its tokens live, in seconds."""
        self.stolen: list[str] = []
        """Refresh tokens that came twice: whoever sends one again is taken for a thief."""
        self.scopes = ""
        """What is granted; empty: what was asked for."""
        self.claims: dict[str, Any] = {}
        """What its id_tokens say otherwise."""
        self.says: dict[str, Any] = {}
        """What its smart-configuration says otherwise."""
        self.chart: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.bearers: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.given: list[str] = []
        """Every secret that it gave away: codes, tokens."""
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh: dict[str, dict[str, str]] = {}
        self._bearers: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.iss = f"{self.root}/fhir"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def launch(self, launch: str = "a-launch") -> str:
        """The query of the address that it opens."""
        return urlencode({"iss": self.iss, "launch": launch})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # what its user does

    def authorize(self, address: str) -> dict[str, str]:
        """Agree to what an app asks; what the app is sent back with."""
        asked = dict(parse_qsl(urlsplit(address).query))
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        self.given.append(code)
        return {"code": code, "state": asked["state"]}

    def back(self, address: str, **other: str) -> str:
        """The query that a browser comes back with."""
        return urlencode({**self.authorize(address), **other})

    # what it answers

    def answer(self, method: str, path: str, body: str, bearer: str = "") -> tuple[int, dict[str, Any]]:
        if path.startswith("/fhir/.well-known/smart-configuration"):
            return 200, {
                "issuer": self.root,
                "jwks_uri": f"{self.root}/jwks",
                "authorization_endpoint": f"{self.root}/authorize",
                "token_endpoint": f"{self.root}/token",
                "code_challenge_methods_supported": ["S256"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "capabilities": ["launch-ehr", "client-public", "permission-v1", "permission-v2"],
                **self.says,
            }
        if path == "/jwks":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        if path == "/token" and method == "POST":
            return self._token(dict(parse_qsl(body)))
        if bearer not in self._bearers or self._bearers[bearer]["ends"] < time.time():
            return 401, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "login"}]}
        return self._fhir(path.removeprefix("/fhir/"))

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.forms.append(form)
        if form.get("grant_type") == "refresh_token":
            return self._renewed(form.get("refresh_token", ""))
        with self._lock:
            asked = self._codes.pop(form.get("code", ""), None)
        if asked is None:
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge != asked.get("code_challenge") or form.get("redirect_uri") != asked.get("redirect_uri"):
            return 400, {"error": "invalid_grant", "error_description": "PKCE"}
        now = int(time.time())
        claims = {
            "iss": self.root,
            "sub": "dr-example",
            "aud": asked["client_id"],
            "iat": now,
            "exp": now + 600,
            "nonce": asked.get("nonce", ""),
            "fhirUser": f"{self.iss}/Practitioner/dr-example",
            "name": "Dr. Example-Attack",
            **self.claims,
        }
        token = jwt.encode({"alg": "RS256", "kid": "k1"}, {k: v for k, v in claims.items() if v is not None}, self.key)
        self.given.append(token)
        return 200, {**self._tokens(asked), "id_token": token, **self._context(asked)}

    def _renewed(self, refresh: str) -> tuple[int, dict[str, Any]]:
        with self._lock:
            asked = self._refresh.pop(refresh, None)
        if asked is None:
            self.stolen.append(refresh)
            return 400, {"error": "invalid_grant"}
        return 200, {**self._tokens(asked), **self._context(asked)}

    def _context(self, asked: dict[str, str]) -> dict[str, Any]:
        return {**self.context, **self.launches.get(asked.get("launch", ""), {})}

    def _tokens(self, asked: dict[str, str]) -> dict[str, Any]:
        access, refresh = f"access-{secrets.token_urlsafe(24)}", f"refresh-{secrets.token_urlsafe(24)}"
        self.given += [access, refresh]
        self._refresh[refresh] = asked
        self._bearers[f"Bearer {access}"] = {**self._context(asked), "ends": time.time() + self.lives}
        return {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.lives,
            "scope": self.scopes or asked["scope"],
        }

    def _fhir(self, wanted: str) -> tuple[int, dict[str, Any]]:
        path, _, query = wanted.partition("?")
        if path in self.chart:
            return 200, self.chart[path]
        if "/" in path:
            return 404, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        about = asked.get("patient") or asked.get("encounter") or asked.get("context") or asked.get("subject") or ""
        found = [
            {"resource": r}
            for r in self.chart.values()
            if r["resourceType"] == path and about.rpartition("/")[2] in json.dumps(r, default=float)
        ]
        return 200, {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": found}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        ehr = self

        class Handler(AnyMethod):
            def serve(self) -> None:
                body = self.body().decode()
                ehr.requests.append((self.command, self.path))
                bearer = self.headers.get("Authorization") or ""
                ehr.bearers.append(bearer)
                status, said = ehr.answer(self.command, self.path, body, bearer)
                self.say(status, {"Content-Type": "application/json"}, json.dumps(said, default=float).encode())

        return Handler
