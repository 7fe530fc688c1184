"""Each element of a Claim came from a line of a mapping and a version of a resource; which ones is asked for, not stored.

The visit's message is drafted again with its trace. When the mapping has changed since, that is said.
"""

from __future__ import annotations

from fhir_billing.cycle.asked_text import load_answer
from fhir_billing.cycle.draft import drafted
from fhir_billing.cycle.ports import Book
from fhir_billing.cycle.records import ClaimRecord
from fhir_billing.fhir.text import loads
from fhir_billing.mapping.chart import gathered
from fhir_billing.mapping.site import Site
from fhir_billing.questions import laid


def elements(book: Book, site: Site, claim: ClaimRecord) -> list[dict[str, str]]:
    """`element`, `mapping` (file, version and line) and `source` (resource, version, path) of each element of a claim."""
    visit = book.visit(claim.encounter)
    message = book.message(visit.message) if visit else None
    if message is None:
        return []
    said = [answer for record in book.asked(encounter=claim.encounter) if (answer := load_answer(record.answer))]
    chart = gathered(laid(loads(message.body)["resources"], said, site))
    wanted = claim.encounter.rpartition("/")[2]
    encounter = next((e for e in chart.finished() if e["id"] == wanted), None)
    if encounter is None:
        return []
    made = drafted(chart, encounter, site, trace=True)
    base = claim.number.removesuffix("-B")
    found = next((one for one in made.claims if one.number == base), None)
    if found is None:
        return []
    changed = "" if found.mapping == claim.mapping else f" (the claim was made by {claim.mapping})"
    return [
        {"element": o.at, "mapping": f"{o.mapping}{changed}", "source": ", ".join(o.resources) or "the mapping itself"}
        for o in found.trace
    ]
