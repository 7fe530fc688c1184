"""Everything that we write into a chart says so: our identifier, our tag, our source."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

Resource = dict[str, Any]
BASE: Final = "https://fhir-billing.example/fhir/"
CLAIM_NUMBER: Final = f"{BASE}NamingSystem/claim-number"
TAG: Final = {"system": f"{BASE}CodeSystem/written-by", "code": "fhir-billing"}
MONEY: Final = "USD"


def identifier(number: str) -> list[Resource]:
    """Our stable identifier of what belongs to a claim; each resource type has its own list, so one number serves all."""
    return [{"use": "official", "system": CLAIM_NUMBER, "value": number}]


def where(resource_type: str, number: str) -> str:
    """A conditional reference to what we wrote; the writer puts the chart's own id in its place."""
    return f"{resource_type}?identifier={CLAIM_NUMBER}|{number}"


def meta() -> Resource:
    """Who wrote it."""
    return {"source": BASE, "tag": [dict(TAG)]}


def usd(cents: int) -> Resource:
    """FHIR Money of whole cents, with two decimals kept."""
    return {"value": Decimal(cents).scaleb(-2).quantize(Decimal("0.01")), "currency": MONEY}
