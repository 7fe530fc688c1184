"""A clinician's EHR opens our page and vouches for who it is: the SMART App Launch sign-in, and its tokens until they end.

Only an EHR that has a launch file is ever asked for anything. Where its sign-in lies it says itself, and is held to https.
Spec: SMART App Launch 2.2; RFC 6749, RFC 7636 (PKCE, S256 only), RFC 7009, RFC 7523, RFC 9207; OpenID Connect Core 1.0.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urljoin

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from fhir_billing.domain.errors import EhrBrokeContract, EhrUnavailable, MalformedResource, NotAllowed, RateLimited
from fhir_billing.doors import KEY, SECRET, Door, Going, Granted, checked_url, same
from fhir_billing.ehr.answers import ENCODINGS, bounded, lifetime, small
from fhir_billing.ehr.backend_auth import signing_key
from fhir_billing.fhir.text import loads

ALGORITHMS: Final = ["RS256", "RS384", "ES256", "ES384"]
DISCOVERED_SECONDS: Final = 300
LEEWAY_SECONDS: Final = 60
TIMEOUT: Final = httpx2.Timeout(15.0, connect=5.0)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_PERSON = re.compile(r"(Practitioner|PractitionerRole|Patient|RelatedPerson|Person)/[A-Za-z0-9\-.]{1,64}")
_PLAIN = re.compile(r"[^A-Za-z0-9_. -]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """Where an EHR's sign-in lies, as it says itself."""

    authorize: str
    token: str
    revoke: str
    jwks: str
    issuer: str
    answers_iss: bool
    """Whether it promises to say who it is when it sends the browser back (RFC 9207)."""


