"""What other apps may read of the book, resource by resource: each is built when it is asked for, from what the book says now.

An id says what it is of: a claim's number for Claim, ClaimResponse, ExplanationOfBenefit and Task; the visit's number for
Account; the visit's number, a point and the chart's id for Coverage, which is the Coverage as that visit was billed; a
remittance's number for PaymentReconciliation; a table's name for ConceptMap. References among these stay with us, references
to the chart become absolute. The version is a digest of the content: what is the same has the same version.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from fhir_billing.cycle import write_back
from fhir_billing.cycle.ports import Book
from fhir_billing.cycle.records import ClaimRecord, Kind, Message, PaymentRecord, RemittanceRecord, VisitRecord
from fhir_billing.cycle.turn import Turn
from fhir_billing.domain import ledger
from fhir_billing.domain.lifecycle import State
from fhir_billing.fhir.account import account
from fhir_billing.fhir.claim_response import OUTCOME
from fhir_billing.fhir.ours import BASE, CLAIM_NUMBER, TAG, Resource
from fhir_billing.fhir.payment_reconciliation import REMITTANCE, Paid, payment_reconciliation
from fhir_billing.fhir.task import BILLING_STATUS, STATUS
from fhir_billing.fhir.text import dumps, loads
from fhir_billing.mapping.concept_map import URL, concept_map
from fhir_billing.mapping.site import Site

EVERY: Final = ("_id", "_lastUpdated")
PARAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "Claim": ("identifier", "patient", "encounter", "status", "created"),
    "ClaimResponse": ("identifier", "patient", "request", "status", "created"),
    "ExplanationOfBenefit": ("identifier", "patient", "encounter", "claim", "status", "created"),
    "Task": ("identifier", "patient", "encounter", "focus", "status", "business-status"),
    "Coverage": ("identifier", "patient", "status"),
    "Account": ("identifier", "patient", "status"),
    "PaymentReconciliation": ("identifier", "status", "created"),
    "ConceptMap": ("url", "status"),
}
"""The types that are published, and by what each is searched, beside EVERY. The CapabilityStatement is made of this."""
OF_A_CLAIM: Final = frozenset({"Claim", "ClaimResponse", "ExplanationOfBenefit", "Task"})
OF_A_VISIT: Final = frozenset({"Coverage", "Account"})
OF_A_PATIENT: Final = OF_A_CLAIM | OF_A_VISIT
_NUMBER = re.compile(r"C-[0-9A-Z]{12}")
_OURS = re.compile(r"([A-Za-z]+)\?identifier=" + re.escape(CLAIM_NUMBER) + r"\|(.+)")
_CHART = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(/_history/[A-Za-z0-9\-.]{1,64})?")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One resource that could be built, with what it is found by."""

    kind: str
    id: str
    updated: datetime | None
    build: Callable[[], Resource]
    patient: str = ""
    encounter: str = ""
    claim: str = ""
    status: str = "active"
    business: str = ""
    url: str = ""
    identifiers: tuple[tuple[str, str], ...] = ()


