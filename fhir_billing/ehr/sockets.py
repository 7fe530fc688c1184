"""Where an EHR cannot reach us, we go to it: a line is kept open, and notifications come down it.

The token of the line is fetched with ours and is worth nothing elsewhere; the line itself goes to the EHR's own host only.
Spec: Subscriptions R5 Backport 1.1, websocket channel, `$get-ws-binding-token`, `bind-with-token`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from fhir_billing.domain.errors import EhrBrokeContract, EhrUnavailable
from fhir_billing.ehr.client import FhirClient
from fhir_billing.fhir.text import loads

MOST_BYTES: Final = 2_000_000
TICK: Final = 0.5
"""Seconds after which a waiting listener looks whether it should stop."""
PING: Final = 20.0
EARLY: Final = 30.0
"""Seconds before its end at which a token is renewed."""


def listen(client: FhirClient, subscription: str, stopped: Callable[[], bool]) -> Iterator[bytes]:
    """Bind, and give what comes until it is stopped, the token ends or the line breaks. Raises EhrUnavailable."""
    token, address, ends = _token(client, subscription)
    try:
        with connect(
                address, open_timeout=10, close_timeout=2, ping_interval=PING, ping_timeout=PING,
                max_size=MOST_BYTES, proxy=None,
            ) as line:  # fmt: skip
            line.send(f"bind-with-token: {token}")
            yield from _heard(line, ends, stopped)
    except (OSError, WebSocketException) as error:
        raise EhrUnavailable(f"the EHR's line is closed ({type(error).__name__})") from None


def _heard(line: ClientConnection, ends: float, stopped: Callable[[], bool]) -> Iterator[bytes]:
    while not stopped() and time.time() < ends:
        try:
            said = line.recv(timeout=TICK)
        except TimeoutError:
            continue
        yield said.encode() if isinstance(said, str) else said


def _token(client: FhirClient, subscription: str) -> tuple[str, str, float]:
    """The token of a line, its address, and when it ends."""
    found = loads(client.request("GET", f"Subscription/{subscription}/$get-ws-binding-token").content)
    rows = found.get("parameter") if isinstance(found, dict) else None
    said: dict[str, Any] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            name = str(row.get("name", "")).replace("-", "").lower()
            said[name] = next((value for key, value in row.items() if key.startswith("value")), "")
    token, address = str(said.get("token", "")), str(said.get("websocketurl", ""))
    if not token or not address or any(sign in token for sign in "\r\n"):
        raise EhrBrokeContract("the EHR gives no token for its websocket", fix="let it ring by hook, or poll it")
    return token, _ours(client.base, address), _ends(str(said.get("expiration", "")))


def _ours(base: str, address: str) -> str:
    """The line's address; only at the EHR's own host, and never with less cover than its FHIR address has."""
    there, here = urlsplit(address), urlsplit(base)
    if there.username or (there.hostname or "").lower() != (here.hostname or "").lower():
        raise EhrBrokeContract("the EHR's websocket is at another server", fix="let it ring by hook, or poll it")
    if there.scheme not in ({"wss"} if here.scheme == "https" else {"ws", "wss"}):
        raise EhrBrokeContract("the EHR's websocket is not encrypted", fix="let it ring by hook, or poll it")
    return address


def _ends(text: str) -> float:
    try:
        return max(datetime.fromisoformat(text).timestamp() - EARLY, time.time() + EARLY)
    except (ValueError, OverflowError):
        return time.time() + 3600
