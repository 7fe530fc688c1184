"""A desk without a store: a dozen invented people and three invented payers, so that screens are seen and tested alone.

Every sum in it is made by the real ledger and the real balance checks. Nobody here exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from fhir_billing.cycle.arithmetic import BillSums, Entry, bill_sums, checks, claim_decided, lines_decided
from fhir_billing.cycle.clinician import AskedQuestion
from fhir_billing.cycle.records import Arrival, Told, VisitRecord
from fhir_billing.cycle.views import (
    NEEDS_SOMEBODY,
    AccountSum,
    Books,
    ClaimPage,
    ClaimRow,
    Complaint,
    Counts,
    Decision,
    EnvelopePage,
    EnvelopeRow,
    Found,
    MessagePage,
    MessageRow,
    Origin,
    PatientPage,
    PatientPayment,
    PatientRow,
    PayerSum,
    RemittancePage,
    RemittanceRow,
    RemittedClaim,
    SilentPayer,
    Tally,
    Today,
    TraceSum,
    VisitBalance,
    VisitPage,
    tally,
)
from fhir_billing.domain import ledger, posting
from fhir_billing.domain.claim import (
    Adjustment,
    Claim,
)
from fhir_billing.domain.errors import NotAMove
from fhir_billing.domain.ledger import Journal
from fhir_billing.domain.lifecycle import State
from fhir_billing.domain.money import Money, cents
from fhir_billing.domain.question import Answer
from fhir_billing.domain.remittance import ProviderAdjustment, Remittance, out_of_balance
from smart_app.example_people import (
    CARCS,
    CO,
    FINDINGS,
    PAYERS,
    PR,
    a_bill,
    as_resource,
    day_from_now,
    decided,
    digest_of,
    moment,
)
from smart_app.example_sides import ExampleSides


class Example(ExampleSides):
    """Views and acts over the invented desk; acts are only written down."""

    def __init__(self) -> None:
        self.acted: list[tuple[str, Mapping[str, Any], str, str]] = []
        self.over: set[str] = set()
        self.retried: list[int] = []
        self.audited: list[tuple[str, str, str]] = []
        self.refuse = ""
        self.rang: list[str] = []
        self._bills: dict[str, Claim] = {}
        self._rows: dict[str, ClaimRow] = {}
        self._journals: dict[str, Journal] = {}
        self._decisions: dict[str, list[Decision]] = {}
        self._told: dict[str, list[Told]] = {}
        self._people()
        self._remittances = self._paper()

    # ---- who they are
    def _people(self) -> None:
        plan: list[tuple[str, str, str, State, int, int | None, list[tuple[str, str]], list[str], str]] = [
            (
                "Zztest",
                "Ada",
                "EXC01",
                State.CLOSED,
                -61,
                None,
                [("99213", "125.00"), ("87880", "30.00")],
                ["J020"],
                "",
            ),
            (
                "Zztest",
                "Bo",
                "EXC01",
                State.REJECTED,
                -86,
                4,
                [("99213", "125.00"), ("87880", "62.50")],
                ["J020"],
                "277ca",
            ),
            ("Example-Quill", "Wren", "EXC01", State.REJECTED, -80, 9, [("99214", "186.00")], ["I10"], "277ca"),
            ("Example-Finch", "Bartholomew", "EXC01", State.REJECTED, -62, 28, [("99214", "245.00")], ["I10"], "277ca"),
            ("Zztest", "Gus", "EXC02", State.HELD, -3, 362, [("99214", "190.00")], [], "no-diagnosis"),
            ("Example-Lark", "Opal", "EXC02", State.HELD, -2, 363, [("99213", "125.00")], [], "no-diagnosis"),
            (
                "Example-Marsh",
                "Theo",
                "EXH",
                State.HELD,
                -20,
                13,
                [("99213", "125.00"), ("73562", "128.00")],
                ["M1711"],
                "zip-missing",
            ),
            (
                "Zztest",
                "Jo",
                "EXC01",
                State.PAID,
                -40,
                None,
                [("99213", "125.00"), ("20610", "210.00")],
                ["M1711", "I10"],
                "",
            ),
            ("Zztest", "Cy", "EXC02", State.DENIED, -50, 150, [("70551", "1240.00")], ["R51"], "denied"),
            ("Example-Nwosu", "Adaeze", "EXC01", State.READY, -1, 90, [("99214", "186.00")], ["I10"], ""),
            ("Example-Ivarsson", "Klara", "EXH", State.SENT, -30, -2, [("99213", "125.00")], ["J020"], ""),
            ("Example-Grimaldi", "Soren", "EXC02", State.ACCEPTED, -12, 18, [("99214", "186.00")], ["I10"], ""),
            ("Example-Hollis", "Yara", "EXC02", State.QUERIED, -22, 3, [("20610", "210.00")], ["M1711"], "query"),
            ("Example-Everly", "Tobias", "EXC01", State.QUEUED, -1, 0, [("99213", "125.00")], ["J020"], ""),
            ("Example-Fontaine", "Maeve", "EXC02", State.APPEALED, -70, 20, [("70551", "1240.00")], ["R51"], ""),
            ("Example-Delacroix", "Fern", "EXH", State.VOIDED, -15, None, [("99213", "125.00")], ["J020"], ""),
        ]
        for n, (family, given, payer, state, served, due, lines, diagnoses, finding) in enumerate(plan, 1):
            number = f"C-EX{n:04d}"
            bill = a_bill(number, family, given, payer, served, lines, diagnoses)
            self._bills[number] = bill
            self._rows[number] = ClaimRow(
                number=number,
                encounter=bill.encounter,
                patient=bill.patient.ref,
                patient_name=f"{family}, {given}",
                payer=payer,
                payer_name=PAYERS[payer],
                kind="837P",
                state=state,
                charge=bill.charge,
                served_on=bill.served_from,
                due=None if due is None else day_from_now(due),
                file_by=day_from_now(90),
                entered_at=moment(-2),
                findings=(FINDINGS[finding],) if finding else (),
                attempt=0 if state in {State.HELD, State.READY, State.DRAFTED, State.VOIDED} else 1,
            )
            self._story(number, state, served)

    def _story(self, number: str, state: State, served: int) -> None:
        row = self._rows[number]
        told = [
            Told(
                claim=number,
                at=moment(served, 17, 40),
                kind="move",
                what="Drafted from the visit, 9 chart resources",
                who="fhir-billing",
                sha256=digest_of(number),
                message=1,
                end="drafted",
            ),
        ]
        if row.findings and state is State.HELD:
            told.append(
                Told(
                    claim=number,
                    at=moment(served, 17, 41),
                    kind="move",
                    what=row.findings[0].say,
                    who="fhir-billing",
                    message=1,
                    end="held",
                )
            )
        elif row.attempt or state is State.READY:
            told.append(
                Told(
                    claim=number,
                    at=moment(served, 17, 41),
                    kind="move",
                    what="All edits passed",
                    who="fhir-billing",
                    message=1,
                    end="ready",
                )
            )
        if row.attempt:
            self._post(
                posting.charge_billed(claim=number, payer=row.payer, amount=row.charge, on=day_from_now(served + 1))
            )
            told += [
                Told(
                    claim=number,
                    at=moment(served + 1, 10, 30),
                    kind="journal",
                    what=f"Billed to {row.payer}",
                    who="fhir-billing",
                    message=2,
                ),
                Told(
                    claim=number,
                    at=moment(served + 1, 10, 30),
                    kind="send",
                    what=f"{row.payer}-837P-000000001 is sealed",
                    who="fhir-billing",
                    sha256=digest_of(f"{row.payer}-837P-000000001"),
                    message=2,
                ),
                Told(
                    claim=number,
                    at=moment(served + 1, 10, 31),
                    kind="move",
                    what="The channel took it",
                    who="fhir-billing",
                    message=3,
                    end="sent",
                ),
            ]
        if state not in {State.HELD, State.READY, State.SENT, State.QUEUED, State.VOIDED, State.DRAFTED}:
            told.append(
                Told(
                    claim=number,
                    at=moment(served + 2, 14, 3),
                    kind="move",
                    what=row.findings[0].say if row.findings else f"{row.payer_name} said so",
                    who=row.payer_name,
                    sha256=digest_of(f"answer {number}"),
                    message=4,
                    end=state.value,
                )
            )
        self._told[number] = told

    def _post(self, journal: Journal | None) -> None:
        if journal is not None:
            self._journals[journal.key] = journal

    # ---- what payers said
    def _paper(self) -> dict[str, RemittancePage]:
        first = decided(
            "C-EX0001",
            "1",
            [
                ("99213", "125.00", "68.00", [(CO, "45", "37.00"), (PR, "3", "20.00")]),
                ("87880", "30.00", "18.00", [(CO, "45", "12.00")]),
            ],
            "EX26001",
        )
        jo = decided(
            "C-EX0008",
            "1",
            [
                ("99213", "125.00", "65.60", [(CO, "45", "43.00"), (PR, "2", "16.40")]),
                ("20610", "210.00", "76.80", [(CO, "45", "114.00"), (PR, "2", "19.20")]),
            ],
            "EX26008",
        )
        cy = decided("C-EX0009", "1", [("70551", "1240.00", "0.00", [(CO, "197", "1240.00")])], "EX26009")
        posted = Remittance(
            payer_id="EXC01",
            payer_name=PAYERS["EXC01"],
            trace="8831042207",
            paid=cents("232.52"),
            paid_on=day_from_now(-20),
            claims=(first, jo),
            provider_adjustments=(ProviderAdjustment(reason="L6", reference="C-EX0001", amount=cents("-4.12")),),
            digest=digest_of("one"),
        )
        denied = Remittance(
            payer_id="EXC02",
            payer_name=PAYERS["EXC02"],
            trace="55120983",
            paid=0,
            paid_on=day_from_now(-6),
            method="NON",
            claims=(cy,),
            digest=digest_of("two"),
        )
        unbalanced = Remittance(
            payer_id="EXC02",
            payer_name=PAYERS["EXC02"],
            trace="55120990",
            paid=cents("130.60"),
            paid_on=day_from_now(-1),
            digest=digest_of("three"),
            position=3,
            claims=(
                decided("C-EX0012", "1", [("99214", "186.00", "118.20", [(CO, "45", "50.00"), (PR, "2", "17.80")])]),
                decided("C-EX0013", "1", [("20610", "210.00", "12.40", [(CO, "45", "178.45"), (PR, "2", "6.75")])]),
            ),
        )
        twin = replace(
            posted,
            digest=digest_of("four"),
            paid=cents("242.52"),
            claims=(
                replace(
                    first,
                    paid=cents("96.00"),
                    lines=(
                        replace(
                            first.lines[0],
                            paid=cents("78.00"),
                            adjustments=(
                                Adjustment(group=CO, reason="45", amount=cents("27.00")),
                                Adjustment(group=PR, reason="3", amount=cents("20.00")),
                            ),
                        ),
                        first.lines[1],
                    ),
                ),
                jo,
            ),
        )
        pages: dict[str, RemittancePage] = {}
        for number, remittance, status, say, days in (
            ("R-1", posted, "posted", "", -20),
            ("R-2", denied, "posted", "", -6),
            ("R-3", unbalanced, "quarantined", "", -1),
            ("R-4", twin, "doubted", "Trace 8831042207 was posted as R-1 over 232.52; this file says 242.52", -1),
        ):
            pages[number] = self._page(number, remittance, status, say, days)
        pages["R-4"] = replace(pages["R-4"], twin=pages["R-1"])
        self._money(posted)
        return pages

    def _page(self, number: str, remittance: Remittance, status: str, say: str, days: int) -> RemittancePage:
        bad = out_of_balance(remittance)
        journals: list[Journal] = []
        claims = []
        for sequence, payment in enumerate(remittance.claims):
            row = self._rows[payment.claim]
            key = ""
            if status == "posted":
                journal = posting.payment_decided(
                    remittance,
                    sequence,
                    table=CARCS,
                    claim=row.number,
                    payer=row.payer,
                    patient=row.patient,
                    on=day_from_now(days),
                )
                if journal:
                    self._post(journal)
                    journals.append(journal)
                    key = journal.key
                self._decisions.setdefault(row.number, []).append(
                    Decision(
                        remittance=number,
                        payer_name=row.payer_name,
                        paid_on=remittance.paid_on,
                        payment=payment,
                        whole=claim_decided(payment, CARCS),
                        lines=lines_decided(payment, CARCS),
                    )
                )
                self._rows[row.number] = replace(row, icn=payment.icn)
            claims.append(
                RemittedClaim(
                    payment=payment,
                    whole=claim_decided(payment, CARCS),
                    lines=lines_decided(payment, CARCS),
                    matched=True,
                    patient_name=row.patient_name,
                    state=row.state,
                    journal=key,
                )
            )
        for sequence in range(len(remittance.provider_adjustments) if status == "posted" else 0):
            plb = posting.provider_adjusted(remittance, sequence, on=day_from_now(days))
            if plb:
                self._post(plb)
                journals.append(plb)
        arrivals = [
            Arrival(
                message=20 + int(number[2:]),
                at=moment(days, 14, 11),
                channel="sftp",
                name=f"{remittance.payer_id}_835.x12",
            )
        ]
        if number == "R-1":
            arrivals += [
                Arrival(message=21, at=moment(days, 15, 2), channel="upload", name="copy.x12"),
                Arrival(message=21, at=moment(days + 1, 14, 11), channel="sftp", name="EXC01_835.x12"),
            ]
        return RemittancePage(
            row=RemittanceRow(
                number=number,
                payer=remittance.payer_id,
                payer_name=remittance.payer_name,
                trace=remittance.trace,
                paid=remittance.paid,
                paid_on=remittance.paid_on,
                status=status,
                at=moment(days, 14, 11),
                message=20 + int(number[2:]),
                claims=len(claims),
                say=say or (bad[0].say() if bad else ""),
                arrivals=len(arrivals),
                checks=checks(remittance, bad, status, len(journals)),
            ),
            remittance=remittance,
            claims=tuple(claims),
            journals=tuple(journals),
            arrivals=tuple(arrivals),
            imbalances=tuple(bad),
            sha256=digest_of(number),
            banked=remittance.paid if number == "R-1" else 0,
        )

    def _money(self, posted: Remittance) -> None:
        """The deposit lands, and two patients pay."""
        by_claim = {"C-EX0001": cents("86.00"), "C-EX0008": cents("142.40"), "": cents("4.12")}
        self._post(
            posting.deposit_landed(
                trace=posted.trace, payer="EXC01", by_claim=by_claim, on=day_from_now(-18), key="deposit:8831042207"
            )
        )
        ada = self._rows["C-EX0001"]
        self._post(
            posting.patient_paid(
                key="pay:ada",
                claim=ada.number,
                patient=ada.patient,
                amount=cents("20.00"),
                owed=cents("20.00"),
                on=day_from_now(-61),
                how="card at the desk",
            )
        )
        gus = self._rows["C-EX0012"]
        self._post(
            posting.patient_paid(
                key="pay:soren",
                claim=gus.number,
                patient=gus.patient,
                amount=cents("25.00"),
                owed=0,
                on=day_from_now(-12),
                how="cash",
            )
        )

    # ---- the read models
    def _sums(self, number: str) -> BillSums:
        entries = [
            Entry(journal=j.key, account=p.account, party=p.party, amount=p.amount)
            for j in self._journals.values()
            for p in j.postings
            if p.claim == number
        ]
        return bill_sums(entries, self._rows[number].patient)

    def _listed(self) -> list[ClaimRow]:
        return [self._row(number) for number in self._rows]

    def _row(self, number: str) -> ClaimRow:
        sums = self._sums(number)
        return replace(self._rows[number], patient_owes=sums.patient_owes, disputed=sums.disputed)

    def counts(self, today: date) -> Counts:
        rows = self._listed()
        states = {
            state: tally(r for r in rows if r.state is state) for state in State if any(r.state is state for r in rows)
        }
        owing = [r for r in rows if r.patient_owes > 0]
        return Counts(
            states=states,
            silent=tally(self._silent(today)),
            quarantined=len(self.quarantined()),
            patients=Tally(count=len(owing), amount=sum(r.patient_owes for r in owing)),
            chart=len(self.sides()),
        )

    def _silent(self, today: date) -> list[ClaimRow]:
        late = {State.SENT, State.RECEIVED, State.ACCEPTED, State.PENDED, State.APPEALED}
        return [r for r in self._rows.values() if r.state in late and r.due and r.due < today]

    def today(self, today: date, since: datetime) -> Today:
        rows = self._listed()
        silent = self._silent(today)
        return Today(
            counts=self.counts(today),
            rows=tuple(r for r in rows if r.state in NEEDS_SOMEBODY),
            quarantined=tuple(self.quarantined()),
            silent=(SilentPayer(payer="EXH", payer_name=PAYERS["EXH"], claims=tally(silent), since=silent[0].due),)
            if silent
            else (),
            visits={
                "billed": Tally(count=13, amount=510000),
                "held": Tally(count=3, amount=56800),
                "self-pay": Tally(count=1, amount=52000),
                "not billable": Tally(count=1),
            },
            posted=Tally(count=1, amount=0),
            remittances=1,
            patient_paid=Tally(count=1, amount=2500),
            moves={
                State.SENT: Tally(count=2, amount=31100),
                State.REJECTED: Tally(count=3, amount=61850),
                State.DENIED: Tally(count=1, amount=124000),
            },
            since=since,
        )

    def claims(self, states: Iterable[State] | None = None) -> list[ClaimRow]:
        wanted = None if states is None else set(states)
        rows = [r for r in self._listed() if wanted is None or r.state in wanted]
        return sorted(rows, key=lambda r: (r.due is None, r.due or date.max))

    def claim(self, number: str) -> ClaimPage | None:
        row = self._rows.get(number)
        if row is None:
            return None
        bill = self._bills[number]
        return ClaimPage(
            row=self._row(number),
            member_id=bill.insurance[0].member_id,
            mapping="claim-professional@2.1.0+demo.1#5f2c",
            billed=row.charge if row.attempt else 0,
            resource=as_resource(bill),
            bill=bill,
            sums=self._sums(number),
            biography=tuple(self._told[number]),
            journals=tuple(j for j in self._journals.values() if any(p.claim == number for p in j.postings)),
            decisions=tuple(self._decisions.get(number, ())),
            envelopes=tuple(e for e in self.sent() if number in e.claims),
            files={4: self._message(4, "file", f"{row.payer}_277CA.x12", "acknowledged")} if row.attempt else {},
            visit=self._visit(number),
        )

    def _visit(self, number: str) -> VisitRecord:
        row = self._rows[number]
        return VisitRecord(
            encounter=row.encounter,
            number=number,
            outcome="held" if row.state is State.HELD else "billed",
            found_by="hook",
            patient=row.patient,
            patient_name=row.patient_name,
            patient_birth=date(1980, 2, 29),
            served_on=row.served_on,
            what="Office visit",
            practitioner="Dr. Example-Osei",
            charge=row.charge,
        )

    def elements(self, number: str) -> list[Origin]:
        return [
            Origin(
                element="Claim.patient",
                mapping="claim-professional.yaml:21 Patient/{{ %Patient.id }}",
                source="Patient/example version 3",
            ),
            Origin(
                element="Claim.billablePeriod.start",
                mapping="claim-professional.yaml:23 {{ %Encounter.period.start }}",
                source="Encounter/example version 4",
            ),
            Origin(
                element="Claim.item[0].productOrService",
                mapping="claim-professional.yaml:37 {{ %line.code }}",
                source="ChargeItem/example version 1",
            ),
        ]

    def remittances(self) -> list[RemittanceRow]:
        return [page.row for page in reversed(self._remittances.values())]

    def remittance(self, number: str) -> RemittancePage | None:
        return self._remittances.get(number)

    def _message(
        self, number: int, kind: str, name: str, outcome: str, say: str = "", findings: tuple[Complaint, ...] = ()
    ) -> MessageRow:
        return MessageRow(
            id=number,
            kind=kind,
            key=digest_of(str(number)),
            at=moment(-1, 14, 11),
            outcome=outcome,
            sha256=digest_of(str(number)),
            name=name,
            channel="sftp",
            say=say,
            findings=findings,
            attempts=1,
            size=1840,
        )

    def in_vain(self) -> list[MessageRow]:
        return []

    def quarantined(self) -> list[MessageRow]:
        bad = self._remittances["R-3"].imbalances[0]
        rows = [
            self._message(
                24,
                "file",
                "EXC01_835_again.x12",
                "quarantined",
                "Trace 8831042207 was posted before with other content",
                (
                    Complaint(
                        key="same-trace-other-content",
                        say="Trace 8831042207 was posted as R-1 over 232.52; this file says 242.52",
                        at="TRN02",
                        fix="Compare the two, ask the payer which one holds",
                        source="835",
                    ),
                ),
            ),
            self._message(
                23,
                "file",
                "EXC02_835_1122.x12",
                "quarantined",
                bad.say(),
                (
                    Complaint(
                        key="unbalanced",
                        say=bad.say(),
                        at=f"segment {bad.position} {bad.segment}",
                        fix="Ask the payer for a corrected file; nothing of this one is posted",
                        source="835",
                    ),
                ),
            ),
            self._message(
                22,
                "visit",
                "",
                "quarantined",
                "Encounter/ex-17 subject: the reference leads nowhere",
                (
                    Complaint(
                        key="dangling-reference",
                        say="The visit's patient is not in the chart",
                        at="Encounter.subject",
                        fix="Ask the EHR's administrator to mend Encounter/ex-17, then retry",
                        source="EHR",
                        resource="Encounter/ex-17",
                    ),
                ),
            ),
        ]
        return [row for row in rows if row.id not in self.retried]

    def message(self, message_id: int) -> MessagePage | None:
        known = {row.id: row for row in self.quarantined()}
        row = known.get(message_id) or (
            self._message(message_id, "file", "EXC01_277CA.x12", "acknowledged", "12 claims accepted")
            if message_id < 30
            else None
        )
        if row is None:
            return None
        body = (
            b"ISA*00*          *00*          *ZZ*EXC02          *ZZ*EXAMPLE        *261122*0900*^*00501*000000042*0*P*:~"
            b"GS*HP*EXC02*EXAMPLE*20261122*0900*42*X*005010X221A1~ST*835*0001~BPR*I*143*C*ACH~TRN*1*55120990*1999999999~SE*4*0001~GE*1*42~IEA*1*000000042~"
        )
        arrivals = (Arrival(message=row.id, at=row.at, channel="sftp", name=row.name),)
        return MessagePage(
            row=row,
            body=body if row.kind == "file" else b'{"resourceType": "Encounter", "id": "ex-17"}',
            arrivals=arrivals,
        )

    def books(self) -> Books:
        sums: dict[str, list[Money]] = {}
        for journal in self._journals.values():
            for p in journal.postings:
                sums.setdefault(p.account, []).append(p.amount)
        accounts = tuple(
            AccountSum(account=a, amount=sum(sums[a]), postings=len(sums[a])) for a in ledger.ACCOUNTS if a in sums
        )
        open_ = {n: self._sums(n) for n in self._rows}
        payers = tuple(
            PayerSum(
                payer=p,
                payer_name=name,
                owes=sum(open_[r.number].payer_owes for r in self._rows.values() if r.payer == p),
                disputed=sum(open_[r.number].disputed for r in self._rows.values() if r.payer == p),
                claims=sum(1 for r in self._rows.values() if r.payer == p and open_[r.number].open),
            )
            for p, name in PAYERS.items()
        )
        receivables = sum(a.amount for a in accounts if a.account in ledger.RECEIVABLES)
        traces = (
            TraceSum(
                trace="8831042207",
                payer_name=PAYERS["EXC01"],
                announced=cents("232.52"),
                banked=cents("232.52"),
                waiting=0,
                remittance="R-1",
            ),
        )
        return Books(
            accounts=accounts,
            payers=payers,
            traces=traces,
            receivables=receivables,
            on_claims=sum(s.open for s in open_.values()),
            journals=len(self._journals),
        )

    def visits(self) -> list[VisitRecord]:
        hal = VisitRecord(
            encounter="Encounter/ex-hal",
            number="C-EX0099",
            outcome="self-pay",
            found_by="poll",
            patient="Patient/zzte-hal",
            patient_name="Zztest, Hal",
            served_on=day_from_now(-9),
            what="Office visit",
            practitioner="Dr. Example-Osei",
            charge=cents("520.00"),
        )
        return [*(self._visit(n) for n in reversed(self._rows)), hal]

    def patients(self) -> list[PatientRow]:
        rows = []
        for row in self._rows.values():
            sums = self._sums(row.number)
            rows.append(
                PatientRow(
                    patient=row.patient,
                    name=row.patient_name,
                    visits=1,
                    owes=sums.patient_owes,
                    credit=sums.credit,
                    waits=sums.payer_owes + sums.disputed,
                )
            )
        return sorted(rows, key=lambda r: -r.owes)

    def patient(self, patient: str) -> PatientPage | None:
        rows = [r for r in self._rows.values() if r.patient == patient]
        if not rows:
            return None
        visits = []
        for row in rows:
            said = self._decisions.get(row.number, [])
            reasons = tuple(x for x in said[-1].whole.reasons if x.bucket == "patient") if said else ()
            paid = tuple(
                PatientPayment(on=j.posted_on, amount=0, because=j.because)
                for j in self._journals.values()
                if j.key.startswith("pay:") and j.claim == row.number
            )
            visits.append(
                VisitBalance(
                    number=row.number,
                    encounter=row.encounter,
                    outcome="billed",
                    served_on=row.served_on,
                    what="Office visit",
                    practitioner="Dr. Example-Osei",
                    payer_name=row.payer_name,
                    state=row.state,
                    charge=row.charge,
                    sums=self._sums(row.number),
                    reasons=reasons,
                    payments=paid,
                )
            )
        return PatientPage(patient=patient, name=rows[0].patient_name, birth=date(1980, 2, 29), visits=tuple(visits))

    def sent(self) -> list[EnvelopeRow]:
        files = []
        for n, payer in enumerate(PAYERS, 1):
            numbers = tuple(r.number for r in self._rows.values() if r.payer == payer and r.attempt)
            key = f"{payer}-837P-{n:09d}"
            files.append(
                EnvelopeRow(
                    key=key,
                    partner=payer,
                    kind="837P",
                    interchange=f"{n:09d}",
                    group=str(n),
                    sets={"0001": numbers},
                    sha256=digest_of(f"{payer}-837P-000000001"),
                    at=moment(-2, 10, 30),
                    destination="loopback",
                    sent_at=None if payer == "EXH" else moment(-2, 10, 31),
                    receipt="" if payer == "EXH" else "taken 261121-1031",
                    say="",
                    size=2380,
                )
            )
        return files

    def envelope(self, key: str) -> EnvelopePage | None:
        row = next((e for e in self.sent() if e.key == key), None)
        if row is None:
            return None
        sets = b"".join(
            b"ST*837*%s*005010X222A1~BHT*0019*00~CLM*%s*155~SE*4*%s~" % (st.encode(), n.encode(), st.encode())
            for st, numbers in row.sets.items()
            for n in numbers
        )
        head = b"ISA*00*          *00*          *ZZ*EXAMPLE        *ZZ*EXC01          *261121*1030*^*00501*000000001*0*P*:~"
        return EnvelopePage(
            row=row,
            body=head + b"GS*HC*EXAMPLE*EXC01*20261121*1030*1*X*005010X222A1~" + sets + b"GE*1*1~IEA*1*000000001~",
            claims=tuple(self._rows[n] for n in row.claims),
        )

    def visit(self, encounter: str) -> VisitPage | None:
        row = next((r for r in self._rows.values() if r.encounter == encounter), None)
        if row is None:
            found = next((v for v in self.visits() if v.encounter == encounter), None)
            return VisitPage(visit=found) if found else None
        claim = self.claim(row.number)
        return VisitPage(visit=self._visit(row.number), claims=(claim,) if claim else ())

    def find(self, words: str) -> list[Found]:
        wanted = words.casefold()
        claims = [
            Found(what="claim", label=r.number, detail=f"{r.payer_name}, {r.state}", key=r.number)
            for r in self._rows.values()
            if r.number.casefold().startswith(wanted)
        ]
        people = [
            Found(what="patient", label=r.patient_name, detail="balance", key=r.patient)
            for r in self._rows.values()
            if wanted in r.patient_name.casefold()
        ]
        money = [
            Found(what="remittance", label=p.row.number, detail=f"{p.row.payer_name}, {p.row.trace}", key=n)
            for n, p in self._remittances.items()
            if wanted in {n.casefold(), p.row.trace}
        ]
        return [*claims, *people, *money][:20]

    # ---- acts
    def act(self, kind: str, facts: Mapping[str, Any], who: str, key: str) -> None:
        if self.refuse:
            raise NotAMove(self.refuse, fix="look at the claim again")
        if any(key == seen for _, _, _, seen in self.acted):
            return
        self.acted.append((kind, dict(facts), who, key))

    def retry(self, message: int, who: str) -> None:
        self.retried.append(message)

    # ---- what clinicians read
    def answers(self, encounter: str) -> list[Answer]:
        """Nobody answered."""
        return []

    def asked(self, *, encounter: str = "", practitioner: str = "", patient: str = "") -> list[AskedQuestion]:
        """Nobody asked."""
        return []

    def asked_on(self, claim: str) -> list[AskedQuestion]:
        """Nobody asked."""
        return []

    def bills(self, patient: str) -> list[VisitPage]:
        """None."""
        return []

    def news(self, *keys: str) -> str:
        """Nothing changes here."""
        return "still"

    def stored_visit(self, encounter: str) -> list[dict[str, Any]] | None:
        """No chart is behind these people."""
        return None

    def ring(self, encounter: str, who: str) -> None:
        """Somebody rang."""
        self.rang.append(encounter)

    def audit(self, who: str, what: str, about: str = "") -> None:
        self.audited.append((who, what, about))

    def end_session(self, session: str) -> None:
        self.over.add(session)

    def is_over(self, session: str) -> bool:
        return session in self.over
