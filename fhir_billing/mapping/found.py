"""What the mapping finds wrong on its way through a chart, in the one shape of every complaint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_billing.domain.finding import Finding, Owner, Severity
from fhir_billing.mapping.chart import Chart, Resource

SEVERITIES = {"none": None, "note": Severity.NOTE, "warning": Severity.WARNING, "blocking": Severity.BLOCKING}


class Found:
    """Collects findings of one visit; the site may have set another severity for a key."""

    __slots__ = ("dangling", "findings", "severities")

    def __init__(self, severities: Mapping[str, str]) -> None:
        self.severities = severities
        self.findings: list[Finding] = []
        self.dangling: list[tuple[Finding, str]] = []
        """Findings about a reference that leads nowhere, with the resource that holds it."""

    def add(
        self, key: str, say: str, *, at: str, fix: str = "", by: Owner = Owner.BILLER, resource: str = "",
        severity: Severity = Severity.BLOCKING,
    ) -> Finding | None:  # fmt: skip
        """Note a finding; None when the site wants to hear nothing of it."""
        wanted = SEVERITIES[self.severities[key]] if key in self.severities else severity
        if wanted is None:
            return None
        finding = Finding(
            key=key, severity=wanted, say=say, at=at, fix=fix, fix_by=by, source="mapping", resource=resource
        )
        self.findings.append(finding)
        return finding

    def follow(
        self,
        chart: Chart,
        holder: Resource,
        reference: Mapping[str, Any] | None,
        at: str,
        *,
        severity: Severity = Severity.BLOCKING,
    ) -> Resource | None:
        """The resource that a reference means; one that leads nowhere is a finding."""
        if not reference or not (reference.get("reference") or reference.get("identifier")):
            return None
        resource = chart.resolve(reference, holder)
        if resource is None:
            name = reference.get("reference") or f"identifier {(reference.get('identifier') or {}).get('value', '')}"
            place = f"{holder['resourceType']}/{holder.get('id', '')}"
            finding = self.add(
                "reference-missing", f"{name} is not in the chart", at=at, resource=place, severity=severity,
                fix="add the resource to what is read, or correct the reference", by=Owner.SITE,
            )  # fmt: skip
            if finding is not None:
                self.dangling.append((finding, place))
        return resource
