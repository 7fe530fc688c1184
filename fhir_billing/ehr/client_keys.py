"""A client without a password shows a key: the private half stays in a file of ours, the public half is for everyone.

Spec: SMART App Launch 2.2, asymmetric client authentication: RS384 for RSA keys, ES384 for P-384 keys; RFC 7517, RFC 7638.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, RSAKey

from fhir_billing.domain.errors import SecretMissing

RSA_BITS = 3072


def named(path: Path) -> tuple[Path, str]:
    """A key's file and the name (kid) that it has at the EHR, written as `old.pem#k1`; no name is its thumbprint.

    >>> named(Path("keys/old.pem#k1"))[1], named(Path("keys/old.pem"))[1]
    ('k1', '')
    """
    file, _, name = str(path).partition("#")
    return Path(file), name


def signing_key(path: Path) -> tuple[RSAKey | ECKey, str]:
    """Our private key for an EHR, and the algorithm that it signs with. Raises SecretMissing."""
    try:
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
    except (OSError, ValueError, TypeError) as error:
        raise SecretMissing(
            f"the private key for the EHR cannot be read ({type(error).__name__})",
            fix="set FHIR_BILLING_EHR_KEY, or `key` of the launch file, to a PEM file",
        ) from None
    alg = _algorithm(key)
    if not alg:
        raise SecretMissing(
            "the private key for the EHR is neither RSA nor P-384",
            fix="make one with `fhir-billing keys make PATH`",
        )
    return (RSAKey.import_key(pem) if alg == "RS384" else ECKey.import_key(pem)), alg


def _algorithm(key: object) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS384"
    return "ES384" if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1" else ""


def make_key(path: Path, *, rsa_key: bool = False) -> dict[str, Any]:
    """Make a key of ours for an EHR, readable by us alone; returns the JWKS to register there. Never replaces one."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    key = rsa.generate_private_key(65537, RSA_BITS) if rsa_key else ec.generate_private_key(ec.SECP384R1())
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
