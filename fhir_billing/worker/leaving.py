"""What must leave was stored before: it is sent until the other side has it, as the same bytes, and then it has left."""

from __future__ import annotations

import json
from collections.abc import Callable

from fhir_billing.cycle.records import Kind, OutboxRecord
from fhir_billing.domain.errors import BillingError
from fhir_billing.logs import log
from fhir_billing.wiring import Wiring
from fhir_billing.worker import chart_answers, chart_writes, hl7_out, notices
from fhir_billing.worker.waiting import LONGEST_WAIT, wait_for

_log = log("worker")


def relay(wiring: Wiring) -> int:
    """Send what waits in the outbox: envelopes by their channel, write-backs to the EHR."""
    count = 0
    for parcel in wiring.store.due(wiring.clock.now()):
        try:
            receipt = _send(wiring, parcel)
        except BillingError as error:
            wiring.store.stays(parcel.id, error.say, wiring.clock.now() + wait_for(parcel.attempts, error))
            _log.warning("it stays in the outbox", key=parcel.key, code=error.code)
        except Exception as error:
            later = wiring.clock.now() + LONGEST_WAIT
            wiring.store.stays(parcel.id, f"a fault of ours: {type(error).__name__}", later)
            _log.error("a fault of ours while sending", key=parcel.key, error=type(error).__name__)
        else:
            wiring.store.left(parcel.id, receipt, wiring.clock.now())
            count += 1
    return count


def _send(wiring: Wiring, parcel: OutboxRecord) -> str:
    other = OTHERS.get(parcel.kind)
    if other is not None:
        return other(wiring, parcel)
    receipt = wiring.channels[parcel.destination].send(f"{parcel.key}.x12", parcel.body)
    body = json.dumps({"envelope": parcel.key, "channel": parcel.destination, "receipt": receipt}).encode()
    wiring.store.keep(Kind.RECEIPT, parcel.key, body, at=wiring.clock.now(), channel=parcel.destination)
    return receipt


OTHERS: dict[str, Callable[[Wiring, OutboxRecord], str]] = {
    "write-back": chart_writes.write_back,
    "answer": chart_answers.offer,
    "notice": notices.notice,
    hl7_out.KIND: hl7_out.send,
}
"""What leaves by another way than a payer's channel, by the kind of parcel; each returns a receipt."""
