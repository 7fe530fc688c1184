"""A hospital's bill: the stay first, then revenue codes, and procedures where those ask for one.

Spec: 005010X223A2. X292 and X299 report such claims after they were decided, in nearly the same loops.
"""

from __future__ import annotations

from fhir_billing.x12.guides.loops import guide

_CLAIM = """
2300+ CLM DTP! CL1 PWK CN1 AMT REF K3 NTE CRC HI! HCP
 2310A NM1/71 PRV REF
 2310B NM1/72 REF
 2310C NM1/ZZ REF
 2310D NM1/82 REF
 2310E NM1/77 N3! N4! REF
 2310F NM1/DN REF
 2320+ SBR CAS AMT OI! MIA MOA
  2330A! NM1/IL N3 N4 REF
  2330B! NM1/PR N3 N4 DTP REF
  2330C NM1/71 REF
  2330D NM1/72 REF
  2330E NM1/ZZ REF
  2330F NM1/77 REF
  2330G NM1/82 REF
  2330H NM1/DN REF
  2330I NM1/85 REF
 2400!+ LX SV2! PWK DTP REF AMT NTE HCP
  2410+ LIN CTP REF
  2420A NM1/72 REF
  2420B NM1/ZZ REF
  2420C NM1/82 REF
  2420D NM1/DN REF
  2430+ SVD CAS DTP! AMT
"""


def _at(depth: int) -> str:
    return "\n".join(" " * depth + line for line in _CLAIM.strip().splitlines())


GUIDE = guide(
    "837I",
    "005010X223A2",
    "HC",
    f"""
HEADER! ST BHT! REF SE
 1000A! NM1/41 PER!
 1000B! NM1/40
 2000A!+ HL///20 PRV CUR
  2010AA! NM1/85 N3! N4! REF! PER
  2010AB NM1/87 N3! N4!
  2010AC NM1/PE N3! N4! REF!
  2000B!+ HL///22 SBR! PAT
   2010BA! NM1/IL N3 N4 DMG REF PER
   2010BB! NM1/PR N3 N4 REF
{_at(3)}
   2000C+ HL///23 PAT!
    2010CA! NM1/QC N3! N4! DMG! REF PER
{_at(4)}
""",
)
