"""A claim may be paid but for one line."""

from __future__ import annotations

from dataclasses import replace

from fhir_billing.domain.claim import ServiceLine
from fhir_billing.domain.money import show
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.pricing import Priced, priced, read_terms
from fhir_billing.simulator.verdict import Case, Decide, Payment, Verdict, decided, denied_line, known


def prepare(parameters: Parameters) -> Decide:
    """`procedure` or `line` (numbers): which; the last line when neither is given. `reason`: CO-97 by default. `remark`, `after`, terms."""
    procedures = parameters.texts("procedure")
    numbers = parameters.texts("line")
    reason = parameters.reason("reason", "CO-97")
    remarks = parameters.texts("remark")
    after = parameters.after("after")
    terms = read_terms(parameters)

    def chosen(lines: tuple[ServiceLine, ...]) -> tuple[ServiceLine, ...]:
        named = tuple(one for one in lines if one.procedure in procedures or str(one.number) in numbers)
        return named or lines[-1:]

    def denies(case: Case) -> Verdict:
        gone = chosen(case.claim.lines)
        kept = tuple(line for line in case.claim.lines if line not in gone)
        paid = priced(replace(case.claim, lines=kept), replace(terms(case.terms), whole=False))
        answers = {line.number: line for line in gone}
        rest = iter(paid.lines)
        lines = tuple(
            denied_line(line, reason, remarks) if line.number in answers else next(rest) for line in case.claim.lines
        )
        payment = decided(case, Priced(paid=paid.paid, lines=lines))
        said = ", ".join(f"line {line.number} {line.procedure or line.revenue_code}" for line in gone)
        return Verdict(
            why=f"{said} denied with {reason[0]}-{reason[1]}; paid {show(payment.paid)} of {show(payment.charge)}",
            statuses=known(case),
            payments=(Payment(after=case.delays.decided if after is None else after, payment=payment),),
        )

    return denies
