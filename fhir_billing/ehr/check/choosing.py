"""From what works follows what is done: how closed visits are found, how one is read, and how the chart is told of a bill."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_billing.cycle.conformance import Found, Interaction
from fhir_billing.ehr import rungs
from fhir_billing.ehr.check.asking import Bench
from fhir_billing.ehr.rungs import Need, Rung

GATHERINGS = {
    "includes": "one search that brings all that belongs to it",
    "batch": "a batch: several readings in one request",
    "singly": "one reading for each resource",
}
WAYS = {
    "hook": "the EHR's ring (Subscription)",
    "topic": "its topic's ring, with numbered events",
    "websocket": "a websocket",
    "poll": "polling",
    "sweep": "a sweep of the day's appointments, patient by patient",
    "bulk": "bulk export",
    "hl7v2": "HL7 v2 messages",
    "cds-hook": "the discharge hook",
}


def gathering(rows: Sequence[Interaction]) -> str:
    """The way with fewest requests that works; empty when it could not be tried: the first visit will show."""
    found = {row.key: row.found for row in rows}
    if found.get("search-includes") is Found.WORKS:
        return "includes"
    if found.get("batch") is Found.WORKS:
        return "batch"
    return "" if found.get("batch", Found.NOT_TRIED) is Found.NOT_TRIED else "singly"


def ways(rows: Sequence[Interaction], bench: Bench, also: Sequence[str] = ()) -> tuple[str, ...]:
    """How closed visits will be found, the quickest first; `also`: ways that need nothing of the EHR's FHIR."""
    works = {row.key for row in rows if row.found is Found.WORKS}
    by_state = bench.facts.get("visits-by") == "state"
    chosen = {
        "topic": "topic-subscription" in works,
        "websocket": "websocket" in works,
        "hook": "subscription" in works and "topic-subscription" not in works,
        "poll": by_state,
        "sweep": "search-appointments" in works and bench.facts.get("visits-by") == "patient",
        "bulk": "bulk-export" in works and not by_state,
    }
    group = bench.facts.get("bulk-group", "")
    named = {"bulk": f"bulk={group}"} if group else {}
    return tuple(dict.fromkeys([*(named.get(way, way) for way, yes in chosen.items() if yes), *also]))


def able(need: Need, bench: Bench) -> bool:
    """Whether a need is met: tried where it could be, else by the EHR's own word and the scopes that it granted."""
    if (need.kind, need.act) in bench.able:
        return True
    if need.kind in bench.tried and not need.act.startswith("$"):
        return False
    if not bench.statement.declares(need.kind, need.act):
        return False
    return _in_scope(need, bench.facts.get("granted", ""))


def _in_scope(need: Need, granted: str) -> bool:
    """Whether the granted scopes cover a write of a type; nothing granted in words forbids nothing."""
    if not granted:
        return True
    letter = {"create": "c", "update": "u", "delete": "d", "read": "r", "search": "s"}.get(need.act, "u")
    for scope in granted.split():
        context, _, rest = scope.partition("/")
        kind, _, acts = rest.partition("?")[0].partition(".")
        if context != "system" or kind not in {"*", need.kind}:
            continue
        if acts in {"*", "read" if letter in "rs" else "write"} or (letter in acts and acts not in {"read", "write"}):
            return True
    return False


def rung(bench: Bench) -> Rung | None:
    """The best rung whose needs are met; None where nothing was tried and the EHR declares nothing."""
    if not bench.tried and bench.statement.declares("Task", "create") is None:
        return None
    try:
        return rungs.best(lambda need: able(need, bench))
    except StopIteration:
        return None


def found_sentence(triggers: Sequence[str]) -> str:
    """How closed visits are found, as a sentence."""
    said = [WAYS.get(name.partition("=")[0], name) for name in triggers]
    return (
        f"Visits are found by {', then '.join(said)}." if said else "Visits are found by nothing: see what is missing."
    )


def read_sentence(way: str) -> str:
    """How a visit is read, as a sentence."""
    if not way:
        return "How a visit is read with fewest requests, the first visit will show."
    return f"A visit is read by {GATHERINGS.get(way, way)}."


def told_sentence(name: str, *, by_word: bool = False) -> str:
    """How the chart is told, as a sentence; `by_word`: what the EHR declares was not tried."""
    chosen = next((one for one in rungs.ladder() if one.name == name), None)
    if chosen is None:
        return "The chart is told by what it takes at the first claim: nothing was tried, and it declares nothing."
    doubt = " (it says so; not tried)" if by_word else ""
    return f"The chart is told by {name}{doubt}: {chosen.say}"
