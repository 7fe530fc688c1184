"""SMART Backend Services: who proves who they are gets a token, and all our processes share it until shortly before it ends.

It is fetched anew ahead of its end, by one process; the others go on with the one that is still good. Shared, it lies sealed in
the vault. An EHR that gives none while the old one is good stops nobody.
Spec: SMART App Launch 2.2 "Backend Services"; RFC 6749 4.4, 5.1, 5.2.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from fhir_billing.cycle.ports import Vault
from fhir_billing.domain.errors import (
    BillingError,
    EhrBrokeContract,
    EhrUnavailable,
    MalformedResource,
    RateLimited,
    TokenRefused,
)
from fhir_billing.ehr.answers import ENCODINGS, lifetime, seconds, small
from fhir_billing.ehr.client_keys import make_key, public_keys, signing_key
from fhir_billing.ehr.proofs import Credentials, Proof, proofs
from fhir_billing.fhir.text import loads
from fhir_billing.logs import log

__all__ = ["BackendToken", "Credentials", "make_key", "public_keys", "signing_key"]

AHEAD_SECONDS = 30
"""A token is not used any more this long before it ends."""
FRESH_PART = 4, 5
"""The part of its life after which the next one is fetched."""
LEAD_SECONDS = 20
"""For so long one process is the one that fetches."""
OTHER_CLOCK = 60
"""Seconds from which on two clocks are said to differ."""
_PLAIN = re.compile(r"[^A-Za-z0-9_. -]")
_log = log("ehr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A token, when the next one is to be fetched, and when it is used no more, in seconds since 1970."""

    token: str = ""
    fresh_until: float = 0.0
    good_until: float = 0.0
    granted: tuple[str, ...] = ()


