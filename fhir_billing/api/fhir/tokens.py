"""An app proves who it is and gets a token for five minutes: a random word, kept sealed, that says nothing by itself.

The proof is a signed statement that is for this address, for now and for once, by a key that the app's file pins; or the
client secret, where the file says so. What is granted is what was asked for, as far as the file allows it.
Spec: SMART App Launch 2.2 Backend Services (RS384, ES384, exp at most five minutes, jti); RFC 6749 §4.4, §5.2; RFC 7523.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from fhir_billing.api.cds_clients import Keys, proved, unproved
from fhir_billing.api.fhir.answers import Refused, wiring_of
from fhir_billing.api.guard import body_of
from fhir_billing.apps import App, Right, granted, may, of_client, parse_right
from fhir_billing.domain.errors import BillingError
from fhir_billing.wiring import Wiring

router = APIRouter()
ALGORITHMS: Final = ("RS384", "ES384")
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIVES: Final = 300
SKEW: Final = 30
MOST_BYTES: Final = 32_768
MOST_ASSERTION: Final = 8192
_JTI = re.compile(r"[\x21-\x7e]{1,256}")
_HANDLE = re.compile(r"[A-Za-z0-9_-]{43}")
_KEYS = Keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An app that showed a token, and what it may do with it."""

    app: App
    rights: tuple[Right, ...]

    def needs(self, kind: str, letter: str) -> None:
        """Raises Refused 403 unless the token is good for this."""
        if not may(self.rights, kind, letter):
            scope = f"system/{kind}.{letter}"
            say = f"this token is not for that; it needs {scope}"
            header = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise Refused(403, "forbidden", say, {"www-authenticate": header})


class NoToken(Exception):
    """Why no token is given, as RFC 6749 says it."""

    def __init__(self, error: str, say: str, status: int = 400) -> None:
        super().__init__(say)
        self.error, self.say, self.status = error, say, status


def token_url(wiring: Wiring) -> str:
    """Where tokens are given; what `aud` must be, to the letter."""
    return f"{wiring.settings.public_url.rstrip('/')}/auth/token"


@router.post("/auth/token")
async def token(request: Request) -> Response:
    """A token for an app that proves who it is."""
    body = await body_of(request, MOST_BYTES)
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    try:
        given = await run_in_threadpool(_given, wiring_of(request), _form(request, body), request)
    except NoToken as error:
        if error.status == 401:
            headers["www-authenticate"] = 'Basic realm="fhir-billing"'
        told = {"error": error.error, "error_description": error.say}
        return JSONResponse(told, status_code=error.status, headers=headers)
    return JSONResponse(given, headers=headers)


def bearer(request: Request) -> Access:
    """Who asks, by the token in the header. Raises Refused 401; a token in an address is not looked at."""
    wiring = wiring_of(request)
    scheme, _, handle = request.headers.get("authorization", "").partition(" ")
    refused = Refused(401, "login", "this needs a token that is good now", {"www-authenticate": "Bearer"})
    if scheme.lower() != "bearer" or not _HANDLE.fullmatch(handle.strip()):
        raise refused
    found = wiring.vault.get(f"app-token:{handle.strip()}")
    said: dict[str, Any] = json.loads(found) if found else {}
    app = wiring.apps.get(str(said.get("app", "")))
    if app is None or said.get("at") != token_url(wiring) or said.get("client_id") != app.client_id:
        raise refused
    return Access(app=app, rights=granted(said["scopes"], app.rights))


def _form(request: Request, body: bytes) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise NoToken("invalid_request", "send a form (application/x-www-form-urlencoded)")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise NoToken("invalid_request", "the form cannot be read") from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise NoToken("invalid_request", "a parameter stands twice")
    return dict(pairs)


def _given(wiring: Wiring, form: Mapping[str, str], request: Request) -> dict[str, object]:
    if form.get("grant_type") != "client_credentials":
        raise NoToken("unsupported_grant_type", "only client_credentials is given here")
    app = _who(wiring, form, request.headers.get("authorization", ""))
    asked = form.get("scope", "").split() or [
        str(right) for right in app.rights
    ]  # RFC 6749 §3.3: a default, the file's
    rights = granted(asked, app.rights)
    if not rights:
        raise NoToken("invalid_scope", "none of these scopes is allowed to this app")
    handle = secrets.token_urlsafe(32)
    scopes = _spelled(asked, rights)
    kept = {"app": app.name, "client_id": app.client_id, "at": token_url(wiring), "scopes": [str(r) for r in rights]}
    wiring.vault.put(f"app-token:{handle}", json.dumps(kept).encode(), seconds=LIVES)
    with wiring.store.begin() as book:
        book.audit(at=wiring.clock.now(), who=f"app:{app.name}", what="token", why=" ".join(kept["scopes"]))
    return {"access_token": handle, "token_type": "Bearer", "expires_in": LIVES, "scope": scopes}