class Published:
    """The published side of one book, while it is open. `chart` is the FHIR base of the EHR."""

    def __init__(self, book: Book, site: Site, chart: str) -> None:
        self.book, self.site, self.chart = book, site, chart.rstrip("/")
        self._posted: dict[str, datetime] = {}

    def entry(self, kind: str, resource_id: str) -> Entry | None:
        """One by its id."""
        if kind in OF_A_CLAIM or kind in OF_A_VISIT:
            number = _NUMBER.match(resource_id)
            visit = self.book.visit_numbered(number[0]) if number else None
            found = self._of_visits(kind, [visit] if visit else [])
        elif kind == "PaymentReconciliation":
            found = map(self._payment, self.book.remittances(number=resource_id))
        else:
            found = self._tables("")
        return next((entry for entry in found if entry.id == resource_id and _is_there(entry)), None)

    def entries(self, kind: str, *, patient: str = "", encounter: str = "", after: str = "") -> Iterator[Entry]:
        """All of a type in a fixed order, behind an id; those of one patient or visit where one is given."""
        if kind in OF_A_CLAIM:
            for piece in self._claims(patient, encounter, after):
                yield from self._of_claims(kind, piece)
        elif kind in OF_A_VISIT:
            visits = self._visits(after.partition(".")[0], patient or None)
            wanted = (visit for visit in visits if encounter in {"", visit.encounter})
            yield from _behind(self._of_visits(kind, wanted), after)
        elif kind == "PaymentReconciliation":
            rows = (r for r in self.book.remittances() if r.status == "posted")
            yield from _behind(map(self._payment, rows), after)
        else:
            yield from self._tables(after)

    def resource(self, entry: Entry) -> Resource:
        """The resource as it is published."""
        built = entry.build()
        whole = {key: value for key, value in built.items() if key not in {"resourceType", "id", "meta"}}
        meta = dict(built.get("meta") or {})
        if entry.updated is not None:
            meta["lastUpdated"] = entry.updated.isoformat(timespec="milliseconds")
        content = self._at_home(whole, _base(entry.id))
        meta["versionId"] = hashlib.sha256(dumps([meta, content])).hexdigest()[:16]
        return {"resourceType": entry.kind, "id": entry.id, "meta": meta, **content}

    def claim(self, number: str) -> ClaimRecord | None:
        """One claim of the book, not locked."""
        base = _NUMBER.match(number)
        visit = self.book.visit_numbered(base[0]) if base else None
        claims = self.book.claims(encounter=visit.encounter) if visit else []
        return next((claim for claim in claims if claim.number == number), None)

    def task(self, claim: ClaimRecord, at: datetime) -> Resource:
        """The Task of a claim as it was at some time, as followers are told of it."""
        (entry,) = self._of_claims("Task", [claim])
        return self.resource(replace(entry, updated=_whole(at)))

    # claims

    def _claims(self, patient: str, encounter: str, after: str) -> Iterator[list[ClaimRecord]]:
        if patient or encounter:
            found = self.book.claims(patient=patient or None, encounter=encounter or None)
            yield [claim for claim in found if claim.number > after]
            return
        while piece := self.book.claims_after(after):
            yield piece
            after = piece[-1].number

    def _of_claims(self, kind: str, claims: list[ClaimRecord]) -> Iterator[Entry]:
        paid = self._paid_of(claims)
        for claim in claims:
            yield from self._of_claim(kind, claim, paid.get(claim.number, []))

    def _paid_of(self, claims: list[ClaimRecord]) -> dict[str, list[PaymentRecord]]:
        """The payments of many claims, asked for at once."""
        found: dict[str, list[PaymentRecord]] = {}
        for payment in self.book.payments_of([claim.number for claim in claims]) if claims else ():
            found.setdefault(payment.claim, []).append(payment)
        return found

    def _of_claim(self, kind: str, claim: ClaimRecord, payments: list[PaymentRecord]) -> Iterator[Entry]:
        there = {
            "Task": True,
            "Claim": claim.attempt > 0,
            "ClaimResponse": claim.attempt > 0 and claim.state in OUTCOME,
            "ExplanationOfBenefit": claim.attempt > 0 and claim.state in OUTCOME and bool(payments),
        }
        if not there[kind]:
            return
        status = "cancelled" if kind == "Claim" and claim.state is State.VOIDED else "active"
        icn = [("urn:payer-claim-number", claim.icn)] if kind == "ClaimResponse" and claim.icn else []
        yield Entry(
            kind=kind,
            id=claim.number,
            updated=self._updated(claim, payments),
            build=lambda: self._as_written(kind, claim),
            patient=claim.patient,
            encounter=claim.encounter,
            claim=claim.number,
            status=STATUS[claim.state][0] if kind == "Task" else status,
            business=STATUS[claim.state][1] if kind == "Task" else "",
            identifiers=((CLAIM_NUMBER, claim.number), *icn),
        )

    def _as_written(self, kind: str, claim: ClaimRecord) -> Resource:
        at = claim.entered_at or datetime(1970, 1, 1, tzinfo=UTC)
        nobody = Message(id=0, kind=Kind.TIMER, key="", at=at, body=b"", sha256="")
        found = write_back.resources(Turn(book=self.book, message=nobody, site=self.site), claim)
        return next(resource for resource in found if resource["resourceType"] == kind)

    def _updated(self, claim: ClaimRecord, payments: Iterable[PaymentRecord]) -> datetime | None:
        """When its state, or what was paid for it, last changed."""
        times = [self._posted_at(number) for number in dict.fromkeys(p.remittance for p in payments)]
        return _whole(max(filter(None, [claim.entered_at, *times]), default=None))

    def _posted_at(self, remittance: str) -> datetime | None:
        if remittance not in self._posted:
            self._posted |= {r.number: r.at for r in self.book.remittances(number=remittance)}
        return self._posted.get(remittance)

    # visits

    def _visits(self, start: str, patient: str | None) -> Iterator[VisitRecord]:
        seen: set[str] = set()
        while piece := [v for v in self.book.visits_from(start, patient=patient) if v.encounter not in seen]:
            yield from piece
            if piece[-1].number != start:
                seen.clear()
            start = piece[-1].number
            seen |= {visit.encounter for visit in piece if visit.number == start}

    def _of_visits(self, kind: str, visits: Iterable[VisitRecord]) -> Iterator[Entry]:
        for visit in visits:
            if kind == "Account":
                yield self._account(visit)
            elif kind == "Coverage":
                yield from self._coverages(visit)
            else:
                yield from self._of_claims(kind, self.book.claims(encounter=visit.encounter))

    def _account(self, visit: VisitRecord) -> Entry:
        claims = self.book.claims(encounter=visit.encounter)
        owed: dict[str, int] = {}
        for number in dict.fromkeys([visit.number, *(claim.number for claim in claims)]):
            for name, amount in self.book.balances(number).items():
                owed[name] = owed.get(name, 0) + amount
        payer = owed.get(ledger.RECEIVABLE_PAYER, 0) + owed.get(ledger.RECEIVABLE_DISPUTED, 0)
        patient = owed.get(ledger.RECEIVABLE_PATIENT, 0) + owed.get(ledger.UNAPPLIED, 0)
        is_open = bool(payer or patient) or any(c.state not in {State.CLOSED, State.VOIDED} for c in claims)
        paid = self._paid_of(claims)
        times = [self._updated(claim, paid.get(claim.number, [])) for claim in claims]
        read = None if claims else self.book.message(visit.message)
        return Entry(
            kind="Account",
            id=visit.number,
            updated=max(filter(None, times), default=_whole(read.at if read else None)),
            build=lambda: account(
                number=visit.number,
                patient=visit.patient,
                encounter=visit.encounter,
                served=visit.served_on.isoformat() if visit.served_on else "",
                payer_owes=payer,
                patient_owes=patient,
                is_open=is_open,
            ),
            patient=visit.patient,
            encounter=visit.encounter,
            status="active" if is_open else "inactive",
            identifiers=((CLAIM_NUMBER, visit.number),),
        )

    def _coverages(self, visit: VisitRecord) -> list[Entry]:
        message = self.book.message(visit.message)
        body = loads(message.body) if message is not None and message.kind is Kind.VISIT else {}
        found = [r for r in body.get("resources", ()) if isinstance(r, dict) and r.get("resourceType") == "Coverage"]
        made = [self._coverage(visit, one, message.at) for one in found if one.get("id") and message is not None]
        return sorted(made, key=lambda entry: entry.id)

    def _coverage(self, visit: VisitRecord, resource: Resource, at: datetime) -> Entry:
        source = f"{self.chart}/Coverage/{resource['id']}" if self.chart else BASE
        known = resource.get("identifier")
        rows = [row for row in known if isinstance(row, dict)] if isinstance(known, list) else []
        return Entry(
            kind="Coverage",
            id=coverage_id(visit.number, str(resource["id"])),
            updated=_whole(at),
            build=lambda: {**resource, "meta": {"source": source, "tag": [dict(TAG)]}},
            patient=visit.patient,
            encounter=visit.encounter,
            status=str(resource.get("status", "")),
            identifiers=tuple((str(row.get("system", "")), str(row.get("value", ""))) for row in rows),
        )

    # payments and tables

    def _payment(self, record: RemittanceRecord) -> Entry:
        on = (record.paid_on or record.at.date()).isoformat()
        return Entry(
            kind="PaymentReconciliation",
            id=record.number,
            updated=_whole(record.at),
            build=lambda: payment_reconciliation(
                number=record.number,
                payer=record.payer_name or record.payer,
                trace=record.trace,
                paid=record.paid,
                on=on,
                created=record.at.isoformat(timespec="seconds"),
                details=self._paid(record),
            ),
            status="active" if record.status == "posted" else "",
            identifiers=((REMITTANCE, record.number), ("", record.trace)),
        )

    def _paid(self, record: RemittanceRecord) -> list[Paid]:
        rows = self.book.payments_in(record.number)
        return [
            Paid(sequence=row.sequence + 1, claim=row.claim if row.matched else "", amount=row.paid, icn=row.icn)
            for row in rows
        ]

    def _tables(self, after: str) -> Iterator[Entry]:
        for name, table in sorted(self.site.terminology.tables.items()):
            if name > after and _ID.fullmatch(name):
                yield Entry(
                    kind="ConceptMap",
                    id=name,
                    updated=None,
                    build=lambda table=table: concept_map(table, self.site.version),  # type: ignore[misc]
                    url=URL + name,
                )

    # references

    def _at_home(self, value: Any, number: str) -> Any:
        """The same with references that can be followed from here."""
        if isinstance(value, dict):
            return {
                key: self._reference(inner, number)
                if key == "reference" and isinstance(inner, str)
                else self._at_home(inner, number)
                for key, inner in value.items()
            }
        return [self._at_home(inner, number) for inner in value] if isinstance(value, list) else value

    def _reference(self, text: str, number: str) -> str:
        if ours := _OURS.fullmatch(text):
            return f"{ours[1]}/{ours[2]}"
        if (found := _CHART.fullmatch(text)) is None:
            return text
        if found[1] == "Coverage" and number:
            return f"Coverage/{coverage_id(number, found[2])}"
        if found[1] in OF_A_CLAIM and _NUMBER.match(found[2]):
            return text
        return f"{self.chart}/{text}" if self.chart else text


def coverage_id(number: str, chart_id: str) -> str:
    """The id of a visit's Coverage: the visit's number and the chart's id, or a digest of one that is too long."""
    joined = f"{number}.{chart_id}"
    return joined if _ID.fullmatch(joined) else f"{number}.{hashlib.sha256(chart_id.encode()).hexdigest()[:32]}"


def business_system() -> str:
    """The system of `business-status`."""
    return BILLING_STATUS


def _behind(entries: Iterable[Entry], after: str) -> Iterator[Entry]:
    """What comes behind an id, in an order that the caller has fixed."""
    waiting = bool(after)
    for entry in entries:
        if not waiting:
            yield entry
        elif entry.id == after:
            waiting = False


def _is_there(entry: Entry) -> bool:
    return entry.kind != "PaymentReconciliation" or entry.status == "active"


def _base(resource_id: str) -> str:
    found = _NUMBER.match(resource_id)
    return found[0] if found else ""


def _whole(at: datetime | None) -> datetime | None:
    """To the millisecond, as it is written: what is compared is what was shown."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000) if at else None
