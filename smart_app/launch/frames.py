"""EHRs put frames around us with `sandbox`; a frame without allow-same-origin has no origin, and so no cookies.

Its script may still read our pages with the session's header, and only with it: what is shared with an origin called `null` is
shared without credentials, so that no cookie ever opens anything from there.
Spec: HTML sandbox; Fetch CORS protocol.
"""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

ALLOWED: Final = (
    b"x-visit-token, content-type, hx-request, hx-target, hx-trigger, hx-current-url, hx-source, hx-request-type"
)


def shared(scope: Scope, *, still: bool, launched: bool) -> list[tuple[bytes, bytes]]:
    """Headers by which a sandboxed frame may read an answer; none for everyone else."""
    if _header(scope, b"origin") != b"null" or not (still or launched):
        return []
    if still:
        return [(b"access-control-allow-origin", b"*")]
    return [
        (b"access-control-allow-origin", b"null"),
        (b"access-control-allow-headers", ALLOWED),
        (b"access-control-allow-methods", b"GET, POST"),
        (b"vary", b"origin"),
    ]


def asks_first(scope: Scope) -> bool:
    """Whether this is a sandboxed frame's question before the real request."""
    return (
        scope["method"] == "OPTIONS"
        and _header(scope, b"origin") == b"null"
        and bool(_header(scope, b"access-control-request-method"))
    )


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
