"""What others do to a visit is seen where it is looked at: one quiet stream a page, that says only that there is news.

The stream carries a stamp and nothing of a patient. It never keeps a session alive, ends after some minutes so that the browser
asks again with its session, and closes when the server stops.
Spec: HTML server-sent events (retry, comments as heartbeat).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from fhir_billing.domain.errors import NotAllowed
from smart_app.clinician.at_hand import visit_of
from smart_app.clinician.stamps import stamp, stamp_of
from smart_app.face import Face, Who
from smart_app.launch.session import watching

LOOK_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 15.0
WHOLE_SECONDS: Final = 240.0
RETRY: Final = 3000
MOST_STREAMS: Final = 4

_open: Counter[str] = Counter()


def routes(face: Face) -> APIRouter:
    """The stream of a launched page, and of a claim's page."""
    router = APIRouter()

    @router.get("/v/{handle}/live")
    def page(request: Request, handle: str) -> Response:
        here = watching(request, handle)
        encounter = visit_of(request, here)
        return _stream(face, handle, lambda: stamp_of(face, here, encounter), lambda: _is_awake(request, handle))

    @router.get("/live/claims/{number}")
    def claim(request: Request, who: Who, number: str) -> Response:
        session = str(request.session.get("sid", ""))
        return _stream(face, f"desk:{session}", lambda: stamp(face, number), lambda: not face.acts.is_over(session))

    return router


def _is_awake(request: Request, handle: str) -> bool:
    try:
        watching(request, handle)
    except NotAllowed:
        return False
    return True


def _stream(face: Face, owner: str, now: Callable[[], str], lasts: Callable[[], bool]) -> Response:
    if _open[owner] >= MOST_STREAMS:
        return Response(status_code=204)  # tells the browser not to ask again
    return StreamingResponse(
        _news(face, owner, now, lasts),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def _news(face: Face, owner: str, look: Callable[[], str], lasts: Callable[[], bool]) -> AsyncIterator[str]:
    """Stamps as they change, heartbeats between them."""
    began = beat = time.monotonic()
    last = ""
    _open[owner] += 1
    try:
        yield f"retry: {RETRY}\n\n"
        while not face.settings.closing.is_set() and time.monotonic() - began < WHOLE_SECONDS:
            now = await run_in_threadpool(look)
            if now != last:
                last, beat = now, time.monotonic()
                yield f"id: {now}\ndata: {now}\n\n"
            elif time.monotonic() - beat > HEARTBEAT_SECONDS:
                beat = time.monotonic()
                if not await run_in_threadpool(lasts):
                    return
                yield ": still here\n\n"
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        _open[owner] -= 1
        if _open[owner] <= 0:
            del _open[owner]
