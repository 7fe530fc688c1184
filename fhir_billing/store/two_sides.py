"""Where the chart and the book differ, asked of the tables in transactions that only look."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from fhir_billing.cycle.diff import told
from fhir_billing.cycle.late import REPLACE, STANDING, to_do
from fhir_billing.cycle.records import Kind, Outcome, ProposalRecord
from fhir_billing.cycle.two_sides import Caught, ProposalPage, SideRow
from fhir_billing.domain.money import Money
from fhir_billing.fhir.claim import read_claim
from fhir_billing.fhir.text import loads
from fhir_billing.mapping.site import Site
from fhir_billing.store.rows import as_record, columns
from fhir_billing.store.store import SqlStore
from fhir_billing.store.tables import claim, difference, inbox, proposal, visit

MOST = 500
ABOUT = ("patient_name", "payer_name", "served_on", "icn", "charge", "state")


def standing(connection: Connection) -> int:
    """How many differences and proposals wait for somebody."""
    differ = select(func.count()).select_from(difference).where(difference.c.closed_at.is_(None))
    asked = select(func.count()).select_from(proposal).where(proposal.c.status.in_(STANDING))
    return int(connection.execute(differ).scalar_one()) + int(connection.execute(asked).scalar_one())


class SidesRead:
    """Implements `cycle.two_sides.TwoSides`; whoever has the store inherits it."""

    _store: SqlStore
    _site: Site

    def sides(self, *, closed: bool = False) -> list[SideRow]:
        """What is open, newest first; or what was closed lately."""
        with self._store.reading() as connection:
            rows = [*_differences(connection, closed), *_proposals(connection, closed)]
        return sorted(rows, key=lambda row: (row.closed_at or row.found_at, row.key), reverse=True)

    def proposal(self, key: str) -> ProposalPage | None:
        """One proposal with the claim that it is about."""
        one = select(*columns(proposal, ProposalRecord)).where(proposal.c.key == key)
        with self._store.reading() as connection:
            row = connection.execute(one).first()
            record = as_record(ProposalRecord, row) if row is not None else None
            which = select(*(claim.c[name] for name in ABOUT)).where(claim.c.number == (record.claim if record else ""))
            found = connection.execute(which).first()
        if record is None or found is None:
            return None
        about = {name: getattr(found, name) for name in ABOUT}
        return ProposalPage(
            proposal=record,
            claim=record.claim,
            charge_now=_charge(record.kind, record.resource),
            to_do=to_do(record.kind, about["icn"]),
            **about,
        )

    def caught(self, since: datetime) -> Caught:
        """Who found the visits, and what each night opened."""
        count = func.count()
        by = select(visit.c.found_by, count).group_by(visit.c.found_by).order_by(count.desc(), visit.c.found_by)
        found = select(difference.c.found_at, difference.c.kind).where(difference.c.found_at >= since)
        ran = select(func.max(inbox.c.at)).where(
            inbox.c.kind == Kind.TIMER, inbox.c.key.startswith("reconcile:"), inbox.c.outcome == Outcome.DONE
        )
        nights: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        with self._store.reading() as connection:
            by_trigger = {name or "unknown": int(n) for name, n in connection.execute(by)}
            for at, kind in connection.execute(found):
                nights[self._site.local(at)][kind] += 1
            compared = connection.execute(ran).scalar()
        return Caught(
            found_by=by_trigger,
            nights={night: dict(nights[night]) for night in sorted(nights, reverse=True)},
            compared=compared,
        )


def _differences(connection: Connection, closed: bool) -> list[SideRow]:
    is_open = difference.c.closed_at.is_(None)
    which = (
        select(
            *difference.c, visit.c.number, visit.c.patient_name, visit.c.served_on, visit.c.charge.label("visit_charge")
        )
        .outerjoin(visit, visit.c.encounter == difference.c.encounter)
        .where(~is_open if closed else is_open)
        .order_by((difference.c.closed_at if closed else difference.c.found_at).desc())
        .limit(MOST)
    )
    return [_difference(row) for row in connection.execute(which)]


def _difference(row: Any) -> SideRow:
    return SideRow(
        key=row.key,
        kind=row.kind,
        say=row.say,
        found_at=row.found_at,
        number=row.number or "",
        encounter=row.encounter,
        patient_name=row.patient_name or "",
        served_on=row.served_on,
        status="closed" if row.closed_at else "open",
        money=-int(row.visit_charge) if row.kind == "gone" and row.visit_charge else None,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        why=row.why,
    )


def _proposals(connection: Connection, closed: bool) -> list[SideRow]:
    stands = proposal.c.status.in_(STANDING)
    which = (
        select(*proposal.c, *(claim.c[name].label(f"claim_{name}") for name in ABOUT))
        .join(claim, claim.c.number == proposal.c.claim)
        .where(~stands if closed else stands)
        .order_by(proposal.c.made_at.desc())
        .limit(MOST)
    )
    return [_proposed(row) for row in connection.execute(which)]


def _proposed(row: Any) -> SideRow:
    ended = row.status not in STANDING
    return SideRow(
        key=row.key,
        kind=row.kind,
        say="; ".join(told(one) for one in row.fields[:2])
        + (f" and {len(row.fields) - 2} more" if len(row.fields) > 2 else ""),
        found_at=row.made_at,
        number=row.claim,
        patient_name=row.claim_patient_name,
        payer_name=row.claim_payer_name,
        served_on=row.claim_served_on,
        status=row.status,
        money=_charge(row.kind, row.resource) - int(row.claim_charge),
        to_do=to_do(row.kind, row.claim_icn) if row.status == "accepted" else "",
        closed_at=row.decided_at if ended else None,
        closed_by=row.decided_by if ended else "",
        why=row.why,
    )


def _charge(kind: str, resource: bytes) -> Money:
    return read_claim(loads(resource)).charge if kind == REPLACE and resource else 0
