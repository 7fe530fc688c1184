"""Who calls a CDS service proves it with a signature by a key that was configured here; what a token says about keys is not believed.

Keys come from the file or the one address that a launch file pins for an issuer. `jku`, `x5u`, `jwk` and `x5c` in a token
are never followed or used. A key that is not known is looked for once more at the pinned address, for EHRs change keys.
Spec: CDS Hooks 2.0 "Trusting CDS Clients": ES384 or RS384, iss, aud, exp, iat, jti; RFC 7515, RFC 7519.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from fhir_billing.cycle.ports import Vault
from fhir_billing.domain.errors import SignInNeeded
from fhir_billing.doors import Door, same
from fhir_billing.logs import log

KINDS: Final = {"ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "RS256": ("RSA", ""), "RS384": ("RSA", "")}
"""The signatures that are taken, with the key that each needs."""
MOST_TOKEN: Final = 8192
MOST_KEYS: Final = 256 * 1024
SKEW: Final = 60
LIVES: Final = 300
"""A token for one call lives five minutes at most."""
FRESH: Final = 3600.0
AGAIN: Final = 60.0
"""How long keys are kept, and how soon a key that is not known may be looked for again."""
TIMEOUT: Final = httpx2.Timeout(3.0, connect=2.0)
_JTI = re.compile(r"[\x21-\x7e]{1,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An EHR that has proved who it is."""

    iss: str
    door: str


class Pinned(Protocol):
    """Whoever signs, and where the keys for that lie."""

    @property
    def jwks(self) -> Path | None: ...
    @property
    def jwks_url(self) -> str: ...


class Keys:
    """The key sets that are pinned, by the file or address they come from. Threads share it."""

    def __init__(self, http: httpx2.Client | None = None) -> None:
        self._http = http
        self._lock = threading.Lock()
        self._held: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    def of(self, client: Pinned, kid: str) -> list[dict[str, Any]]:
        """The client's keys of that name; the pinned address is asked again, once a minute, for a name that is not known."""
        if client.jwks is not None:
            return _named(_from_file(client.jwks), kid)
        with self._lock:
            read_at, keys = self._held.get(client.jwks_url, (-FRESH, []))
            age = time.monotonic() - read_at
            if age > FRESH or (not _named(keys, kid) and age > AGAIN):
                keys = self._fetched(client.jwks_url) or keys
                self._held[client.jwks_url] = (time.monotonic(), keys)
            return _named(keys, kid)

    def _fetched(self, url: str) -> list[dict[str, Any]]:
        self._http = self._http or httpx2.Client(timeout=TIMEOUT)
        try:
            with self._http.stream(
                "GET", url, headers={"Accept": "application/json"}, follow_redirects=False
            ) as answer:
                if answer.status_code != 200:
                    return []
                body = b""
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MOST_KEYS:
                        return []
        except httpx2.HTTPError as error:
            log("cds").warning("the pinned keys cannot be read", why=type(error).__name__)
            return []
        return _keys(body)


def _from_file(path: Path) -> list[dict[str, Any]]:
    """Read at each call: it is small, and a changed file counts at once."""
    try:
        return _keys(path.read_bytes())
    except OSError as error:
        log("cds").warning("the pinned keys cannot be read", why=type(error).__name__)
        return []


def _keys(body: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return []
    keys = found.get("keys") if isinstance(found, dict) else None
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


def _named(keys: Iterable[dict[str, Any]], kid: str) -> list[dict[str, Any]]:
    return [key for key in keys if key.get("kid") == kid]


def verified(
    header: str, doors: Iterable[Door], keys: Keys, vault: Vault, *, now: datetime, audiences: Iterable[str]
) -> Caller:
    """Who signed the call. Raises SignInNeeded, with a sentence that tells an attacker nothing of our keys."""
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not 1 <= len(token) <= MOST_TOKEN:
        raise SignInNeeded("this needs the EHR's signed token", fix="send Authorization: Bearer …")
    head, said = unproved(token)
    alg, kid, iss = head.get("alg"), head.get("kid"), said.get("iss")
    if not isinstance(alg, str) or alg not in KINDS or not isinstance(kid, str) or "crit" in head:
        raise _refused("its signature is of a kind that is not taken here, or it names no key")
    if not isinstance(iss, str):
        raise _refused("it does not say who issued it")
    for door in doors:
        for client in door.cds:
            if same(client.iss, iss) and client.tenant in {"", said.get("tenant")}:
                claims = proved(token, alg, keys.of(client, kid))
                if claims is not None:
                    _check(claims, now, audiences, vault, client.iss)
                    return Caller(iss=client.iss, door=door.name)
    raise _refused("nobody configured here has signed it")


def unproved(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims before the signature is looked at: only to find whose key to try."""
    parts = token.split(".")
    if len(parts) != 3:
        raise _refused("it is no signed token")
    head, said = (_part(part) for part in parts[:2])
    return head, said


def _part(text: str) -> dict[str, Any]:
    from base64 import urlsafe_b64decode

    try:
        found = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        raise _refused("it is no signed token") from None
    if not isinstance(found, dict):
        raise _refused("it is no signed token")
    return found


def proved(token: str, alg: str, keys: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The claims, when one of these keys has signed them in this way."""
    kind, curve = KINDS[alg]
    registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
    for one in keys:
        usable = one.get("kty") == kind and one.get("use", "sig") == "sig" and one.get("alg", alg) == alg
        if not usable or (curve and one.get("crv") != curve):
            continue
        public = {name: one[name] for name in ("kty", "n", "e", "crv", "x", "y") if isinstance(one.get(name), str)}
        try:
            key = RSAKey.import_key(public) if kind == "RSA" else ECKey.import_key(public)
            return dict(jwt.decode(token, key, algorithms=[alg], registry=registry).claims)
        except (JoseError, ValueError, TypeError):
            continue
    return None


def _check(claims: Mapping[str, Any], now: datetime, audiences: Iterable[str], vault: Vault, iss: str) -> None:
    """For this service, for now, and for once."""
    moment = now.timestamp()
    ends, begun = _number(claims.get("exp")), _number(claims.get("iat"))
    starts = claims.get("nbf")
    if ends is None or begun is None:
        raise _refused("it does not say when it was made and when it ends")
    if ends < moment - SKEW or begun > moment + SKEW or not 0 < ends - begun <= LIVES + SKEW:
        raise _refused("it is not of this moment, or lives longer than five minutes")
    if starts is not None and ((first := _number(starts)) is None or first > moment + SKEW):
        raise _refused("it is not valid yet")
    meant = claims.get("aud")
    meant = [meant] if isinstance(meant, str) else meant
    wanted = {audience.rstrip("/") for audience in audiences}
    if not isinstance(meant, list) or not any(isinstance(one, str) and one.rstrip("/") in wanted for one in meant):
        raise _refused("it is meant for somebody else")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        raise _refused("it has no number of its own")
    if not vault.first(f"cds-jti:{iss}:{jti}", seconds=LIVES + 3 * SKEW):
        raise _refused("it was used before")


def _number(found: object) -> float | None:
    return (
        float(found) if isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 1e11 else None
    )


def _refused(why: str) -> SignInNeeded:
    return SignInNeeded(f"the EHR's token is refused: {why}", fix="see docs/cds-hooks.md")
