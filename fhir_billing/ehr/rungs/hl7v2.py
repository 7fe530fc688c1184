"""A hospital whose FHIR takes nothing from us hears of a claim by HL7 v2: an ORU^R01 to its interface engine.

No FHIR request is made: the worker composes the message, stores it and sends it over MLLP (`worker/hl7_out.py`), to
`FHIR_BILLING_HL7_OUT`. Asked to write by FHIR, this rung says so and writes nothing.
Spec: HL7 v2.5.1 ORU^R01; MLLP Release 1.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhir_billing.ehr.client import FhirClient
from fhir_billing.ehr.rungs import Held, Need, Put, Rung, Told


def write(_: FhirClient, told: Told, held: Mapping[str, Held]) -> list[Put]:
    """Nothing, by FHIR."""
    return [Put(kind="ORU^R01", verb="not taken", why="it goes by HL7 v2 and not by FHIR; set FHIR_BILLING_HL7_OUT")]


RUNG = Rung(
    name="hl7v2",
    order=6,
    say="The status of each claim arrives in the chart as a result that replaces itself, by HL7 v2.",
    needs=(Need(kind="hl7v2", act="send"),),
    write=write,
)
