"""An appeal that is won arrives as a reversal of the denial and a new decision."""

from __future__ import annotations

from datetime import timedelta

from fhir_billing.domain.money import show
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.pricing import priced, read_terms
from fhir_billing.simulator.verdict import Case, Decide, Payment, Verdict, decided, denied, known, mirrored


def prepare(parameters: Parameters) -> Decide:
    """Denies with `reason` (CO-197); `appeal` (60 days after that) reverses it and pays by the terms.

    The packet goes by mail, so time stands for it: whoever does not appeal should not use this behaviour.
    """
    reason = parameters.reason("reason", "CO-197")
    remarks = parameters.texts("remark")
    after = parameters.after("after")
    appeal = parameters.after("appeal", timedelta(days=60)) or timedelta(0)
    terms = read_terms(parameters)

    def pays(case: Case) -> Verdict:
        first = case.delays.decided if after is None else after
        denial = denied(case, reason, remarks=remarks)
        won = decided(case, priced(case.claim, terms(case.terms)), icn=case.second_icn)
        return Verdict(
            why=f"denied with {reason[0]}-{reason[1]}; on appeal paid {show(won.paid)} of {show(won.charge)}",
            statuses=known(case),
            payments=(
                Payment(after=first, payment=denial),
                Payment(after=first + appeal, payment=mirrored(denial)),
                Payment(after=first + appeal, payment=won),
            ),
        )

    return pays
