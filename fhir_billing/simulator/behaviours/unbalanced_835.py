"""A remittance whose sums fail must post nothing: this payer sends one."""

from __future__ import annotations

from dataclasses import replace

from fhir_billing.domain.money import show
from fhir_billing.simulator.behaviours import pays
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.verdict import Case, Decide, Manner, Spoil, Verdict


def prepare(parameters: Parameters) -> Decide:
    """Pays as `pays` does, then `where` (BPR02 or CLP04) is off `by` 12.40."""
    where = Spoil(parameters.one_of("where", [one.value for one in Spoil], Spoil.FILE.value))
    by = parameters.amount("by", 1240)
    pay = pays.prepare(parameters)

    def unbalances(case: Case) -> Verdict:
        verdict = pay(case)
        manner = Manner(spoil=where, by=by)
        payments = tuple(replace(one, lane=f"unbalanced {case.claim.id}", manner=manner) for one in verdict.payments)
        return replace(verdict, why=f"{verdict.why}; {where} is off by {show(by)}", payments=payments)

    return unbalances
