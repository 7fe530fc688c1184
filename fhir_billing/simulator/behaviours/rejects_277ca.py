"""A claim may be well formed and still be turned away before anybody decides it: rejected, not denied."""

from __future__ import annotations

from dataclasses import replace

from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.verdict import Case, Decide, Hop, Verdict, known


def prepare(parameters: Parameters) -> Decide:
    """`code`: one to three statuses such as A7:562:85. `by`: clearinghouse, or payer after the clearinghouse took it."""
    codes = parameters.statuses("code", "A7:562:85")
    by = Hop(parameters.one_of("by", [hop.value for hop in Hop], Hop.CLEARINGHOUSE.value))
    after = parameters.after("after")

    def rejects(case: Case) -> Verdict:
        said = ", ".join(":".join(filter(None, (c.category, c.status, c.entity))) for c in codes)
        at_once, later = known(case)
        first, usual = ((), at_once) if by is Hop.CLEARINGHOUSE else ((at_once,), later)
        turned = replace(usual, by=by, codes=codes, after=usual.after if after is None else after)
        return Verdict(why=f"the {by} rejects it: {said}", statuses=(*first, turned))

    return rejects
