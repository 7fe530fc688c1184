"""An EHR is asked to ring in every way that is set and that works there; asking again changes nothing.

The ways are those that the site's settings or the conformance run name; where they name none, or the EHR takes none
of them, a plain hook is asked for, for it costs nothing and is the quickest. A websocket is asked for only where somebody has seen it work. What cannot be had is said once in the log, and the others find the visit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fhir_billing.cycle import conformance
from fhir_billing.cycle.conformance import Conformance, Found
from fhir_billing.cycle.looking import Subscribed
from fhir_billing.domain.errors import BillingError, NotNow
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring
from fhir_billing.worker import topics

_log = log("worker")
CHECKED: Final = "conformance"
"""The cursor that holds what `ehr check` found."""
NEEDS: Final = {"hook": "subscription", "topic": "topic-subscription", "websocket": "websocket"}
"""What must work for a way to be asked for, by the keys of a conformance run."""


def subscribe(wiring: Wiring) -> int:
    """Ask the EHR to ring here, and end what is not wanted any more; how many ways it took. One that takes none is looked at."""
    settings, before = wiring.settings, topics.held(wiring)
    if wiring.ehr is None or not (settings.hook_secret or before):
        return 0
    endpoint = f"{settings.public_url.rstrip('/')}/hooks/ehr"
    wanted = list(ways(wiring)) if settings.hook_secret else []
    held = [one for way in wanted if (one := _asked(wiring, way, endpoint)) is not None]
    stay = set(_chosen(_named(wiring)[0])) if settings.hook_secret else set[str]()
    if not held and wanted and "hook" not in wanted and (one := _asked(wiring, "hook", endpoint)) is not None:
        held, stay = [one], {*stay, "hook"}
    if held or before:
        held_still = [*held, *_not_ended(wiring, endpoint, stay, held, before)]
        if held_still != before:
            topics.hold(wiring, held_still)
    return len(held)


def _not_ended(
    wiring: Wiring, endpoint: str, stay: set[str], held: Sequence[Subscribed], before: Sequence[Subscribed]
) -> list[Subscribed]:
    """End at the EHR what nobody wants any more; what was held before and goes on there all the same."""
    if wiring.ehr is None:
        return []
    kept = {one.id for one in held}
    left = {one.id for one in before} - kept
    try:
        left = wiring.ehr[0].unsubscribe(endpoint, ways=stay, kept=kept, before=left)
    except BillingError as error:
        _log.warning("what nobody wants any more may still ring; it is ended later", code=error.code)
    return [one for one in before if one.id in left and one.id not in kept]


def _asked(wiring: Wiring, way: str, endpoint: str) -> Subscribed | None:
    """Ask for one way; what it was before where the EHR cannot be asked now, None where it does not take it."""
    if wiring.ehr is None:
        return None
    try:
        return wiring.ehr[0].subscribe(endpoint, wiring.settings.hook_secret, way=way)
    except BillingError as error:
        _log.warning("the EHR does not ring in this way; it is looked at in others", way=way, code=error.code)
        before = [one for one in topics.held(wiring) if one.way == way]
        return before[0] if before and isinstance(error, NotNow) else None


def ways(wiring: Wiring) -> Sequence[str]:
    """How the EHR is asked to ring, quickest first: what is set, less what a conformance run has found not to work."""
    named, run = _named(wiring)
    if run is None:
        return [way for way in _chosen(named) if way != "websocket"] or ["hook"]
    failed = {one.key for one in run.interactions if one.found in {Found.MISSING, Found.FORBIDDEN, Found.IGNORED}}
    works = {one.key for one in run.interactions if one.found is Found.WORKS}
    asked = [way for way in NEEDS if way in named and (way != "websocket" or NEEDS[way] in works)]
    return [way for way in asked or ["hook"] if NEEDS[way] not in failed]


def _chosen(named: set[str]) -> Sequence[str]:
    return [way for way in NEEDS if way in named] or ["hook"]


def _named(wiring: Wiring) -> tuple[set[str], Conformance | None]:
    set_here = {part.strip().partition("=")[0] for part in wiring.settings.ehr_triggers.split(",")}
    run = conformance.load(wiring.store.cursor(CHECKED))
    return set_here | set(run.triggers if run else ()), run
