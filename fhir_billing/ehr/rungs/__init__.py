"""The write-back ladder: what an EHR allows us to write of a bill, best first; one rung, one file.

Almost no EHR takes a ClaimResponse from an app, and each takes something: a queue, a Task, a message, a document. Which rung
holds is found by trying (`ehr check`), and said on the desk; the lowest one writes nothing and says so.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fhir_billing.domain.errors import SiteConfig
from fhir_billing.ehr.client import FhirClient

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that an EHR must take for a rung to hold: `create` of Task, `$create` of ChargeItem."""

    kind: str
    act: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The latest state of one claim, as `cycle.write_back` put it into the outbox."""

    claim: str
    resources: tuple[Resource, ...]
    """Claim, ClaimResponse, ExplanationOfBenefit (when there are any) and Task, in the order in which they must be written."""
    visit: Mapping[str, Any] = field(default_factory=dict)
    """The whole visit in words, for what is readable: see `cycle.write_back.visit_told`."""
    atomic: bool = False
    """Whether this EHR's transaction was found to be all or nothing."""
    is_latest: Callable[[], bool] = lambda: True
    """Asked before each write: False once a later state of this claim waits, or somebody else has told this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One resource as the chart holds it now. `verb`: created, updated, unchanged, cancelled, or not taken (then `why`)."""

    kind: str
    verb: str
    reference: str = ""
    version: str = ""
    digest: str = ""
    """Of what we wanted: what has the same digest and stands in the same version needs no request."""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What we wrote before, by kind: reference, version, digest (from the book's `written` table)."""

    reference: str
    version: str
    digest: str


Write = Callable[[FhirClient, Told, Mapping[str, Held]], list[Put]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way to tell the chart."""

    name: str
    order: int
    """1 is best."""
    say: str
    """What people see in the chart, in one sentence for the desk."""
    needs: tuple[Need, ...]
    write: Write


class NoSuchRung(SiteConfig):
    """A rung that has no file here."""

    code = "no-such-rung"


@cache
def ladder() -> tuple[Rung, ...]:
    """Every rung that has a file here, best first. Each file holds `RUNG`."""
    found = [importlib.import_module(f"{__name__}.{module.name}").RUNG for module in pkgutil.iter_modules(__path__)]
    return tuple(sorted(found, key=lambda rung: rung.order))


def named(name: str) -> Rung:
    """A rung by its name. Raises NoSuchRung."""
    found = next((rung for rung in ladder() if rung.name == name), None)
    if found is None:
        raise NoSuchRung(
            f"there is no rung called {name!r}", fix=f"use auto, or one of {', '.join(r.name for r in ladder())}"
        )
    return found


def best(able: Callable[[Need], bool]) -> Rung:
    """The best rung whose needs are all met; the lowest needs nothing."""
    return next(rung for rung in ladder() if all(able(need) for need in rung.needs))
