"""The chart is told of a claim by the best rung that holds at this EHR, and what it holds of us is remembered in the book.

A parcel says the claim's state as it was stored; what is told of the whole visit is what the book says at this moment, for one
visit may have several claims and one document. Before each write it is asked whether a later state waits, or whether another
process has this parcel by now: then this one gives way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from fhir_billing.cycle.conformance import Conformance, load
from fhir_billing.cycle.ports import Book, Clock
from fhir_billing.cycle.records import Kind, Message, OutboxRecord, WrittenRecord
from fhir_billing.cycle.turn import Turn
from fhir_billing.cycle.write_back import visit_told
from fhir_billing.domain.errors import ScopeMissing
from fhir_billing.ehr import rungs
from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.putting import receipt
from fhir_billing.ehr.rungs import Held, Put, Rung, Told
from fhir_billing.ehr.write import refuse_nothing
from fhir_billing.fhir.text import loads
from fhir_billing.mapping.site import Site

OF_A_VISIT = frozenset({"DocumentReference"})
"""Kinds of which there is one for a whole visit."""
FIRST = "claim-and-response"


class Remembers(Protocol):
    """The part of the store that is needed here."""

    def looking(self) -> AbstractContextManager[Book]: ...
    def begin(self) -> AbstractContextManager[Book]: ...
    def cursor(self, name: str) -> str: ...
    def is_latest(self, outbox_id: int) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """One tenant's way of telling its chart."""

    client: FhirClient
    store: Remembers
    clock: Clock
    site: Site
    rung: str = "auto"
    """The rung that a person chose; auto: the best that `ehr check` found."""
    url: str = ""

    def write_back(self, parcel: OutboxRecord) -> str:
        """Tell the chart of a claim; returns a receipt. Raises NotNow to be tried again."""
        said = loads(parcel.body)
        with self.store.looking() as book:
            visit = visit_now(self, book, said)
            held = held_of(book, str(said["claim"]), visit)
        puts = tell(self, told_of(self, said, visit, lambda: self.store.is_latest(parcel.id)), held)
        return f"{chosen(self).name}: {receipt(puts) or 'nothing is written'}"


def tell(teller: Teller, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """Write by the chosen rung, and remember what stands. Raises when the EHR takes nothing, or not what it took of this claim before."""
    rung = chosen(teller)
    puts = rung.write(teller.client, told, held)
    remember(teller, rung, told, puts, held)
    of_the_claim = [put for put in puts if put.kind != "Provenance"]
    refuse_nothing(of_the_claim)
    if lost := [put.kind for put in of_the_claim if put.why == ScopeMissing.code and put.kind in held]:
        raise ScopeMissing(f"the EHR refuses {', '.join(lost)}, which it took before", fix="let the EHR grant it again")
    return puts


def chosen(teller: Teller) -> Rung:
    """The rung that the site names, else the one that `ehr check` found, else the first, which says what is not taken."""
    name = teller.rung
    if name != "auto":
        return rungs.named(name)
    run = conformance(teller)
    return rungs.named(run.rung if run and run.rung else FIRST)


def conformance(teller: Teller) -> Conformance | None:
    """The stored conformance run of this EHR; one of another address says nothing."""
    run = load(teller.store.cursor("conformance"))
    asked = teller.url.rstrip("/")
    return None if run is None or (asked and run.url.rstrip("/") != asked) else run


def told_of(
    teller: Teller,
    said: Mapping[str, Any],
    visit: Mapping[str, Any],
    is_latest: Callable[[], bool] = lambda: True,
) -> Told:
    """What is told: the claim as the parcel says it, the visit as it is now."""
    run = conformance(teller)
    return Told(
        claim=str(said["claim"]),
        resources=tuple(said["resources"]),
        visit=visit,
        atomic=run is not None and run.facts.get("transaction") == "atomic",
        is_latest=is_latest,
    )


def visit_now(teller: Teller, book: Book, said: Mapping[str, Any]) -> dict[str, Any]:
    """The visit in words as the book says it now."""
    task: Mapping[str, Any] = next((one for one in said["resources"] if one["resourceType"] == "Task"), {})
    encounter = str(said.get("visit", {}).get("encounter") or task.get("encounter", {}).get("reference", ""))
    return visit_told(turn_of(teller, book), encounter)


def turn_of(teller: Teller, book: Book) -> Turn:
    """A turn that only looks."""
    nobody = Message(id=0, kind=Kind.TIMER, key="", at=teller.clock.now(), body=b"", sha256="")
    return Turn(book=book, message=nobody, site=teller.site)


def held_of(book: Book, claim: str, visit: Mapping[str, Any]) -> dict[str, Held]:
    """What the chart holds of us for a claim and its visit, by kind."""
    rows = [row for row in book.written(str(visit.get("number", ""))) if row.kind in OF_A_VISIT]
    rows += [row for row in book.written(claim) if row.kind not in OF_A_VISIT]
    return {row.kind: Held(reference=row.reference, version=row.version, digest=row.digest) for row in rows}


def remember(teller: Teller, rung: Rung, told: Told, puts: Iterable[Put], held: Mapping[str, Held]) -> None:
    """Note what stands in the chart, so that what does not change needs no request."""
    at, visit = teller.clock.now(), str(told.visit.get("number", ""))
    rows = [
        WrittenRecord(
            owner=visit if put.kind in OF_A_VISIT and visit else told.claim,
            kind=put.kind,
            reference=put.reference,
            version=put.version,
            digest=put.digest,
            rung=rung.name,
            at=at,
        )
        for put in puts
        if put.reference and held.get(put.kind) != Held(reference=put.reference, version=put.version, digest=put.digest)
    ]
    if not rows:
        return
    with teller.store.begin() as book:
        for row in rows:
            book.save_written(row)
