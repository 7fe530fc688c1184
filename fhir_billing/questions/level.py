"""A visit's level is found by the clinician on the site's worksheet; nobody asks for it, and it changes no code by itself.

Whoever bills reads what was found and how, beside the claim. It comes as "something else" with a code, for there is nothing
in the chart to choose from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fhir_billing.domain.question import SOMETHING_ELSE, Answer, Question
from fhir_billing.mapping.chart import Resource
from fhir_billing.mapping.site import Site
from fhir_billing.questions import Kind, Seen


def asks(seen: Seen) -> Iterable[Question]:
    """Nothing: the worksheet stands open to whoever wants it."""
    return ()


def lays(resources: list[Resource], answer: Answer, site: Site | None) -> list[Resource]:
    """The chart as it is."""
    return resources


KIND: Final = Kind(key="level", settles=(), asks=asks, lays=lays, finder="charge", to_coder=frozenset({SOMETHING_ELSE}))
