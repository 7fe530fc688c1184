"""SMART Backend Services: a signed assertion buys a token, which is kept until shortly before it ends.

Spec: SMART App Launch 2.2 "Backend Services"; RFC 7523 private_key_jwt; RS384 for RSA keys, ES384 for P-384 keys.
"""

from __future__ import annotations

import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, RSAKey

from fhir_billing.domain.errors import EhrBrokeContract, EhrUnavailable, RateLimited, ScopeMissing, SecretMissing

AHEAD_SECONDS = 30
"""A token is fetched anew this long before it ends."""
_PLAIN = re.compile(r"[^A-Za-z0-9_. -]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are to this EHR."""

    client_id: str
    key: Path
    key_id: str = ""
    scopes: str = "system/*.rs"


class BackendToken:
    """A bearer token for one EHR, shared by the threads of this process."""

    def __init__(self, credentials: Credentials, token_url: str, http: httpx2.Client) -> None:
        self._credentials, self._url, self._http = credentials, token_url, http
        self._lock = threading.Lock()
        self._token, self._ends = "", 0.0
        self.granted: frozenset[str] = frozenset()
        """The scopes that the EHR really gave."""

    def value(self) -> str:
        """The token; raises EhrUnavailable, RateLimited, ScopeMissing or SecretMissing."""
        with self._lock:
            if time.monotonic() > self._ends - AHEAD_SECONDS:
                self._fetch()
            return self._token

    def forget(self) -> None:
        """The EHR no longer takes the token: fetch another at the next request."""
        with self._lock:
            self._ends = 0.0

    def _fetch(self) -> None:
        body = {
            "grant_type": "client_credentials",
            "scope": self._credentials.scopes,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._assertion(),
        }
        try:
            answer = self._http.post(self._url, data=body)
        except httpx2.HTTPError as error:
            raise EhrUnavailable(f"the EHR's token endpoint does not answer ({type(error).__name__})") from None
        if answer.status_code == 429:
            raise RateLimited("the EHR's token endpoint asks us to slow down")
        if answer.status_code >= 500:
            raise EhrUnavailable(f"the EHR's token endpoint answered {answer.status_code}")
        said = _json(answer)
        if answer.status_code != 200 or "access_token" not in said:
            code = _PLAIN.sub("", str(said.get("error", answer.status_code)))[:60]
            raise ScopeMissing(
                f"the EHR gives no token: {code}", fix="check client id, key and scopes as registered at the EHR"
            )
        self._token = str(said["access_token"])
        self._ends = time.monotonic() + _seconds(said.get("expires_in"))
        self.granted = frozenset(str(said.get("scope", self._credentials.scopes)).split())

    def _assertion(self) -> str:
        jwk, alg = signing_key(self._credentials.key)
        header = {"alg": alg, "kid": self._credentials.key_id or jwk.thumbprint()}
        signed = private_key_jwt_sign(
            jwk,
            client_id=self._credentials.client_id,
            token_endpoint=self._url,
            alg=alg,
            header=header,
            expires_in=240,
        )
        return signed.decode() if isinstance(signed, bytes) else str(signed)


def signing_key(path: Path) -> tuple[RSAKey | ECKey, str]:
    """Our private key for an EHR, and the algorithm that it signs with. Raises SecretMissing."""
    try:
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
    except (OSError, ValueError) as error:
        raise SecretMissing(
            f"the private key for the EHR cannot be read ({type(error).__name__})",
            fix="set FHIR_BILLING_EHR_KEY, or `key` of the launch file, to a PEM file",
        ) from None
    alg = _algorithm(key)
    if not alg:
        raise SecretMissing(
            "the private key for the EHR is neither RSA nor P-384",
            fix="make one with fhir_billing.ehr.backend_auth.make_key(path)",
        )
    return (RSAKey.import_key(pem) if alg == "RS384" else ECKey.import_key(pem)), alg


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        raise EhrBrokeContract("the EHR's token endpoint did not answer with JSON") from None
    return found if isinstance(found, dict) else {}


def _algorithm(key: object) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS384"
    return "ES384" if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1" else ""


def _seconds(said: object) -> float:
    """How long a token lives; five minutes when the EHR does not say."""
    return float(said) if isinstance(said, int | str) and str(said).isdigit() else 300.0


def make_key(path: Path) -> dict[str, Any]:
    """Make a P-384 key of ours for an EHR, readable by us alone; returns the JWKS to register there. Never replaces one."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SecretMissing(f"{path.name} is there already", fix="register that one, or choose another name") from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return public_keys(path)


def public_keys(path: Path) -> dict[str, Any]:
    """The public half of our key, as a JWKS to register at the EHR. Raises SecretMissing."""
    own, alg = signing_key(path)
    return {"keys": [{**own.as_dict(private=False), "kid": own.thumbprint(), "use": "sig", "alg": alg}]}
