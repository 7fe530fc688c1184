"""The same remittance comes by two routes, and once more with other line breaks: it is one payment."""

from __future__ import annotations

from dataclasses import replace

from fhir_billing.simulator.behaviours import pays
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.verdict import Case, Decide, Manner, Verdict


def prepare(parameters: Parameters) -> Decide:
    """Pays as `pays` does; its 835 is handed over under three names."""
    pay = pays.prepare(parameters)

    def answers(case: Case) -> Verdict:
        verdict = pay(case)
        payments = tuple(
            replace(one, lane=f"twice {case.claim.id}", manner=Manner(twice=True)) for one in verdict.payments
        )
        return replace(verdict, why=f"{verdict.why}; told three times", payments=payments)

    return answers
