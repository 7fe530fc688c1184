"""EHRs differ in how much they give at once: one brings what a visit points at, one takes many requests in one, one does neither.

It is found out by trying at the first visit, or known from the conformance run, and never asked again. A wrong guess costs
a request more and nothing else: what was not brought is asked for.
Spec: FHIR R4 `_include`, `_revinclude`; batch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Ways:
    """How one EHR is asked with fewest requests; None: not tried yet. Threads may share it: they learn the same."""

    includes: bool | None = None
    batch: bool | None = None

    @classmethod
    def named(cls, gathering: str) -> Ways:
        """From what a conformance run found: includes, batch or singly; anything else is to be tried."""
        known = {"includes": cls(includes=True), "batch": cls(includes=False, batch=True), "singly": cls(batch=False)}
        return known.get(gathering, cls())
