"""An element has a least and a greatest length, and a state is one of a closed list; nobody may cut or stretch either.

Only of the segments that we write or that a payer turns away for; numbers count their digits, not sign or point.
Spec: X12.3 data elements 19, 67, 93, 116, 127, 156, 166, 234, 352, 355, 380, 782, 1028, 1035 to 1039; USPS
Publication 28, appendix B, and Canada Post's codes of provinces.
"""

from __future__ import annotations

from typing import Final

STATES: Final = frozenset(
    [
        "AL",
        "AK",
        "AZ",
        "AR",
        "CA",
        "CO",
        "CT",
        "DE",
        "DC",
        "FL",
        "GA",
        "HI",
        "ID",
        "IL",
        "IN",
        "IA",
        "KS",
        "KY",
        "LA",
        "ME",
        "MD",
        "MA",
        "MI",
        "MN",
        "MS",
        "MO",
        "MT",
        "NE",
        "NV",
        "NH",
        "NJ",
        "NM",
        "NY",
        "NC",
        "ND",
        "OH",
        "OK",
        "OR",
        "PA",
        "RI",
        "SC",
        "SD",
        "TN",
        "TX",
        "UT",
        "VT",
        "VA",
        "WA",
        "WV",
        "WI",
        "WY",
        "AS",
        "GU",
        "MP",
        "PR",
        "VI",
        "UM",
        "FM",
        "MH",
        "PW",
        "AA",
        "AE",
        "AP",
        "AB",
        "BC",
        "MB",
        "NB",
        "NL",
        "NS",
        "NT",
        "NU",
        "ON",
        "PE",
        "QC",
        "SK",
        "YT",
    ]
)
"""States, territories, the armed forces' and freely associated states, and the provinces of Canada."""

FAMILY, GIVEN, STREET, CITY, MEMBER, REFERENCE, QUANTITY = (1, 60), (1, 35), (1, 55), (2, 30), (2, 80), (1, 50), (1, 15)
DECIMALS = 3
"""Digits after the point of a quantity."""
DIGITS = 8
"""Digits of a quantity as the guides of the 837 bound it."""

_MONEY, _PHONE = (1, 18), (1, 256)
WIDTHS: Final[dict[str, dict[int, tuple[int, int]]]] = {
    "NM1": {3: FAMILY, 4: GIVEN, 5: (1, 25), 6: (1, 10), 7: (1, 10), 9: MEMBER},
    "N3": {1: STREET, 2: STREET},
    "N4": {1: CITY, 2: (2, 2), 3: (3, 15), 4: (2, 3)},
    "REF": {2: REFERENCE},
    "PER": {2: (1, 60), 4: _PHONE, 6: _PHONE, 8: _PHONE},
    "SBR": {1: (1, 1), 2: (2, 2), 3: REFERENCE, 4: (1, 60), 5: (1, 3), 9: (1, 2)},
    "CLM": {1: (1, 38), 2: _MONEY},
    "NTE": {2: (1, 80)},
    "LX": {1: (1, 6)},
    "SV1": {2: _MONEY, 3: (2, 2), 4: QUANTITY, 5: (1, 2)},
    "SV2": {1: (1, 48), 3: _MONEY, 4: (2, 2), 5: QUANTITY},
    "CTP": {4: QUANTITY},
}
NUMBERS: Final = frozenset({("CLM", 2), ("SV1", 2), ("SV1", 4), ("SV2", 3), ("SV2", 5), ("CTP", 4)})
QUANTITIES: Final = frozenset({("SV1", 4), ("SV2", 5), ("CTP", 4)})
"""Numbers of things, not of money."""
