"""What a clinician answered is offered to the chart: laid over the visit as the EHR holds it now, and written where it differs.

What the EHR says comes back as a message, so that the book knows it and a replay finds it again. The last answer is laid,
whichever one was queued: two quick answers never race.
"""

from __future__ import annotations

import json
from typing import Any

from fhir_billing.cycle.asked_text import load_answer
from fhir_billing.cycle.records import Kind, OutboxRecord
from fhir_billing.fhir.text import loads
from fhir_billing.questions import laid
from fhir_billing.wiring import Wiring


def offer(wiring: Wiring, parcel: OutboxRecord) -> str:
    """Offer one answer; returns what the EHR said. Raises NotNow to be tried again."""
    said = loads(parcel.body)
    with wiring.store.looking() as book:
        record = next(iter(book.asked(key=str(said["answer"]))), None)
    answer = load_answer(record.answer) if record else None
    if answer is None:
        return "there is no answer any more"

    def change(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return laid(resources, [answer], wiring.site)

    if wiring.ehr is None or not wiring.settings.ehr_write_back:
        charted = "no EHR is set up to be written to"
    else:
        charted = wiring.ehr[1].lay(answer.encounter, change)
    body = json.dumps({"answer": answer.question, "charted": charted}).encode()
    wiring.store.keep(Kind.RECEIPT, parcel.key, body, at=wiring.clock.now(), channel="ehr")
    return charted
