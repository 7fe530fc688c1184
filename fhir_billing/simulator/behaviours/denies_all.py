"""A denied claim was decided: nothing is paid, and the reason says what may be done about it."""

from __future__ import annotations

from fhir_billing.domain.money import show
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.verdict import Case, Decide, Payment, Verdict, denied, known


def prepare(parameters: Parameters) -> Decide:
    """`reason`: group and reason of every line, CO-197 by default. `remark`: remark codes. `after`: when."""
    reason = parameters.reason("reason", "CO-197")
    remarks = parameters.texts("remark")
    after = parameters.after("after")

    def denies(case: Case) -> Verdict:
        payment = denied(case, reason, remarks=remarks)
        return Verdict(
            why=f"denied {show(payment.charge)} with {reason[0]}-{reason[1]}",
            statuses=known(case),
            payments=(Payment(after=case.delays.decided if after is None else after, payment=payment),),
        )

    return denies
