"""A token is given to whoever proves who they are: by a signed statement, or by a secret where an EHR insists on one.

A clock two minutes off must not keep us out: the statement claims to be older than it is and ends soon, so that it is good by
either clock; where that is not enough, the EHR's own Date is used once.
Spec: RFC 7523 private_key_jwt (exp at most five minutes ahead, jti once); RFC 6749 2.3.1 client_secret_basic and _post.
"""

from __future__ import annotations

import os
import uuid
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from joserfc import jwt

from fhir_billing.domain.errors import SecretMissing
from fhir_billing.ehr.client_keys import named, signing_key

OLDER = 130
"""Seconds that a statement claims to be older than it is."""
LIVES = 150
"""Seconds until it ends."""
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are to this EHR: a client id with a key, or with a secret that lies in a variable or a file."""

    client_id: str
    key: Path | None = None
    key_id: str = ""
    scopes: str = "system/*.rs"
    more_keys: tuple[Path, ...] = ()
    """Keys that are published too, and tried when the EHR does not know `key`: the one before it."""
    secret_env: str = ""
    secret_file: Path | None = None

    @property
    def by_secret(self) -> bool:
        """Whether this EHR insists on a secret."""
        return bool(self.secret_env or self.secret_file)

    def secret(self) -> str:
        """The client secret, read where it lies. Raises SecretMissing."""
        if self.secret_file is not None:
            try:
                found = self.secret_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SecretMissing(
                    f"the client secret for the EHR cannot be read ({type(error).__name__})", fix="correct its file"
                ) from None
        else:
            found = os.environ.get(self.secret_env, "")
        if not found:
            raise SecretMissing("the client secret for the EHR is empty", fix=f"set {self.secret_env or 'its file'}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One way to say who we are, in the form or in the header of a request for a token."""

    name: str
    form: dict[str, str]
    headers: dict[str, str]


def proofs(credentials: Credentials, token_url: str, now: float) -> Iterator[Proof]:
    """The ways to prove it, best first; the next one is for an EHR that does not know us by this one. Raises SecretMissing."""
    who = credentials.client_id
    if credentials.by_secret:
        secret = credentials.secret()
        pair = b64encode(f"{quote(who, safe='')}:{quote(secret, safe='')}".encode()).decode()
        yield Proof(name="secret in the header", form={}, headers={"Authorization": f"Basic {pair}"})
        yield Proof(name="secret in the form", form={"client_id": who, "client_secret": secret}, headers={})
        return
    if credentials.key is None:
        raise SecretMissing("there is neither a key nor a secret for the EHR", fix="set FHIR_BILLING_EHR_KEY")
    yield _signed(credentials, credentials.key, credentials.key_id, token_url, now)
    for older in credentials.more_keys:
        yield _signed(credentials, *named(older), token_url, now)


def _signed(credentials: Credentials, path: Path, key_id: str, token_url: str, now: float) -> Proof:
    key, alg = signing_key(path)
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.client_id,
        "aud": token_url,
        "jti": str(uuid.uuid4()),
        "iat": int(now) - OLDER,
        "exp": int(now) + LIVES,
    }
    header = {"alg": alg, "kid": key_id or key.thumbprint(), "typ": "JWT"}
    signed = jwt.encode(header, claims, key, algorithms=[alg])
    return Proof(
        name=f"key {path.name}",
        form={"client_assertion_type": ASSERTION, "client_assertion": signed},
        headers={},
    )
