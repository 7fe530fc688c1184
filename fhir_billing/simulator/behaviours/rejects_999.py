"""A set that breaks its guide is rejected whole: every claim in it comes back unread, the good ones too."""

from __future__ import annotations

from fhir_billing.domain.acknowledgment import SyntaxFault
from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.verdict import Case, Decide, Verdict


def prepare(parameters: Parameters) -> Decide:
    """`segment`, `position`, `loop`, `element`, `code`: the place and fault that the 999 names.

    Without a position it is the first segment of that name.
    """
    segment = parameters.text("segment", "N4")
    position = parameters.number("position")
    loop = parameters.text("loop", "2010")
    element = parameters.text("element", "3")
    code = parameters.text("code", "7")

    def rejects(case: Case) -> Verdict:
        fault = SyntaxFault(code=code, segment=segment, position=position, loop=loop, element=element)
        return Verdict(why=f"its whole set is rejected at {segment}", faults=(fault, SyntaxFault(code="5")))

    return rejects
