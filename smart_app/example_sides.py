"""Invented differences between an invented chart and its book, so that the page is seen in all its states without a store."""

from __future__ import annotations

from datetime import datetime, timedelta

from fhir_billing.cycle.late import to_do
from fhir_billing.cycle.records import ProposalRecord
from fhir_billing.cycle.two_sides import Caught, ProposalPage, SideRow
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import cents
from smart_app.example_people import NOW, day_from_now

LATE = "C-EX0008:0011223344556677"
BACK = "C-EX0009:8899aabbccddeeff"
PAIRS = (
    ("Claim.item[0].productOrService", "Line 1: code", "99213", "99214"),
    ("Claim.item[0].net", "Line 1: charge", "$125.00", "$180.00"),
    ("Claim.item[1]", "Line 2 is new", "", "93000, 1 UN, $45.00"),
    ("Claim.diagnosis[0]", "Diagnosis 1", "R05.9", "J20.9"),
    ("Claim.insurance[0].subscriberId", "Insurance: member id", "EX-100-2", "EX-100-3"),
    ("Claim.total", "Charge of the claim", "$125.00", "$225.00"),
)


class ExampleSides:
    """Implements `cycle.two_sides.TwoSides`."""

    empty = False
    """Whether both sides agree."""

    def sides(self, *, closed: bool = False) -> list[SideRow]:
        """Two differences and two proposals, and one of each that is closed."""
        if self.empty:
            return []
        rows = _closed() if closed else _open()
        return sorted(rows, key=lambda row: row.found_at, reverse=True)

    def proposal(self, key: str) -> ProposalPage | None:
        """The two that are invented."""
        kind = {LATE: "replace", BACK: "void"}.get(key)
        if kind is None:
            return None
        fields = (
            tuple({"at": at, "what": what, "was": was, "now": now} for at, what, was, now in PAIRS)
            if kind == "replace"
            else ({"at": "Encounter.status", "what": "The visit", "was": "finished", "now": "entered-in-error"},)
        )
        record = ProposalRecord(
            key=key,
            claim=key.partition(":")[0],
            kind=kind,
            made_at=_ago(9),
            fields=fields,
            status="open" if kind == "replace" else "accepted",
        )
        return ProposalPage(
            proposal=record,
            claim=record.claim,
            state=State.ACCEPTED,
            patient_name="Example-Rowe, Ines",
            payer_name="Example Health Plan",
            served_on=day_from_now(-12),
            icn="EXICN00012",
            charge=cents("125.00"),
            charge_now=cents("225.00") if kind == "replace" else 0,
            to_do=to_do(kind, "EXICN00012"),
        )

    def caught(self, since: datetime) -> Caught:
        """A fortnight in which two nights caught something."""
        return Caught(
            found_by={"hook": 9, "topic": 4, "poll": 3, "hl7v2": 1, "reconcile": 1},
            nights={day_from_now(0): {"missing": 1, "gone": 1}, day_from_now(-6): {"changed": 2}},
            compared=_ago(6),
        )


def _ago(hours: int) -> datetime:
    return NOW - timedelta(hours=hours)


def _open() -> list[SideRow]:
    return [
        SideRow(
            key="missing:Encounter/ex-new",
            kind="missing",
            say="Finished in the chart (version 3), and not in the book",
            found_at=_ago(6),
            encounter="Encounter/ex-new",
        ),
        SideRow(
            key="gone:Encounter/ex-hal",
            kind="gone",
            say="The chart says entered-in-error, and the book has it as self-pay",
            found_at=_ago(6),
            number="C-EX0099",
            encounter="Encounter/ex-hal",
            patient_name="Zztest, Hal",
            served_on=day_from_now(-9),
            money=cents("-520.00"),
        ),
        SideRow(
            key=LATE,
            kind="replace",
            say="Line 1: code was 99213, now 99214; Line 1: charge was $125.00, now $180.00 and 4 more",
            found_at=_ago(9),
            number="C-EX0008",
            patient_name="Example-Rowe, Ines",
            payer_name="Example Health Plan",
            served_on=day_from_now(-12),
            money=cents("100.00"),
        ),
        SideRow(
            key=BACK,
            kind="void",
            say="The visit was finished, now entered-in-error",
            found_at=_ago(30),
            number="C-EX0009",
            patient_name="Zztest, Odo",
            payer_name="Example Medicare",
            served_on=day_from_now(-20),
            status="accepted",
            money=cents("-1240.00"),
            to_do=to_do("void", "EXICN00012"),
        ),
    ]


def _closed() -> list[SideRow]:
    return [
        SideRow(
            key="changed:Encounter/ex-1",
            kind="changed",
            say="The chart is at version 4, the bill was read from 3",
            found_at=_ago(150),
            number="C-EX0001",
            encounter="Encounter/ex-1",
            patient_name="Zztest, Pia",
            served_on=day_from_now(-15),
            status="closed",
            closed_at=_ago(149),
            closed_by="fhir-billing",
            why="Read again: billed",
        ),
    ]
