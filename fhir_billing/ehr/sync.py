"""The chart is made equal to our record, claim by claim: what is missing, stale or edited is written again, and what differs is said.

The resources are built from the book as it is now, by the function that also fills the outbox. Each is read in the chart,
whatever we remember of it, so a chart that was restored or emptied is found out. Nothing depends on where a run before this one
stopped: run it again, and what is right by now is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from fhir_billing.cycle.ports import Book
from fhir_billing.cycle.records import ClaimRecord
from fhir_billing.cycle.write_back import resources, visit_told
from fhir_billing.domain.errors import BillingError, ClaimNotFound, NotNow
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.looking_only import NOWHERE, LookingOnly
from fhir_billing.ehr.putting import ENDED, NOT_TAKEN, is_ours, number_of, version_of, withdrawn
from fhir_billing.ehr.rungs import Held, Put
from fhir_billing.ehr.rungs.claim_and_response import KINDS
from fhir_billing.ehr.teller import FIRST, Teller, chosen, held_of, remember, tell, told_of, turn_of
from fhir_billing.ehr.write import find
from fhir_billing.fhir.ours import TAG

NUMBER = 14
"""Signs of a visit's number: `C-` and twelve more; a claim's number begins with it."""
PATIENCE = 5
"""After so many claims in a row that the EHR did not answer for, the rest is left to the next run."""
DIFFERS = frozenset({"created", "updated", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was changed, would be changed, or could not be."""

    claim: str
    kind: str
    what: str
    """created, updated, cancelled, not taken, failed, or stray."""
    reference: str = ""
    why: str = ""

    @property
    def differs(self) -> bool:
        """Whether the chart was not as our record says."""
        return self.what in DIFFERS or self.what in {"failed", "stray"}


def sync(teller: Teller, *, claim: str = "", encounter: str = "", check: bool = False) -> Iterator[Line]:
    """Make the chart equal to the book for these claims, or for all. `check` reads only."""
    silent = 0
    if check:
        teller = replace(teller, client=LookingOnly(teller.client))
    for number, visit in _wanted(teller, claim, encounter):
        try:
            puts = _one(teller, number, visit, check=check)
        except NotNow as error:
            silent += 1
            yield Line(claim=number, kind="", what="failed", why=error.code)
            if silent == PATIENCE:
                return
            continue
        except BillingError as error:
            yield Line(claim=number, kind="", what="not taken", why=error.code)
            continue
        silent = 0
        for put in puts:
            if put.verb != "unchanged":
                place = "" if put.reference.endswith(NOWHERE) else put.reference
                yield Line(claim=number, kind=put.kind, what=put.verb, reference=place, why=put.why)


def _wanted(teller: Teller, claim: str, encounter: str) -> Iterator[tuple[str, str]]:
    """Claims and their visits; a large book is read in pieces."""
    if claim or encounter:
        with teller.store.looking() as book:
            visit = book.visit_numbered(claim[:NUMBER]) if claim else book.visit(encounter)
            found = book.claims(encounter=visit.encounter) if visit else []
        chosen_ones = [one for one in found if not claim or one.number == claim]
        if not chosen_ones:
            raise ClaimNotFound(f"there is no claim of {(claim or encounter)[:40]}", fix="look it up on the desk")
        yield from ((one.number, one.encounter) for one in chosen_ones)
        return
    after = ""
    while True:
        with teller.store.looking() as book:
            piece = book.claims_after(after)
        if not piece:
            return
        yield from ((one.number, one.encounter) for one in piece)
        after = piece[-1].number


def _one(teller: Teller, number: str, encounter: str, *, check: bool) -> list[Put]:
    """Compare one claim and write what differs; what another rung wrote before is taken back."""
    with teller.store.looking() as book:
        turn = turn_of(teller, book)
        claim = _record(book, number, encounter)
        visit = visit_told(turn, encounter)
        built = resources(turn, claim)
        held = held_of(book, number, visit)
        others = {row.kind for row in book.written(number) if row.rung != chosen(teller).name}
    unsure = {kind: Held(reference=one.reference, version=one.version, digest="") for kind, one in held.items()}
    unsure |= _forgotten(teller, number, {*unsure, *(str(one["resourceType"]) for one in built)})

    def is_latest() -> bool:
        with teller.store.looking() as now:
            return _record(now, number, encounter).version == claim.version

    told = told_of(teller, {"claim": number, "resources": built}, visit, is_latest)
    if check:
        puts = chosen(teller).write(teller.client, replace(told, atomic=False), unsure)
    else:
        puts = tell(teller, told, unsure)
    written = {put.kind for put in puts}
    old = [kind for kind in sorted(others & set(unsure)) if kind in ENDED and kind not in written]
    ended = [withdrawn(teller.client, kind, unsure[kind], is_latest) for kind in old]
    if not check:
        remember(teller, chosen(teller), told, ended, unsure)
    return [*puts, *ended]


def _forgotten(teller: Teller, number: str, known: set[str]) -> dict[str, Held]:
    """What the chart holds of a claim that should not be there, and that we do not remember."""
    found: dict[str, Held] = {}
    for kind in KINDS if chosen(teller).name == FIRST else ():
        try:
            one = None if kind in known else find(teller.client, kind, number)
        except NOT_TAKEN:
            continue
        if one is not None:
            found[kind] = Held(reference=f"{kind}/{one['id']}", version=version_of(one), digest="")
    return found


def _record(book: Book, number: str, encounter: str) -> ClaimRecord:
    found = next((one for one in book.claims(encounter=encounter) if one.number == number), None)
    if found is None:
        raise ClaimNotFound(f"there is no claim {number[:24]}", fix="look it up on the desk")
    return found


def strays(teller: Teller, *, clean: bool = False) -> Iterator[Line]:
    """What carries our tag and number in the chart and is of no claim or visit that the book knows; `clean` cancels it."""
    known = {number for number, _ in _wanted(teller, "", "")}
    with teller.store.looking() as book:
        known |= {visit.number for visit in book.visits()}
    for kind, ended in ENDED.items():
        for resource in _ours_in(teller.client, kind):
            number = number_of(resource)
            if number in known or resource.get("status") == ended:
                continue
            reference = f"{kind}/{resource['id']}"
            if clean:
                teller.client.update({**resource, "status": ended}, version=version_of(resource))
            yield Line(claim=number, kind=kind, what="cancelled" if clean else "stray", reference=reference)


def _ours_in(client: FhirClient, kind: str) -> Iterable[dict[str, object]]:
    """Every resource of a type that carries our tag; a type that is not taken, or not searched by tag, has none to show."""
    try:
        found = list(client.search(kind, {"_tag": f"{TAG['system']}|{TAG['code']}", "_count": "200"}))
    except NOT_TAKEN:
        return []
    return [one for one in found if one.get("resourceType") == kind and is_ours(one) and number_of(one)]
