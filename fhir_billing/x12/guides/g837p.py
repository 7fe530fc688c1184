"""A professional's bill: who sends it, who bills, whom, for whom, what was done.

Spec: 005010X222A1. X291 and X298 report such claims after they were decided, in nearly the same loops.
"""

from __future__ import annotations

from fhir_billing.x12.guides.loops import guide

_CLAIM = """
2300+ CLM DTP PWK CN1 AMT REF K3 NTE CR1 CR2 CRC HI! HCP
 2310A+ NM1/DN,P3 REF
 2310B NM1/82 PRV REF
 2310C NM1/77 N3! N4! REF PER
 2310D NM1/DQ REF
 2310E NM1/PW N3! N4!
 2310F NM1/45 N3! N4!
 2320+ SBR CAS AMT OI! MOA
  2330A! NM1/IL N3 N4 REF
  2330B! NM1/PR N3 N4 DTP REF
  2330C+ NM1/DN,P3 REF
  2330D NM1/82 REF
  2330E NM1/77 REF
  2330F NM1/DQ REF
  2330G NM1/85 REF
 2400!+ LX SV1! SV5 PWK CR1 CR3 CRC DTP! QTY MEA CN1 REF AMT K3 NTE PS1 HCP
  2410+ LIN CTP REF
  2420A NM1/82 PRV REF
  2420B NM1/QB REF
  2420C NM1/77 N3! N4! REF
  2420D NM1/DQ REF
  2420E NM1/DK N3 N4 REF PER
  2420F+ NM1/DN,P3 REF
  2420G NM1/PW N3! N4!
  2420H NM1/45 N3! N4!
  2430+ SVD CAS DTP! AMT
  2440+ LQ FRM
"""


def _at(depth: int) -> str:
    return "\n".join(" " * depth + line for line in _CLAIM.strip().splitlines())


GUIDE = guide(
    "837P",
    "005010X222A1",
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
