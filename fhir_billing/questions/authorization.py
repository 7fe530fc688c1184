"""Some payers want to be asked first; the number stands in somebody's notes, or nobody has asked yet.

Spec: REF*G1, Claim.insurance.preAuthRef. Kept as an extension of the visit, for no EHR has an element for it there.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_billing.domain.finding import Owner
from fhir_billing.domain.question import Answer, Choice, Question
from fhir_billing.fhir.answered import AUTHORIZATION, with_extension
from fhir_billing.mapping.chart import Resource
from fhir_billing.mapping.site import Site
from fhir_billing.questions import Kind, Seen, changed, decides, service_of

NUMBER, NOT_ASKED = "number", "not-asked"
TYPED = r"[A-Za-z0-9][A-Za-z0-9 \-]{0,49}"


def _asks(seen: Seen) -> Iterator[Question]:
    held = seen.held_by("prior-auth-missing")
    if not held:
        return
    codes = {line.ref: line.procedure for claim in seen.claims for line in claim.lines}
    services = list(dict.fromkeys(service_of(seen, f.resource, codes.get(f.resource, "")) for f in held))
    yield Question(
        key=f"authorization:{seen.visit}",
        kind="authorization",
        encounter=seen.visit,
        ask=f"Is there an authorization for {' and '.join(services[:3])}?",
        why="The patient's plan wants to be asked first, and the chart has no number.",
        choices=(Choice(key=NUMBER, label="Yes, with this number"), Choice(key=NOT_ASKED, label="Nobody asked yet")),
        settles="prior-auth-missing",
        about=seen.visit,
        entry="Authorization number",
    )


def _lays(resources: list[Resource], answer: Answer, site: Site | None) -> list[Resource]:
    value = {"valueString": answer.text.strip()} if decides(answer) and answer.choice == NUMBER else None
    return changed(resources, answer, lambda one: with_extension(one, answer.question, AUTHORIZATION, value))


KIND = Kind(
    key="authorization",
    settles=("prior-auth-missing",),
    asks=_asks,
    lays=_lays,
    whole_visit=True,
    choices=frozenset({NUMBER, NOT_ASKED}),
    to_coder=frozenset({NOT_ASKED}),
    reader=Owner.BILLER,
    entry={NUMBER: TYPED},
)
EXAMPLE = "edits of the payer: {prior-auth-missing: {procedures: [70551]}}; a scan without a number"
