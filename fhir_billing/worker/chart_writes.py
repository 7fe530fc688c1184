"""The chart is told of a claim by the best rung that holds at this EHR, and what it holds of us is remembered in the book.

A parcel says the claim's state as it was stored; what is told of the whole visit is what the book says at this moment, for one
visit may have several claims and one document. Before each write it is asked whether a later state waits, or whether another
process has this parcel by now: then this one gives way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fhir_billing.cycle.conformance import Conformance, load
from fhir_billing.cycle.ports import Book
from fhir_billing.cycle.records import Kind, Message, OutboxRecord, WrittenRecord
from fhir_billing.cycle.turn import Turn
from fhir_billing.cycle.write_back import visit_told
from fhir_billing.domain.errors import SiteConfig
from fhir_billing.ehr import rungs
from fhir_billing.ehr.connect import Ehr
from fhir_billing.ehr.putting import receipt
from fhir_billing.ehr.rungs import Held, Put, Rung, Told
from fhir_billing.ehr.write import refuse_nothing
from fhir_billing.fhir.text import loads
from fhir_billing.wiring import Wiring
from fhir_billing.worker import hl7_out

OF_A_VISIT = frozenset({"DocumentReference"})
"""Kinds of which there is one for a whole visit."""
FIRST = "claim-and-response"


def write_back(wiring: Wiring, parcel: OutboxRecord) -> str:
    """Tell the chart of a claim; returns a receipt. Raises NotNow to be tried again."""
    if wiring.settings.ehr_write_back and hl7_out.goes_by_hl7(wiring):
        return hl7_out.put(wiring, parcel)
    if wiring.ehr is None or not wiring.settings.ehr_write_back:
        return "no EHR is set up"
    said = loads(parcel.body)
    writer = wiring.ehr[1]
    if not isinstance(writer, Ehr):
        return writer.write(said["resources"])
    with wiring.store.looking() as book:
        visit = visit_now(wiring, book, said)
        held = held_of(book, str(said["claim"]), visit)
    puts = tell(
        wiring,
        writer,
        told_of(wiring, said, visit, lambda: wiring.store.is_latest(parcel.id)),
        held,
    )
    return f"{chosen(wiring).name}: {receipt(puts) or 'nothing is written'}"


def tell(wiring: Wiring, writer: Ehr, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """Write by the chosen rung, and remember what stands. Raises when the EHR takes nothing at all."""
    rung = chosen(wiring)
    puts = rung.write(writer.client, told, held)
    remember(wiring, rung, told, puts, held)
    refuse_nothing([put for put in puts if put.kind != "Provenance"])
    return puts


def chosen(wiring: Wiring) -> Rung:
    """The rung that the site names, else the one that `ehr check` found, else the first, which says what is not taken."""
    name = wiring.settings.ehr_rung
    if name != "auto":
        return rungs.named(name)
    run = conformance(wiring)
    return rungs.named(run.rung if run and run.rung else FIRST)


def conformance(wiring: Wiring) -> Conformance | None:
    """The stored conformance run of this EHR; one of another address says nothing."""
    run = load(wiring.store.cursor("conformance"))
    asked = wiring.settings.ehr_url.rstrip("/")
    return None if run is None or (asked and run.url.rstrip("/") != asked) else run


def told_of(
    wiring: Wiring,
    said: Mapping[str, Any],
    visit: Mapping[str, Any],
    is_latest: Callable[[], bool] = lambda: True,
) -> Told:
    """What is told: the claim as the parcel says it, the visit as it is now."""
    run = conformance(wiring)
    return Told(
        claim=str(said["claim"]),
        resources=tuple(said["resources"]),
        visit=visit,
        atomic=run is not None and run.facts.get("transaction") == "atomic",
        is_latest=is_latest,
    )


def visit_now(wiring: Wiring, book: Book, said: Mapping[str, Any]) -> dict[str, Any]:
    """The visit in words as the book says it now."""
    task: Mapping[str, Any] = next((one for one in said["resources"] if one["resourceType"] == "Task"), {})
    encounter = str(said.get("visit", {}).get("encounter") or task.get("encounter", {}).get("reference", ""))
    return visit_told(turn_of(wiring, book), encounter)


def turn_of(wiring: Wiring, book: Book) -> Turn:
    """A turn that only looks."""
    nobody = Message(id=0, kind=Kind.TIMER, key="", at=wiring.clock.now(), body=b"", sha256="")
    return Turn(book=book, message=nobody, site=wiring.site)


def held_of(book: Book, claim: str, visit: Mapping[str, Any]) -> dict[str, Held]:
    """What the chart holds of us for a claim and its visit, by kind."""
    rows = [row for row in book.written(str(visit.get("number", ""))) if row.kind in OF_A_VISIT]
    rows += [row for row in book.written(claim) if row.kind not in OF_A_VISIT]
    return {row.kind: Held(reference=row.reference, version=row.version, digest=row.digest) for row in rows}


def remember(wiring: Wiring, rung: Rung, told: Told, puts: Iterable[Put], held: Mapping[str, Held]) -> None:
    """Note what stands in the chart, so that what does not change needs no request."""
    at, visit = wiring.clock.now(), str(told.visit.get("number", ""))
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
    with wiring.store.begin() as book:
        for row in rows:
            book.save_written(row)


def no_ehr() -> SiteConfig:
    """What is said when there is no chart to write to."""
    return SiteConfig("no EHR is set up to be written to", fix="set FHIR_BILLING_EHR_URL and FHIR_BILLING_EHR_SCOPES")
