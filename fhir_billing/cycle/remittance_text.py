"""A remittance as JSON text, so that the page that shows its arithmetic need not read the 835 again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fhir_billing.domain.remittance import Remittance, out_of_balance
from fhir_billing.fhir.text import dumps, loads


def dump_remittance(remittance: Remittance) -> bytes:
    """Amounts stay whole cents; `imbalances` holds the sums that fail."""
    content = asdict(remittance)
    content["imbalances"] = [{**asdict(i), "off_by": i.off_by, "say": i.say()} for i in out_of_balance(remittance)]
    return dumps(content)


def load_remittance(content: bytes) -> dict[str, Any]:
    """The same as plain dictionaries."""
    return dict(loads(content))
