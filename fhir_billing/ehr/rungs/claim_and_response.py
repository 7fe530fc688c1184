"""The whole bill stands in the chart as FHIR means it: the claim, the payer's answer, what it came to, and whose turn it is.

Open servers take all of it; of large EHRs none takes a ClaimResponse. Chosen by name on one that takes less, it writes what is
taken and says what is not.
Spec: FHIR R4 Claim, ClaimResponse, ExplanationOfBenefit, Task, Provenance.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.rungs import Held, Need, Put, Rung, Told
from fhir_billing.ehr.telling import tell

KINDS = ("Claim", "ClaimResponse", "ExplanationOfBenefit", "Task")


def write(client: FhirClient, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """Each of the four that there is to say."""
    return tell(client, told, held, KINDS)


RUNG = Rung(
    name="claim-and-response",
    order=1,
    say="The claim, the payer's answer, its explanation of benefit and a task with the claim's status stand in the chart.",
    needs=tuple(Need(kind=kind, act=act) for kind in KINDS for act in ("create", "update")),
    write=write,
)
