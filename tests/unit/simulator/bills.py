"""Bills to send to the simulator, and its answers read back by kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fhir_billing.domain.acknowledgment import ClaimStatus, SetAcknowledgment
from fhir_billing.domain.claim import Claim, Payer
from fhir_billing.domain.examples import a_claim, a_line, a_person, an_insurance
from fhir_billing.domain.money import cents, show
from fhir_billing.domain.remittance import ClaimPayment, Remittance
from fhir_billing.simulator import Answer, Scenario, SimState, answer, read_scenario
from fhir_billing.x12.partners import Controls, Receiver, Sender
from fhir_billing.x12.read_835 import remittances
from fhir_billing.x12.read_acks import acknowledgments
from fhir_billing.x12.write_837 import write

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
US = Sender(id="EXSITE", name="Example Site", contact_name="Bea Biller", contact_phone="5555550100")
HUB = Receiver(id="EXHUB", name="Example Clearinghouse")


def bill(*claims: Claim, number: int = 1, at: datetime = AT, test: bool = False) -> bytes:
    """An 837 with these claims."""
    return write(
        list(claims), sender=US, receiver=HUB, controls=Controls(interchange=number, group=number), at=at, test=test
    )


def visit(
    given: str, *charges: tuple[str, str], number: str = "", payer: str = "EXC01", member: str = "", **more: Any
) -> Claim:
    """A patient's claim: (procedure, charge) for each line, served on 2 March 2026."""
    who = a_person(given=given, ref=f"Patient/{given.lower()}")
    lines = tuple(
        a_line("2026-03-02", number=count, procedure=code, charge=cents(charge))
        for count, (code, charge) in enumerate(charges or (("99213", "125.00"),), 1)
    )
    insurance = an_insurance(
        payer=Payer(id=payer, name=f"Example Payer {payer}"), subscriber=who, member_id=member or f"ZZT{given.upper()}"
    )
    facts: dict[str, Any] = {
        "id": number or f"C-{given.upper()}",
        "patient": who,
        "insurance": (insurance,),
        "lines": lines,
    }
    return a_claim(served="2026-03-02", **{**facts, **more})


def scenario(*rules: dict[str, Any], **more: Any) -> Scenario:
    """A scenario from rules as a file gives them."""
    return read_scenario({"scenario": "test", "rules": list(rules), **more})


def one_rule(does: str, **with_: Any) -> Scenario:
    """Everybody gets the same."""
    return scenario({"does": does, "with": {name.replace("_", "-"): value for name, value in with_.items()}})


def answered(data: bytes, how: Scenario, state: SimState | None = None, at: datetime = AT) -> list[Answer]:
    """The answers alone."""
    return answer(data, how, at, state or SimState())[0]


def kinds(answers: Sequence[Answer]) -> list[str]:
    """`999`, `277CA`, `835` … in their order."""
    return [one.name.split("-")[1] for one in answers]


def of_kind(answers: Sequence[Answer], kind: str) -> list[Answer]:
    """Those of one kind."""
    return [one for one in answers if one.name.split("-")[1] == kind]


def checks(answers: Sequence[Answer]) -> list[Remittance]:
    """Each 835 read back."""
    return [found for one in of_kind(answers, "835") for found in remittances(one.body)]


def statuses(answers: Sequence[Answer], kind: str = "277CA") -> list[ClaimStatus]:
    """Each claim's status read back."""
    read = [found for one in of_kind(answers, kind) for found in acknowledgments(one.body)]
    return [one for one in read if isinstance(one, ClaimStatus)]


def sets(answers: Sequence[Answer]) -> list[SetAcknowledgment]:
    """Each 999 read back."""
    read = [found for one in of_kind(answers, "999") for found in acknowledgments(one.body)]
    return [one for one in read if isinstance(one, SetAcknowledgment)]


def said(payment: ClaimPayment) -> str:
    """`1 125.00 paid 68.00 CO-45 37.00 PR-3 20.00`."""
    sums: dict[str, int] = {}
    for one in payment.all_adjustments():
        sums[f"{one.group}-{one.reason}"] = sums.get(f"{one.group}-{one.reason}", 0) + one.amount
    reasons = "".join(f" {reason} {show(amount)}" for reason, amount in sums.items())
    return f"{payment.status} {show(payment.charge)} paid {show(payment.paid)}{reasons}"


def lines(payment: ClaimPayment) -> list[str]:
    """The same line by line: `99213 125.00 = 68.00 + CO-45 37.00 + PR-3 20.00`."""
    return [
        f"{line.procedure} {show(line.charge)} = {show(line.paid)}"
        + "".join(f" + {one.group}-{one.reason} {show(one.amount)}" for one in line.adjustments)
        for line in payment.lines
    ]
