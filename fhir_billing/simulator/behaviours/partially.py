"""A payer may split a claim: some lines are decided now, the others in a later remittance of their own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fhir_billing.domain.money import show
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.pricing import priced, read_terms
from fhir_billing.simulator.verdict import Case, Decide, Payment, Verdict, decided, known


def prepare(parameters: Parameters) -> Decide:
    """`line`: numbers of the lines decided first, 1 by default. `later`: how long after them the rest is decided (7 days), or `never`."""
    numbers = parameters.texts("line") or ("1",)
    never = parameters.text("later") == "never"
    later = None if never else parameters.after("later", timedelta(days=7))
    after = parameters.after("after")
    terms = read_terms(parameters)

    def splits(case: Case) -> Verdict:
        when = case.delays.decided if after is None else after
        whole = priced(case.claim, replace(terms(case.terms), whole=False))
        first = tuple(line for line in whole.lines if line.control in numbers)
        rest = tuple(line for line in whole.lines if line.control not in numbers)
        halves = [(when, first, case.icn)]
        if later is not None:
            halves.append((when + later, rest, case.second_icn))
        payments = tuple(
            Payment(
                after=moment,
                payment=decided(case, replace(whole, paid=sum(line.paid for line in lines), lines=lines), icn=icn),
            )
            for moment, lines, icn in halves
            if lines
        )
        said = " then ".join(f"{show(one.payment.paid)} of {show(one.payment.charge)}" for one in payments)
        return Verdict(why=f"split: paid {said}", statuses=known(case), payments=payments)

    return splits
