"""The chart is told of a claim by HL7 v2 where that was chosen, else by the rung of the ladder that holds at this EHR."""

from __future__ import annotations

from fhir_billing.cycle.records import OutboxRecord
from fhir_billing.wiring import Wiring
from fhir_billing.worker import hl7_out


def write_back(wiring: Wiring, parcel: OutboxRecord) -> str:
    """Tell the chart of a claim; returns a receipt. Raises NotNow to be tried again."""
    if wiring.settings.ehr_write_back and hl7_out.goes_by_hl7(wiring):
        return hl7_out.put(wiring, parcel)
    teller = wiring.teller
    if teller is None or not wiring.settings.ehr_write_back:
        return "no EHR is set up"
    return teller.write_back(parcel)