def _spelled(asked: Iterable[str], rights: Iterable[Right]) -> str:
    """What was granted, in the version that was asked in where it can say it."""
    first = any(word.endswith((".read", ".write", ".*")) for word in asked if parse_right(word))
    words: list[str] = []
    for right in rights:
        left = right.letters
        for name, letters in (("read", frozenset("rs")), ("write", frozenset("cud"))):
            if first and letters <= left:
                words.append(f"system/{right.kind}.{name}")
                left -= letters
        if left:
            words.append(str(Right(kind=right.kind, letters=left)))
    return " ".join(dict.fromkeys(words))


def _who(wiring: Wiring, form: Mapping[str, str], header: str) -> App:
    """The app that proved itself, in the one way that its file says."""
    if "client_assertion" in form or "client_assertion_type" in form:
        if header or "client_secret" in form:
            raise NoToken("invalid_request", "prove who you are in one way")
        if form.get("client_assertion_type") != ASSERTION:
            raise NoToken("invalid_request", "client_assertion_type is not the one for a signed statement")
        return _by_key(wiring, form)
    client_id, secret = _basic(header) if header else (form.get("client_id", ""), form.get("client_secret", ""))
    app = of_client(wiring.apps, client_id)
    try:
        right = app.secret() if app is not None and app.secret_env else ""
    except BillingError:
        right = ""
    given = hmac.compare_digest(secret.encode(), (right or secrets.token_hex()).encode())
    if app is None or not right or not given:
        raise _stranger()
    return app


def _basic(header: str) -> tuple[str, str]:
    scheme, _, coded = header.partition(" ")
    try:
        name, _, secret = b64decode(coded.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise _stranger() from None
    if scheme.lower() != "basic":
        raise _stranger()
    return unquote(name), unquote(secret)


def _by_key(wiring: Wiring, form: Mapping[str, str]) -> App:
    statement = form.get("client_assertion", "")
    if not 1 <= len(statement) <= MOST_ASSERTION:
        raise _stranger()
    try:
        head, said = unproved(statement)
    except BillingError:
        raise _stranger() from None
    alg, kid, client_id = head.get("alg"), head.get("kid"), said.get("iss")
    if alg not in ALGORITHMS or not isinstance(kid, str) or "crit" in head or not isinstance(client_id, str):
        raise _stranger()
    app = of_client(wiring.apps, client_id)
    if app is None or app.secret_env or form.get("client_id", client_id) != client_id:
        raise _stranger()
    claims = proved(statement, alg, _KEYS.of(app, kid))
    if claims is None or claims.get("sub") != client_id or claims.get("iss") != client_id:
        raise _stranger()
    _for_here_and_now(claims, wiring.clock.now(), token_url(wiring))
    if not wiring.vault.first(f"app-jti:{client_id}:{claims['jti']}", seconds=LIVES + 3 * SKEW):
        raise NoToken("invalid_client", "this statement was used before", 401)
    return app


def _for_here_and_now(claims: Mapping[str, Any], now: datetime, audience: str) -> None:
    moment = int(now.timestamp())
    ends, begins, made = claims.get("exp"), claims.get("nbf", 0), claims.get("iat", 0)
    if not all(_is_time(value) for value in (ends, begins, made)):
        raise _stranger()
    if not moment - SKEW <= int(ends or 0) <= moment + LIVES + SKEW or max(int(begins), int(made)) > moment + SKEW:
        raise NoToken("invalid_client", "the statement is not of now, or lives longer than five minutes", 401)
    meant = claims.get("aud")
    if meant not in (audience, [audience]):
        raise NoToken("invalid_client", "the statement is meant for another address", 401)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        raise NoToken("invalid_client", "the statement has no number of its own (jti)", 401)


def _is_time(found: object) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found < 10**11


def _stranger() -> NoToken:
    return NoToken("invalid_client", "who this is was not proved", 401)
