"""Every message is worked the same way: one at a time, in its order, in one transaction, and again without harm.

A message that breaks its own rules is quarantined whole; the next one goes on.
"""

from __future__ import annotations

from fhir_billing.cycle import act, ask, chase, intake, notices, receive, reconcile, submit, write_back
from fhir_billing.cycle.ports import Book, Store
from fhir_billing.cycle.records import Kind, Message, Outcome
from fhir_billing.cycle.turn import Result, Turn, facts
from fhir_billing.domain.errors import BillingError, MalformedResource, NotNow, OurContract
from fhir_billing.mapping.site import Site


def handle(book: Book, message: Message, site: Site) -> Result:
    """Decide everything that this message decides. Raises BillingError when it cannot be worked; nothing is kept then."""
    turn = Turn(book=book, message=message, site=site)
    result = _decide(turn)
    write_back.queue_touched(turn)
    notices.queue_notices(turn)
    book.settle(
        message, result.outcome, say=result.say, claims=tuple(turn.touched) or result.claims, findings=result.findings
    )
    return result


def _decide(turn: Turn) -> Result:
    match turn.message.kind:
        case Kind.VISIT:
            return intake.visited(turn)
        case Kind.FILE:
            return receive.received(turn)
        case Kind.ACT:
            return act.acted(turn)
        case Kind.RECEIPT:
            return ask.charted(turn) if "answer" in facts(turn.message) else submit.envelope_left(turn)
        case Kind.TIMER:
            return _rang(turn)
        case Kind.DOORBELL:
            return Result(outcome=Outcome.DONE, say="a doorbell decides nothing")


def _rang(turn: Turn) -> Result:
    name = str(facts(turn.message).get("timer", ""))
    if name == "send":
        return submit.send_ready(turn)
    if name == "chase":
        return chase.chased(turn)
    if name == "reconcile":
        return reconcile.reconciled(turn)
    raise MalformedResource(f"there is no timer called {name[:20]!r}", fix="use send, chase or reconcile")


def work_one(store: Store, site: Site) -> tuple[Message, Result] | None:
    """Work the oldest waiting message; None when nothing waits. A fault quarantines the message and tells why."""
    message: Message | None = None
    try:
        with store.begin() as book:
            message = book.next_message()
            if message is None:
                return None
            return message, handle(book, message, site)
    except NotNow:
        raise  # nothing was kept; the next beat tries again
    except Exception as fault:
        if message is None:
            raise
        error = fault if isinstance(fault, BillingError) else _our_fault(fault)
        findings = findings_of(error)
        store.failed(message.id, str(error), findings)
        return message, Result(outcome=Outcome.QUARANTINED, say=str(error), findings=tuple(findings))


def _our_fault(fault: Exception) -> BillingError:
    """A fault of ours stops one message, not all; where it happened is named, what the message held is not."""
    place = fault.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_name}, line {place.tb_lineno}" if place else "an unknown place"
    return OurContract(
        f"a fault of ours, {type(fault).__name__} in {where}", fix="report it with this sentence, then retry"
    )


def findings_of(error: BillingError) -> list[dict[str, object]]:
    """An error as the quarantine page shows it; a broken file names each of its places."""
    places = getattr(error, "complaints", ()) or (error,)
    return [
        {
            "key": error.code,
            "severity": "blocking",
            "say": place.say,
            "at": str(getattr(place, "place", "")),
            "fix": place.fix,
            "fix_by": "biller",
            "source": "",
            "resource": "",
        }
        for place in places[:20]
    ]


def work_all(store: Store, site: Site, *, limit: int = 10_000) -> int:
    """Work until nothing waits; how many messages were worked."""
    if not store.anything_waits():
        return 0  # whoever has nothing to do stands in nobody's way
    for count in range(limit):
        if work_one(store, site) is None:
            return count
    return limit
