"""What stands between the world and every route: no control character enters an address, and every answer says how it may be used.

A body is read piece by piece and refused as soon as it is too large, whatever its length header says.
"""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import unquote_plus

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
ALWAYS: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_SAY: Final = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "value", "diagnostics": "the address holds a control character"}],
}


class Guard:
    """Refuses an address that no book could hold, and gives each answer the headers that it has not got."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass through, or answer 400."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in ALWAYS if h[0] not in known)]
            await send(message)

        if is_clean(scope):
            await self._app(scope, receive, sending)
            return
        await sending(
            {
                "type": "http.response.start",
                "status": 400,
                "headers": [(b"content-type", b"application/fhir+json")],
            }
        )
        await sending({"type": "http.response.body", "body": json.dumps(_SAY).encode()})


def is_clean(scope: Scope) -> bool:
    """Whether path and query hold no control character."""
    query = unquote_plus(scope.get("query_string", b"").decode("latin-1"))
    return not CONTROLS.search(scope["path"]) and not CONTROLS.search(query)


async def body_of(request: Request, most: int) -> bytes:
    """The body, if it is no larger than that. Raises HTTPException 413 by its length header, or as soon as more comes."""
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told[:20]) > most:
        raise HTTPException(413)
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise HTTPException(413)
        pieces.append(piece)
    return b"".join(pieces)
