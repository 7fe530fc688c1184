"""What rests in a vault is sealed with a key of its own, made from the installation's one secret; its names are digests.

Whoever reads the database or Redis finds neither a token nor which session it belongs to; another secret opens nothing.
Spec: RFC 5869 HKDF; Fernet (AES-128-CBC with HMAC-SHA256).
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fhir_billing.domain.errors import SecretMissing

SHORTEST = 16


class Seal:
    """Seals values, each for its own name: a value moved under another name does not open."""

    def __init__(self, secret: str) -> None:
        if len(secret) < SHORTEST:
            raise SecretMissing(
                "FHIR_BILLING_SESSION_SECRET is not set, or too short",
                fix="set it to 32 random characters, the same for every process",
            )
        made = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"fhir-billing vault 1").derive(secret.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(made))

    def close(self, key: str, value: bytes) -> bytes:
        """The value as it may rest."""
        return self._fernet.encrypt(hashlib.sha256(key.encode()).digest() + value)

    def open(self, key: str, sealed: bytes) -> bytes | None:
        """The value; None when it was sealed with another secret, or for another name."""
        try:
            found = self._fernet.decrypt(sealed)
        except InvalidToken:
            return None
        return found[32:] if found[:32] == hashlib.sha256(key.encode()).digest() else None


def digest(key: str) -> str:
    """The name under which a key rests."""
    return hashlib.sha256(b"vault:" + key.encode()).hexdigest()
