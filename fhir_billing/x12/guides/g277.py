"""Where a claim stands, as the payer answers when asked.

Spec: 005010X212.
"""

from __future__ import annotations

from fhir_billing.x12.guides.loops import guide

GUIDE = guide(
    "277",
    "005010X212",
    "HN",
    """
HEADER! ST BHT! SE
 2000A!+ HL///20
  2100A! NM1 PER
  2000B!+ HL///21
   2100B! NM1
   2200B TRN STC!
   2000C+ HL///19
    2100C!+ NM1
    2200C TRN STC!
    2000D+ HL///22
     2100D! NM1
     2200D+ TRN STC! REF DTP
      2220D+ SVC STC! REF DTP!
     2000E+ HL///23
      2100E! NM1
      2200E!+ TRN STC! REF DTP
       2220E+ SVC STC! REF DTP!
""",
)
