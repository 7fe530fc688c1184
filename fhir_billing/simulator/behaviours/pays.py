"""Most claims are paid by the fee schedule: the provider writes off what is above it, the patient owes a share."""

from __future__ import annotations

from fhir_billing.domain.money import show
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.pricing import priced, read_terms
from fhir_billing.simulator.verdict import Case, Decide, Payment, Verdict, decided, known


def prepare(parameters: Parameters) -> Decide:
    """Pays by the payer's terms, changed by `allowed`, `copay`, `deductible`, `coinsurance`, `sequestration`, `whole`.

    `after`: when. `interest`: paid for being late. `crosses-over-to`: the next payer, to whom the claim is forwarded.
    """
    after = parameters.after("after")
    interest = parameters.amount("interest")
    next_payer = parameters.text("crosses-over-to")
    terms = read_terms(parameters)

    def pays(case: Case) -> Verdict:
        forwarded = {"P": "19", "S": "20", "T": "21"}.get(case.claim.insurance[0].rank, "19") if next_payer else ""
        result = priced(case.claim, terms(case.terms))
        payment = decided(case, result, status=forwarded, next_payer=next_payer, interest=interest)
        return Verdict(
            why=f"paid {show(payment.paid)} of {show(payment.charge)}, the patient owes {show(payment.patient_share)}",
            statuses=known(case),
            payments=(
                Payment(after=case.delays.decided if after is None else after, payment=payment, interest=interest),
            ),
        )

    return pays
