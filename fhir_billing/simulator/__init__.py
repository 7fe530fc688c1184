"""The clearinghouse and the payers behind it, as a product: an 837 goes in, TA1, 999, 277CA and 835 come out.

`answer` is a pure function; whoever calls it keeps the memory (`SimState`) and hands answers over when their time comes.
"""

from fhir_billing.simulator.answer import answer, reasons
from fhir_billing.simulator.desk import Answer
from fhir_billing.simulator.scenario import Scenario, read_scenario
from fhir_billing.simulator.state import SimState

__all__ = ["Answer", "Scenario", "SimState", "answer", "read_scenario", "reasons"]