class SmartClient:
    """Implements `doors.Smart`; threads may share it."""

    def __init__(self, http: httpx2.Client | None = None) -> None:
        self._http = http or httpx2.Client(timeout=TIMEOUT, follow_redirects=False)
        self._known: dict[str, tuple[float, Discovered]] = {}
        self._keys: dict[str, KeySet] = {}
        self._lock = threading.Lock()

    # where

    def discover(self, door: Door) -> Discovered:
        """The EHR's own word, for five minutes. Raises EhrUnavailable, EhrBrokeContract."""
        with self._lock:
            kept = self._known.get(door.name)
        if kept and time.monotonic() - kept[0] < DISCOVERED_SECONDS:
            return kept[1]
        said = self._json(f"{door.iss.rstrip('/')}/.well-known/smart-configuration", "smart-configuration")
        methods = said.get("code_challenge_methods_supported")
        if isinstance(methods, list) and methods and "S256" not in methods:
            raise EhrBrokeContract("the EHR takes no PKCE with S256", fix="SMART App Launch 2 asks for it")
        found = Discovered(
            authorize=_endpoint(said, "authorization_endpoint", needed=True),
            token=_endpoint(said, "token_endpoint", needed=True),
            revoke=_endpoint(said, "revocation_endpoint"),
            jwks=door.jwks_url or _endpoint(said, "jwks_uri"),
            issuer=door.issuer or str(said.get("issuer") or ""),
            answers_iss=said.get("authorization_response_iss_parameter_supported") is True,
        )
        with self._lock:
            self._known[door.name] = (time.monotonic(), found)
        return found

    def _json(self, url: str, what: str) -> dict[str, Any]:
        """One small document; an answer that points elsewhere is none."""
        try:
            answer = small(self._http, "GET", url, headers={"Accept": "application/json", "Accept-Encoding": ENCODINGS})
        except httpx2.HTTPError as error:
            raise EhrUnavailable(f"the EHR does not answer ({type(error).__name__})", fix="try again") from None
        if answer.status_code == 429 or answer.status_code >= 500:
            raise EhrUnavailable(f"the EHR answered {answer.status_code}", fix="try again")
        if answer.status_code != 200:
            raise EhrBrokeContract(
                f"the EHR answered {answer.status_code} to {what}", fix="correct `iss` of its launch file"
            )
        try:
            found = loads(answer.content)
        except MalformedResource:
            found = None
        if not isinstance(found, dict):
            raise EhrBrokeContract(f"the EHR's {what} is no JSON object")
        return found

    # going there and coming back

    def begin(self, door: Door, *, back: str, launch: str = "", sent: str = "", tried: tuple[str, ...] = ()) -> Going:
        """Where to send the browser, and what to remember. Raises EhrUnavailable, EhrBrokeContract."""
        found = self.discover(door)
        aud = next((aud for aud in audiences(door, sent) if aud not in tried), "")
        if not aud:
            raise EhrBrokeContract("the EHR refuses its own address", fix="set `aud` in its launch file")
        state, verifier, nonce = (secrets.token_urlsafe(size) for size in (32, 48, 24))
        with self._client(door, found, back) as client:
            url, _ = client.create_authorization_url(
                found.authorize,
                state=state,
                code_verifier=verifier,
                aud=aud,
                nonce=nonce,
                scope=asked(door.scopes, launch),
                **({"launch": launch} if launch else {}),
                **({"prompt": door.prompt} if door.prompt else {}),
            )
        return Going(
            door=door.name, url=url, state=state, verifier=verifier, nonce=nonce, aud=aud, launch=launch, tried=tried
        )

    def finish(self, door: Door, going: Going, *, code: str, back: str, iss: str = "") -> Granted:
        """Exchange the code and check who it is. Raises NotAllowed, EhrUnavailable, EhrBrokeContract."""
        found = self.discover(door)
        if (iss and not same(iss, found.issuer)) or (found.answers_iss and not iss):
            raise NotAllowed("Another server answered than was asked", fix="open this page again from the chart")
        with self._client(door, found, back) as client, _exchange("sign-in"):
            said = client.fetch_token(
                found.token,
                grant_type="authorization_code",
                code=code,
                code_verifier=going.verifier,
                redirect_uri=back,
            )
        claims = self._claims(door, found, said.get("id_token"), going.nonce)
        return self._granted(door, said, claims, asked(door.scopes, going.launch), None)

    def refresh(self, door: Door, granted: Granted) -> Granted:
        """A fresh token. Raises NotAllowed when the EHR ends it, EhrUnavailable."""
        found = self.discover(door)
        with self._client(door, found, "") as client, _exchange("renewal"):
            said = client.refresh_token(found.token, refresh_token=granted.refresh)
        claims = self._claims(door, found, said.get("id_token"), "") if said.get("id_token") else {}
        return self._granted(door, said, claims, " ".join(granted.scopes), granted)

    def end(self, door: Door, granted: Granted) -> None:
        """Revoke what the EHR still honours; what cannot be revoked ends by itself."""
        try:
            found = self.discover(door)
            if not found.revoke:
                return
            with self._client(door, found, "") as client:
                for token, hint in ((granted.refresh, "refresh_token"), (granted.access, "access_token")):
                    if token:
                        client.revoke_token(found.revoke, token, hint)
        except (httpx2.HTTPError, OAuthError, EhrUnavailable, EhrBrokeContract):
            return

    def _client(self, door: Door, found: Discovered, back: str) -> Any:
        method = {SECRET: "client_secret_basic", KEY: "private_key_jwt"}.get(door.client, "none")
        secret: Any = door.secret() if door.client == SECRET else None
        client = OAuth2Client(
            client_id=door.client_id,
            client_secret=secret,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            redirect_uri=back or None,
            code_challenge_method="S256",
            timeout=TIMEOUT,
            follow_redirects=False,
            headers={"Accept-Encoding": ENCODINGS},
            event_hooks={"response": [bounded]},
        )
        if door.client == KEY and door.key is not None:
            key, alg = signing_key(door.key)
            client.client_secret = key
            header = {"alg": alg, "kid": door.key_id or key.thumbprint()}
            client.register_client_auth_method(PrivateKeyJWT(found.token, headers=header, alg=alg))
        return client

    # who it is

    def _claims(self, door: Door, found: Discovered, token: object, nonce: str) -> dict[str, Any]:
        """The id_token's claims, after every check; none when the EHR gave no token. Raises NotAllowed."""
        if not token:
            return {}
        if not found.jwks or not found.issuer:
            raise EhrBrokeContract(
                "the EHR does not say whose keys sign its id_token",
                fix="set `issuer` and `jwks_url` in its launch file",
            )
        claims = dict(self._signed(door, found, str(token)))
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            exp={"essential": True},
            sub={"essential": True},
            aud={"essential": True, "value": door.client_id},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise _unproved(f"the id_token's claim does not hold: {_word(error)}") from None
        many = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if not same(str(claims.get("iss", "")), found.issuer):
            raise _unproved("another issuer wrote the id_token")
        if (many or "azp" in claims) and claims.get("azp") != door.client_id:
            raise _unproved("the id_token was made for another application")
        if nonce and not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise _unproved("the id_token belongs to another sign-in")
        return claims

    def _signed(self, door: Door, found: Discovered, token: str) -> Mapping[str, Any]:
        """The claims under a signature that holds; the keys are fetched again once, for the EHR may have changed them."""
        for fresh in (False, True):
            try:
                return jwt.decode(token, self._keys_of(found.jwks, fresh=fresh), algorithms=ALGORITHMS).claims
            except (JoseError, ValueError) as error:
                if fresh:
                    raise _unproved(f"the id_token is not the EHR's: {_word(error)}") from None
        raise _unproved("the id_token is not the EHR's")  # pragma: no cover - the loop has answered

    def _keys_of(self, url: str, *, fresh: bool) -> KeySet:
        with self._lock:
            kept = self._keys.get(url)
        if kept is not None and not fresh:
            return kept
        said = self._json(url, "keys")
        usable = [key for key in said.get("keys") or () if isinstance(key, dict) and key.get("kty") in {"RSA", "EC"}]
        set_: KeySetSerialization = {"keys": usable}
        try:
            made = KeySet.import_key_set(set_)
        except (JoseError, ValueError, KeyError):
            raise EhrBrokeContract("the EHR's keys cannot be read") from None
        with self._lock:
            self._keys[url] = made
        return made

    def _granted(
        self, door: Door, said: Mapping[str, Any], claims: Mapping[str, Any], wanted: str, before: Granted | None
    ) -> Granted:
        """What was given, in our words; what a renewal leaves out stays as it was."""
        if not said.get("access_token") or str(said.get("token_type", "bearer")).lower() != "bearer":
            raise EhrBrokeContract("the EHR gave no bearer token")
        user = _person(claims.get("fhirUser") or claims.get("profile"), door.iss) or _text(claims.get("sub"))
        name = _text(claims.get("name") or claims.get("preferred_username"))
        made = Granted(
            access=str(said["access_token"]),
            refresh=str(said.get("refresh_token") or (before.refresh if before else "")),
            ends=time.time() + lifetime(said.get("expires_in")),
            scopes=frozenset(str(said.get("scope") or wanted).split()),
            patient=_reference("Patient", said.get("patient")),
            encounter=_reference("Encounter", said.get("encounter")),
            practitioner=user if user.startswith("Practitioner/") else "",
            user=user,
            who=name or user or f"somebody at {door.title or door.name}",
            banner=said.get("need_patient_banner") is not False,
            intent=_text(said.get("intent")),
            style=_text(said.get("smart_style_url")),
        )
        if before is None:
            return made
        return replace(
            made,
            practitioner=before.practitioner,
            user=before.user,
            who=before.who,
            banner=before.banner,
            intent=before.intent,
            style=before.style,
        )


