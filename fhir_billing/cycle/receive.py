"""What a payer sends is kept first, then read: the envelope says what it is, and each kind has its own reader.

Spec: ISA/GS/ST and GS08; 999 X231A1, 277CA X214, 277 X212, 835 X221A1, TA1.
"""

from __future__ import annotations

from dataclasses import replace

from fhir_billing.cycle.acknowledge import acknowledged
from fhir_billing.cycle.records import Outcome
from fhir_billing.cycle.remit import remitted
from fhir_billing.cycle.turn import Result, Turn
from fhir_billing.domain.errors import MalformedInterchange
from fhir_billing.x12.envelope import opened
from fhir_billing.x12.read_835 import remittances
from fhir_billing.x12.read_acks import acknowledgments

ACKNOWLEDGING = ("TA1", "999", "277CA", "277")


def received(turn: Turn) -> Result:
    """Work one file from a payer. A broken one is quarantined whole by the error that this raises."""
    data = turn.message.body
    reading = opened(data)
    kinds = {one.kind for one in reading.sets}
    if all(interchange.is_test for interchange in reading.interchanges):
        return Result(outcome=Outcome.TEST, say="A test file (ISA15 T) is kept and never posted")
    known = [kind for kind in ACKNOWLEDGING if kind in kinds]
    heard = acknowledgments(data) if known or not kinds else []
    if "835" in kinds:
        posted = remitted(turn, [r for r in remittances(data) if not r.is_test])
        if not heard or posted.outcome is Outcome.QUARANTINED:
            return posted
        told = acknowledged(turn, kinds, heard)
        return replace(posted, say=f"{posted.say}; {told.say}")
    if known or not kinds:
        return acknowledged(turn, kinds, heard)
    raise MalformedInterchange(
        f"this is a {', '.join(sorted(kinds))}, which is not worked here", fix="send a TA1, 999, 277CA, 277 or 835"
    )
