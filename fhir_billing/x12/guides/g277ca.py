"""Whether each claim was taken in: source, receiver, provider, patient, and for each a status.

Spec: 005010X214.
"""

from __future__ import annotations

from fhir_billing.x12.guides.loops import guide

GUIDE = guide(
    "277CA",
    "005010X214",
    "HN",
    """
HEADER! ST BHT! SE
 2000A! HL///20
  2100A! NM1
  2200A! TRN DTP!
  2000B! HL///21
   2100B! NM1
   2200B! TRN STC! QTY AMT
   2000C+ HL///19
    2100C! NM1
    2200C TRN STC REF QTY AMT
    2000D+ HL///PT
     2100D! NM1
     2200D!+ TRN STC! REF DTP
      2220D+ SVC STC! REF DTP
""",
)
