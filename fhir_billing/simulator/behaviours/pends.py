"""A pended claim is being thought about: the payer says so, and pays later or never."""

from __future__ import annotations

from dataclasses import replace

from fhir_billing.simulator.behaviours import pays
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.verdict import Case, Decide, Hop, Status, Verdict, known


def prepare(parameters: Parameters) -> Decide:
    """`code`: the status its 277 gives, P2:46 by default. `paid-after`: when it pays all the same, as `pays` does."""
    codes = parameters.statuses("code", "P2:46")
    after = parameters.after("after")
    paid_after = parameters.after("paid-after")
    pay = pays.prepare(
        Parameters(parameters.at, {k: v for k, v in parameters.values.items() if k != "after"}, parameters.asked)
    )

    def pends(case: Case) -> Verdict:
        when = case.delays.accepted if after is None else after
        said = Status(after=when, by=Hop.PAYER, codes=codes, pending=True)
        verdict = Verdict(why=f"pended with {codes[0].category}", statuses=(*known(case), said))
        if paid_after is None:
            return verdict
        later = pay(case)
        payments = tuple(replace(one, after=paid_after) for one in later.payments)
        return replace(verdict, why=f"{verdict.why}; then {later.why}", payments=payments)

    return pends
