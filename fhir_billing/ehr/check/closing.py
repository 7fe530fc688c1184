"""How an EHR tells that a visit closed is tried without waiting for one: what it takes is created asleep, looked at, taken away.

Spec: FHIR R4 Subscription; Subscriptions R5 Backport 1.1 (`Basic` topics in R4, $status, $events, websocket); Bulk Data 2 kick-off.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial
from typing import Final

from fhir_billing.cycle.conformance import Found
from fhir_billing.domain.errors import EhrBrokeContract
from fhir_billing.ehr.check.asking import Answer, Bench, Try, Verdict, ignored, missing, not_tried, partly, works
from fhir_billing.ehr.check.statement import TOPICS, WEBSOCKET
from fhir_billing.ehr.client import Resource
from fhir_billing.fhir.ours import meta

GROUP = "finding closed visits"
NOWHERE: Final = "https://fhir-billing.example/hooks/conformance-probe"
BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"
CLOSED: Final = re.compile(r"(?i)encounter.*(complet|clos|finish|discharg|end)")
"""A topic of closed visits, by its address."""
FAR: Final = "2200-01-01T00:00:00Z"
REASON: Final = "fhir-billing conformance-probe: made to be deleted"


def tries() -> tuple[Try, ...]:
    """Every way in which a closed visit may be found."""
    one = partial(Try, group=GROUP)
    return (
        one(
            key="search-by-last-updated", what="Visits that changed since a time (_lastUpdated)", attempt=_last_updated,
            declared=lambda s: s.searches_by("Encounter", "_lastUpdated"),
            instead="all finished visits are looked through; those that are known are no news",
        ),
        one(
            key="sort-by-last-updated", what="In the order of change (_sort)", attempt=_sorted,
            instead="the answer is read to its end before the cursor moves",
        ),
        one(
            key="search-appointments", what="The day's appointments", attempt=_appointments,
            declared=lambda s: s.declares("Appointment", "search"), instead="no sweep by schedule",
        ),
        one(
            key="subscription", what="It rings when a visit closes (Subscription, rest-hook)", attempt=_subscription,
            declared=lambda s: s.declares("Subscription", "create"), instead="it is polled", writes=True,
        ),
        one(
            key="topic-subscription", what="Topics to subscribe to, with numbered events", attempt=_topics,
            declared=lambda s: True if s.extension(TOPICS) else None, instead="a missed ring is found by polling",
        ),
        one(
            key="events", what="Missed events can be asked for ($status, $events)", attempt=_events,
            declared=lambda s: s.operates("events"), instead="a missed ring is found by polling",
        ),
        one(
            key="websocket", what="It rings over a websocket", attempt=_websocket,
            declared=lambda s: bool(s.extension(WEBSOCKET)) or s.operates("get-ws-binding-token") or None,
            instead="it rings at our address, or is polled",
        ),
        one(
            key="bulk-export", what="All visits as files (Bulk Data $export)", attempt=_export,
            declared=lambda s: s.operates("export"), instead="older visits are read by search",
        ),
    )  # fmt: skip


def _last_updated(bench: Bench) -> Verdict:
    if not bench.facts.get("visits-by"):
        return not_tried("visits could not be searched")
    if bench.facts["visits-by"] != "state":
        return missing("visits cannot be searched without a patient")
    later = bench.ask("GET", "Encounter", {"_lastUpdated": f"gt{FAR}", "_count": "5"})
    if not later.is_a("Bundle"):
        return later.refusal()
    if later.rows("Encounter"):
        return ignored("it gives visits that changed before the time that was asked for")
    since = bench.ask("GET", "Encounter", {"_lastUpdated": "ge2000-01-01T00:00:00Z", "_count": "5"})
    if since.rows("Encounter"):
        return works()
    return (
        missing("it gives no visit, for any time") if bench.visits else partly("it answers; there is no visit to see")
    )


def _sorted(bench: Bench) -> Verdict:
    answer = bench.ask("GET", "Encounter", {"_sort": "_lastUpdated", "_count": "50"})
    if not answer.is_a("Bundle"):
        return answer.refusal()
    times = [_time(r) for r in answer.rows("Encounter")]
    known = [t for t in times if t is not None]
    if len(set(known)) < 2:
        return not_tried("too few visits to see an order")
    return works() if known == sorted(known) else ignored("the order is another one")


def _time(resource: Resource) -> datetime | None:
    said = resource.get("meta")
    try:
        found = datetime.fromisoformat(str(said.get("lastUpdated", "")) if isinstance(said, dict) else "")
    except ValueError:
        return None
    return found if found.tzinfo else None


def _appointments(bench: Bench) -> Verdict:
    answer = bench.ask("GET", "Appointment", {"date": bench.now.date().isoformat(), "_count": "5"})
    return works(f"{len(answer.rows('Appointment'))} today") if answer.is_a("Bundle") else answer.refusal()


def probe(bench: Bench, **more: object) -> Resource:
    """A subscription that sleeps, to an address of ours."""
    endpoint = f"{bench.public_url.rstrip('/')}/hooks/conformance-probe" if bench.public_url else NOWHERE
    return {
        "resourceType": "Subscription",
        "meta": meta(),
        "status": "off",
        "reason": REASON,
        "criteria": "Encounter?status=finished",
        "channel": {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"},
        **more,
    }


def _made(bench: Bench, wanted: Resource) -> tuple[Answer, str]:
    """Create one, asleep or, where it does not take that, as requested; it is taken away at the end."""
    answer = bench.ask("POST", "Subscription", body=wanted)
    if answer.status in {400, 422}:
        answer = bench.ask("POST", "Subscription", body={**wanted, "status": "requested"})
    place = answer.place("Subscription") if answer.is_good else ""
    if place:
        bench.made.append(place)
    return answer, place


def _subscription(bench: Bench) -> Verdict:
    answer, place = _made(bench, probe(bench))
    if not place:
        return answer.refusal() if not answer.is_good else missing("it says that it made one, and not where")
    held = bench.ask("GET", place)
    if not held.is_a("Subscription") or held.body.get("criteria") != "Encounter?status=finished":
        return missing("it says that it made one, and there is none")
    bench.facts["subscription"] = place
    return works("taken; it is tried by the first visit that closes whether it rings")


def _topics(bench: Bench) -> Verdict:
    offered = bench.statement.extensions(TOPICS)
    for where, query in (
        ("SubscriptionTopic", {"_count": "50"}),
        ("Basic", {"code": "SubscriptionTopic", "_count": "50"}),
    ):
        rows = bench.ask("GET", where, query).rows(where)
        offered += [str(r.get("url") or _topic(r)) for r in rows]
        if rows:
            bench.facts["topics"] = where
    offered = [url for url in offered if url]
    bench.facts.setdefault("topics", "declared" if offered else "none")
    chosen = next((url for url in offered if CLOSED.search(url)), "")
    if not chosen:
        return partly(f"{len(offered)} topics, none of a closed visit") if offered else missing("no topic is offered")
    bench.facts["topic"] = chosen
    if not bench.writes:
        return not_tried("a topic of closed visits is offered; to subscribe was not tried: run with --write")
    answer, place = _made(bench, probe(bench, criteria=chosen, meta={**meta(), "profile": [BACKPORT]}))
    if not place:
        return partly(f"a topic is offered, and a subscription to it is not taken: {answer.refusal().say}")
    if bench.ask("GET", place).body.get("criteria") != chosen:
        return missing("it says that it took a subscription to a topic, and there is none")
    bench.facts["topic-subscription"] = place
    return works("a topic of closed visits is offered, and a subscription to it is taken")


def _topic(basic: Resource) -> str:
    """The address of a topic that is kept as a Basic, in its extension."""
    rows = basic.get("extension")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and str(row.get("url", "")).endswith("SubscriptionTopic.url"):
            return str(row.get("valueUri", ""))
    return f"Basic/{basic.get('id', '')}" if basic.get("id") else ""


def _events(bench: Bench) -> Verdict:
    place = bench.facts.get("topic-subscription") or bench.facts.get("subscription", "")
    if not place:
        if bench.statement.operates("events"):
            return not_tried("declared; it needs a subscription to be tried: run with --write")
        return missing("not declared, and no subscription to ask of")
    status, events = bench.ask("GET", f"{place}/$status"), bench.ask("GET", f"{place}/$events")
    if _says(events):
        return works("both answer" if _says(status) else "$events answers, $status does not")
    return partly("$status answers, $events does not") if _says(status) else events.refusal()


def _says(answer: Answer) -> bool:
    return answer.is_a("Bundle") and any(
        r.get("resourceType") in {"Parameters", "SubscriptionStatus"} for r in answer.rows()
    )


def _websocket(bench: Bench) -> Verdict:
    offered = bench.statement.extension(WEBSOCKET)
    if not offered and not bench.statement.operates("get-ws-binding-token"):
        return missing("none is offered")
    if not offered:
        return not_tried("declared; its address is given with a token for each subscription")
    host = offered.split("/")[2] if offered.count("/") >= 2 else ""
    if host != bench.client.base.split("/")[2]:
        return not_tried("declared, at another server, where nothing of ours goes by itself")
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    try:
        with connect(offered, open_timeout=5, close_timeout=1):
            return works("it opens")
    except (OSError, WebSocketException) as error:
        return missing(f"declared, and it does not open ({type(error).__name__})")


def _export(bench: Bench) -> Verdict:
    query = {"_type": "Encounter", "_since": bench.now.isoformat(timespec="seconds")}
    said = []
    groups = bench.ask("GET", "Group", {"_count": "1"}).rows("Group")
    for path in [f"Group/{g['id']}/$export" for g in groups[:1] if g.get("id")] + ["$export"]:
        answer = bench.ask("GET", path, query, headers={"Prefer": "respond-async"})
        where = answer.headers.get("content-location", "")
        if answer.status == 202 and where:
            bench.facts["bulk"] = path.split("/")[0].lower() if path.startswith("Group") else "system"
            bench.facts["bulk-group"] = path.split("/")[1] if path.startswith("Group") else ""
            over = _stopped(bench, where)
            return works(f"{bench.facts['bulk']} export begins{'' if over else '; it could not be stopped again'}")
        said.append(answer)
    last = said[-1].refusal()
    return Verdict(found=last.found if not said[-1].is_good else Found.IGNORED, say=last.say)


def _stopped(bench: Bench, where: str) -> bool:
    """Stop an export that only began to be seen; at another address nothing of ours goes."""
    try:
        answer = bench.ask("DELETE", where)
    except EhrBrokeContract:
        return False
    return answer.is_good or answer.status == 404
