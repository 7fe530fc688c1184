"""Whether a set could be read: for each set of a group a letter, and why.

Spec: 005010X231A1.
"""

from __future__ import annotations

from fhir_billing.x12.guides.loops import guide

GUIDE = guide(
    "999",
    "005010X231A1",
    "FA",
    """
HEADER! ST AK1! AK9! SE
 2000+ AK2 IK5!
  2100+ IK3 CTX
   2110+ IK4 CTX
""",
)