def audiences(door: Door, sent: str) -> list[str]:
    """Spellings of `aud`, the likeliest first: what the file says, else what the EHR sent, its file's iss, the other slash.

    >>> audiences(Door(name="d", iss="https://e.example/r4", client_id="c"), "https://e.example/r4/")
    ['https://e.example/r4/', 'https://e.example/r4']
    """
    if door.aud:
        return [door.aud]
    bare = door.iss.removesuffix("/")
    return list(dict.fromkeys(aud for aud in (sent, door.iss, bare, f"{bare}/") if aud))


def asked(scopes: str, launch: str) -> str:
    """The scopes of this way in: `launch` is asked with a launch, `launch/patient` without one.

    >>> asked("openid launch launch/patient", "x"), asked("openid launch", "")
    ('openid launch', 'openid launch/patient')
    """
    words = [word for word in scopes.split() if word != "launch" and not (launch and word.startswith("launch/"))]
    here = "launch" if launch else "launch/patient"
    return " ".join(dict.fromkeys([*words[:1], here, *words[1:]]))


class _exchange:  # noqa: N801 - it reads as a verb
    """What a token endpoint may do to us, in our words."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        what = self._what
        if isinstance(error, httpx2.HTTPStatusError):
            status = error.response.status_code
            if status == 429:
                raise RateLimited("the EHR asks us to slow down", fix="try again in a minute") from None
            raise EhrUnavailable(f"the EHR answered {status} to our {what}", fix="try again") from None
        if isinstance(error, httpx2.HTTPError):
            raise EhrUnavailable(f"the EHR does not answer ({type(error).__name__})", fix="try again") from None
        if isinstance(error, OAuthError):
            raise NotAllowed(
                f"The EHR refused the {what}: {_plain(error.error)}", fix="open this page again from the chart"
            ) from None
        if isinstance(error, ValueError | TypeError | RecursionError):
            raise EhrBrokeContract(f"the EHR's answer to our {what} is no JSON") from None


def _endpoint(said: Mapping[str, Any], word: str, *, needed: bool = False) -> str:
    found = said.get(word)
    if not found and not needed:
        return ""
    try:
        return checked_url(str(found or ""), word)
    except Exception as error:
        raise EhrBrokeContract(
            f"the EHR's smart-configuration: {getattr(error, 'say', word)}", fix="the EHR must mend it"
        ) from None


def _reference(kind: str, said: object) -> str:
    """A launch context as `Type/id`, whether the EHR said `id` or `Type/id`; what is no id is none."""
    found = str(said or "").removeprefix(f"{kind}/")
    return f"{kind}/{found}" if _ID.fullmatch(found) else ""


def _person(said: object, iss: str) -> str:
    """Who signed in, as `Type/id` of this EHR: absolute and relative ones alike; a person elsewhere is none of ours."""
    base = f"{iss.rstrip('/')}/"
    text = urljoin(base, str(said or "")).split("/_history/", maxsplit=1)[0]
    found = text.removeprefix(base) if text.startswith(base) else ""
    return found if _PERSON.fullmatch(found) else ""


def _text(said: object) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", " ", str(said)).strip()[:200] if isinstance(said, str) else ""


def _plain(text: object) -> str:
    return _PLAIN.sub("", str(text))[:60] or "no reason given"


def _word(error: Exception) -> str:
    return _plain(getattr(error, "error", "") or type(error).__name__)


def _unproved(say: str) -> NotAllowed:
    return NotAllowed(f"Who you are could not be proved: {say}", fix="open this page again from the chart")
