"""What we send to somebody else's address goes to the machine that was looked at, and to no other.

A name is resolved once, each address that it has must be one of the open internet (unless an app's file says that a place
inside the house is meant), and the connection is made to that very address. Redirects and proxies of the environment are
not followed. The answer's body is not read: only whether it was taken.
Spec: RFC 6890 special addresses; Python `ipaddress.is_global`.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx2

from fhir_billing.domain.errors import NotAllowed, NotNow

_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")
TIMEOUT: Final = httpx2.Timeout(5.0, connect=3.0)


class NotTaken(NotNow):
    """The other side did not take what was sent. `status` is what it answered, 0: nothing."""

    code = "not-taken"

    def __init__(self, say: str, *, status: int = 0) -> None:
        super().__init__(say)
        self.status = status


def post(url: str, body: bytes, headers: Iterable[tuple[str, str]], *, inside: bool) -> int:
    """Send a FHIR body; the status, when it is one of success. Raises NotTaken, NotAllowed."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    place = _place(parts.hostname or "", port, inside=inside)
    shown = f"[{place}]" if ":" in place else place
    pinned = urlunsplit((parts.scheme, f"{shown}:{port}", parts.path or "/", parts.query, ""))
    own = {"host": parts.netloc, "content-type": "application/fhir+json", "accept": "application/fhir+json"}
    sent = {**{name: value for name, value in headers if name.lower() not in own}, **own}
    try:
        with (
            httpx2.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=False) as http,
            http.stream(
                "POST", pinned, content=body, headers=sent, extensions={"sni_hostname": parts.hostname}
            ) as answer,
        ):
            status = int(answer.status_code)
    except httpx2.HTTPError as error:
        raise NotTaken(f"it does not answer ({type(error).__name__})") from None
    if not 200 <= status < 300:
        raise NotTaken(f"it answered {status}", status=status)
    return status


def _place(host: str, port: int, *, inside: bool) -> str:
    """The address of a name. Raises NotAllowed when one of them lies inside the house and that is not meant."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotTaken("its name leads nowhere") from None
    found = [str(row[4][0]).partition("%")[0] for row in rows]
    if not found:
        raise NotTaken("its name leads nowhere")
    if not inside and not all(is_open(address) for address in found):
        raise NotAllowed("its name leads inside the house", fix="list it as private_hosts if that is meant")
    return found[0]


def is_open(address: str) -> bool:
    """Whether an address is one of the open internet.

    >>> is_open("192.0.2.1"), is_open("169.254.169.254"), is_open("::ffff:127.0.0.1"), is_open("1.1.1.1")
    (False, False, False, True)
    """
    found = ipaddress.ip_address(address)
    if found in _TRANSLATED:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return bool(found.is_global and not found.is_multicast and (mapped is None or is_open(str(mapped))))
