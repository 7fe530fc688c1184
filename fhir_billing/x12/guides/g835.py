"""A payment explained: the check, the payer, the payee, each claim, each line, and what is taken back.

Spec: 005010X221A1.
"""

from __future__ import annotations

from fhir_billing.x12.guides.loops import guide

GUIDE = guide(
    "835",
    "005010X221A1",
    "HP",
    """
HEADER! ST BPR! TRN! CUR REF DTM PLB SE
 1000A! N1/PR N3! N4! REF PER!
 1000B! N1/PE N3 N4 REF RDM
 2000+ LX TS3 TS2
  2100!+ CLP CAS NM1! MIA MOA REF DTM PER AMT QTY
   2110+ SVC DTM CAS REF AMT QTY LQ
""",
)
