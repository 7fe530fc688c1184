"""A payer may take back what it paid, long after the claim was closed, and net it against another claim's payment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fhir_billing.simulator.behaviours import pays
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.verdict import Case, Decide, TakeBack, Verdict, denied, mirrored


def prepare(parameters: Parameters) -> Decide:
    """Pays as `pays` does; `later` (120 days after that) takes it back and denies it with `reason` (PR-27).

    `against`: `next` nets it against the payer's next payment, `same-file` against another claim of the same file.
    """
    later = parameters.after("later", timedelta(days=120)) or timedelta(0)
    reason = parameters.reason("reason", "PR-27")
    same_file = parameters.one_of("against", ("next", "same-file"), "next") == "same-file"
    pay = pays.prepare(parameters)

    def takes_back(case: Case) -> Verdict:
        verdict = pay(case)
        (paid,) = verdict.payments
        back = TakeBack(
            after=paid.after + later,
            reversal=mirrored(paid.payment),
            corrected=denied(case, reason, icn=case.second_icn),
            same_file=same_file,
        )
        return replace(verdict, why=f"{verdict.why}; later taken back with {reason[0]}-{reason[1]}", take_back=back)

    return takes_back
