"""Silence is an answer that never comes: the set was read, and then nothing."""

from __future__ import annotations

from fhir_billing.simulator.parameters import Parameters
from fhir_billing.simulator.verdict import Case, Decide, Verdict, known


def prepare(parameters: Parameters) -> Decide:
    """`after-the`: the last thing heard, of `nothing`, `999` (by default), `277CA`."""
    last = parameters.one_of("after-the", ("nothing", "999", "277CA"), "999")

    def keeps_silent(case: Case) -> Verdict:
        return Verdict(
            why=f"silent after the {last}" if last != "nothing" else "silent from the start",
            unheard=last == "nothing",
            statuses=known(case) if last == "277CA" else (),
        )

    return keeps_silent
