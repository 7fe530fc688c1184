"""What did not come with a call is read, quickly or not at all: a card that comes late stands in somebody's way.

The EHR's token goes to the EHR of a launch file and nowhere else; an address that a caller names is compared, never called.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Final
from urllib.parse import parse_qsl

from fhir_billing.cds.hook import Hook, Known, Resource, filled
from fhir_billing.cds.request import MOST_RESOURCES, Request, of_patient
from fhir_billing.domain.errors import BillingError, MalformedResource, NotAllowed, NotThere, TheirContract
from fhir_billing.doors import UserChart, find, same
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring

READ_SECONDS = 2.0
"""How long all reads of one call may take together."""
READERS: Final = 16


@cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(READERS, thread_name_prefix="cds")


def is_ours(request: Request, wiring: Wiring) -> bool:
    """Whether the call is about the chart that this installation bills: it names none, or one of its addresses."""
    if not request.server or same(request.server, wiring.settings.ehr_url):
        return True
    return find(wiring.doors.values(), request.server) is not None


def chart_for(request: Request, wiring: Wiring) -> UserChart | None:
    """Who reads: the caller's user where a token came for a known EHR, else the billing service; nobody for a foreign EHR."""
    if not is_ours(request, wiring):
        return None
    door = find(wiring.doors.values(), request.server) if request.server else None
    if door is not None and request.token:
        return wiring.chart_as(door.iss, request.token)
    return wiring.own_chart


def known(request: Request, hook: Hook, wiring: Wiring) -> Known:
    """What came with the call, and what could be read in time of the rest; a key that could not is left out."""
    missing = {
        key: place
        for key, template in hook.prefetch.items()
        if key not in request.prefetched and (place := filled(template, request.context))
    }
    ends = time.monotonic() + READ_SECONDS
    chart = _in_time(_readers().submit(chart_for, request, wiring)) if missing else None
    if chart is None:
        return request.prefetched
    over = threading.Event()
    asked = {key: _readers().submit(_read, chart, place, over) for key, place in missing.items()}
    wait(asked.values(), timeout=max(0.0, ends - time.monotonic()))
    over.set()  # what has not begun yet is not begun any more
    read = {key: mine for key, found in asked.items() if (mine := _mine(found, request, key)) is not None}
    return {**request.prefetched, **read}


def _in_time(found: Future[UserChart | None]) -> UserChart | None:
    """Who reads: finding that out may ask the EHR where it gives tokens, so it takes its part of the time."""
    try:
        return found.result(timeout=READ_SECONDS)
    except TimeoutError:
        return None
    except BillingError as error:
        log("cds").warning("the chart cannot be reached", why=error.code)
        return None


def _read(chart: UserChart, place: str, over: threading.Event) -> tuple[Resource, ...]:
    if over.is_set():
        return ()
    kind, mark, query = place.partition("?")
    if not mark:
        return (chart.read(place),)
    params = dict(parse_qsl(query))
    try:
        return tuple(chart.search(kind, params))
    except TheirContract:
        plain = {name: value for name, value in params.items() if not name.startswith("_")}
        if plain == params:
            raise
        return tuple(chart.search(kind, plain))


def _mine(found: Future[tuple[Resource, ...]], request: Request, key: str) -> tuple[Resource, ...] | None:
    """What was read in time, and is this patient's; another's is as if it had not been read."""
    if not found.done():
        found.cancel()
        return None
    try:
        resources = found.result()
        if len(resources) > MOST_RESOURCES:
            return None
        return of_patient(resources, request, f"read.{key}")
    except (NotAllowed, NotThere):
        return None  # a right that was not granted, a resource that is not there
    except MalformedResource:
        log("cds").warning("the chart read is another patient's; no card is made from it")
        return None
    except BillingError as error:
        log("cds").warning("the chart cannot be read", why=error.code)
        return None