class BackendToken:
    """A bearer token for one EHR: shared by threads, and by processes where there is a vault."""

    def __init__(
        self,
        credentials: Credentials,
        token_url: str | Callable[[], str],
        http: httpx2.Client,
        vault: Vault | None = None,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._credentials, self._where, self._http = credentials, token_url, http
        self._vault, self._now, self._sleep = vault, now, sleep
        self._lock = threading.Lock()
        self._held = Held()
        self._wait_until = 0.0
        self._their_clock = 0.0

    @property
    def granted(self) -> frozenset[str]:
        """The scopes that the EHR really gave; none while it has not said."""
        return frozenset(self._held.granted)

    def value(self) -> str:
        """The token; raises EhrUnavailable, RateLimited, TokenRefused or SecretMissing."""
        with self._lock:
            if self._now() < self._held.fresh_until:
                return self._held.token
            shared = self._shared()
            if shared.good_until > self._held.good_until:
                self._held = shared
            if self._now() < self._held.fresh_until:
                return self._held.token
            if self._now() < self._held.good_until:
                self._renew_ahead()
            else:
                self._renew()
            return self._held.token

    def forget(self, token: str = "") -> None:
        """The EHR refuses this token (whichever is held, when it is not said): another one is fetched, unless one is here already."""
        with self._lock:
            refused = token or self._held.token
            if refused == self._held.token:
                self._held = Held()
            if self._shared().token == refused:
                self._vaulted(lambda vault: vault.drop(self._key), None)
                self._vaulted(lambda vault: vault.drop(f"{self._key}:lead"), None)

    # fetching

    def _renew_ahead(self) -> None:
        """The token is good for a while yet: one process fetches the next, and nothing is lost if it gets none."""
        if self._now() < self._wait_until or not self._leads():
            return
        self._wait_until = self._now() + LEAD_SECONDS
        try:
            self._fetch()
        except BillingError as error:
            _log.warning("the next token is not there yet", code=error.code)

    def _renew(self) -> None:
        """There is no good token: whoever is not the one that fetches waits a moment for it."""
        for _ in range(0 if self._leads() else 10):
            self._sleep(0.2)
            shared = self._shared()
            if self._now() < shared.good_until:
                self._held = shared
                return
        try:
            self._fetch()
        except BillingError:
            self._vaulted(lambda vault: vault.drop(f"{self._key}:lead"), None)
            raise

    def _fetch(self) -> None:
        url = self._where if isinstance(self._where, str) else self._where()
        answer = self._asked(url)
        said = _json(answer)
        token = said.get("access_token")
        if answer.status_code != 200 or not _is_token(token):
            raise _no_token(answer, said)
        lives, now, scope = lifetime(said.get("expires_in")), self._now(), said.get("scope")
        good = max(lives - AHEAD_SECONDS, lives / 2)
        self._held = Held(
            token=str(token),
            fresh_until=now + min(lives * FRESH_PART[0] / FRESH_PART[1], good),
            good_until=now + good,
            granted=tuple(sorted(scope.split())) if isinstance(scope, str) else (),
        )
        kept = json.dumps(asdict(self._held)).encode()
        self._vaulted(lambda vault: vault.put(self._key, kept, seconds=max(int(good), 1)), None)

    def _asked(self, url: str) -> httpx2.Response:
        """Prove who we are in each way until the EHR knows us; its own clock is believed once."""
        answer = self._one_by_one(url)
        differs = _their_date(answer) - self._now() if _their_date(answer) else 0.0
        if answer.status_code in {400, 401} and abs(differs - self._their_clock) > OTHER_CLOCK:
            _log.warning("the EHR's clock differs from ours", seconds=round(differs))
            self._their_clock = differs
            answer = self._one_by_one(url)
        return answer

    def _one_by_one(self, url: str) -> httpx2.Response:
        """An EHR that breaks over a key that it does not know (500) has not said no to the other one."""
        answer, before = None, ""
        for proof in proofs(self._credentials, url, self._now() + self._their_clock):
            if before:
                _log.warning("the EHR does not know us by the one, the other is tried", one=before, other=proof.name)
            answer, before = self._post(url, proof), proof.name
            if answer.status_code != 500 and _code(answer, _json(answer)) not in {"invalid_client", "401"}:
                break
        assert answer is not None  # noqa: S101 - there is always a first way
        if answer.status_code >= 500:
            raise EhrUnavailable(f"the EHR's token endpoint answered {answer.status_code}")
        return answer

    def _post(self, url: str, proof: Proof) -> httpx2.Response:
        body = {"grant_type": "client_credentials", "scope": self._credentials.scopes, **proof.form}
        headers = {"Accept": "application/json", "Accept-Encoding": ENCODINGS, **proof.headers}
        try:
            answer = small(self._http, "POST", url, data=body, headers=headers)
        except EhrBrokeContract as error:
            raise EhrUnavailable(f"the EHR's token endpoint gives no token: {error.say}") from None
        except httpx2.HTTPError as error:
            raise EhrUnavailable(f"the EHR's token endpoint does not answer ({type(error).__name__})") from None
        if answer.status_code == 429:
            after = seconds(answer.headers.get("retry-after", ""))
            raise RateLimited("the EHR's token endpoint asks us to slow down", retry_after=after)
        return answer

    # what processes share

    @property
    def _key(self) -> str:
        c = self._credentials
        words = (c.client_id, c.scopes, str(c.key), c.secret_env, str(c.secret_file), self._where_is)
        return "ehr-token:" + hashlib.sha256("\n".join(words).encode()).hexdigest()

    @property
    def _where_is(self) -> str:
        return self._where if isinstance(self._where, str) else getattr(self._where, "ehr", "")

    def _shared(self) -> Held:
        found = self._vaulted(lambda vault: vault.get(self._key), None)
        try:
            said = json.loads(found) if found else {}
            return Held(**{**said, "granted": tuple(said.get("granted", ()))})
        except (ValueError, TypeError):
            return Held()

    def _leads(self) -> bool:
        return bool(self._vaulted(lambda vault: vault.first(f"{self._key}:lead", seconds=LEAD_SECONDS), True))

    def _vaulted(self, act: Callable[[Vault], Any], otherwise: Any) -> Any:
        """What the vault says; without one, or while it is silent, each process has a token of its own."""
        if self._vault is None:
            return otherwise
        try:
            return act(self._vault)
        except Exception as error:
            _log.warning("tokens are not shared now", error=type(error).__name__)
            return otherwise


def _json(answer: httpx2.Response) -> dict[str, Any]:
    """What it says; nothing where it is no JSON object."""
    try:
        found = loads(answer.content)
    except MalformedResource:
        return {}
    return found if isinstance(found, dict) else {}


def _is_token(said: object) -> bool:
    """Whether it can stand in a header."""
    return isinstance(said, str) and bool(said) and said.isascii() and said.isprintable()


def _no_token(answer: httpx2.Response, said: dict[str, Any]) -> EhrUnavailable | TokenRefused:
    """A refusal is one that says so in the words of OAuth; anything else is a hiccup."""
    says_no = isinstance(said.get("error"), str) or (answer.status_code == 200 and bool(said))
    if answer.status_code != 401 and not says_no:
        return EhrUnavailable(
            f"the EHR's token endpoint answered {answer.status_code} with neither a token nor a reason",
            fix="check its address, FHIR_BILLING_EHR_TOKEN_URL, if that lasts",
        )
    fix = "check client id, key and scopes as registered at the EHR"
    return TokenRefused(f"the EHR gives no token: {_code(answer, said)}", fix=fix)


def _code(answer: httpx2.Response, said: dict[str, Any]) -> str:
    return _PLAIN.sub("", str(said.get("error", answer.status_code)))[:60]


def _their_date(answer: httpx2.Response) -> float:
    """The EHR's clock as its answer shows it, in seconds since 1970; 0 when it does not."""
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
