"""EHRs keep modifiers, revenue codes and prices in extensions of their own; which ones is a line of the site's file.

Values may stand plainly, or nested under `code`, `value` or the like, as Oracle Health writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from fhir_billing.domain.money import Money, cents

OURS = "https://fhir-billing.example/fhir/StructureDefinition/"


def values(element: Mapping[str, Any], urls: tuple[str, ...]) -> Iterator[Any]:
    """The values of the extensions with these addresses, in their order."""
    for extension in element.get("extension") or ():
        if extension.get("url") in urls:
            yield from _inside(extension)


def _inside(extension: Mapping[str, Any]) -> Iterator[Any]:
    found = [v for k, v in extension.items() if k.startswith("value") and v is not None]
    if found:
        yield found[0]
        return
    for inner in extension.get("extension") or ():
        if isinstance(inner, dict) and not str(inner.get("url", "")).endswith(("priority", "schedule")):
            yield from _inside(inner)


def codings(element: Mapping[str, Any], urls: tuple[str, ...]) -> list[dict[str, Any]]:
    """Codes in extensions, as Codings; a bare code has no system."""
    found: list[dict[str, Any]] = []
    for value in values(element, urls):
        if isinstance(value, str):
            found.append({"code": value})
        elif isinstance(value, dict) and isinstance(value.get("coding"), list):
            found.extend(c for c in value["coding"] if isinstance(c, dict) and isinstance(c.get("code"), str))
        elif isinstance(value, dict) and isinstance(value.get("code"), str):
            found.append(value)
    return found


def codes(element: Mapping[str, Any], urls: tuple[str, ...]) -> tuple[str, ...]:
    """Codes in extensions."""
    return tuple(dict.fromkeys(str(c["code"]) for c in codings(element, urls)))


def first_text(element: Mapping[str, Any], urls: tuple[str, ...]) -> str:
    """The first code or text."""
    for value in values(element, urls):
        if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
            return str(value)
    return next(iter(codes(element, urls)), "")


def money(value: Any) -> Money | None:
    """A FHIR Money, or a bare number, in cents; None when it is none, or no whole number of cents."""
    amount = value.get("value") if isinstance(value, dict) else value
    if isinstance(value, dict) and value.get("currency", "USD") != "USD":
        return None
    try:
        return cents(amount) if isinstance(amount, int | Decimal | str) else None
    except ValueError:  # NotMoney, or more digits than Python reads
        return None


def first_money(element: Mapping[str, Any], urls: tuple[str, ...]) -> Money | None:
    """The first amount."""
    return next((found for value in values(element, urls) if (found := money(value)) is not None), None)
