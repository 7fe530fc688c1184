"""A visit is drafted by the mapping and scrubbed by every edit before anybody else may see its claim.

Pure: resources and a site in, claims with findings out. A claim without a blocking finding is `active`, else `draft`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.finding import Context, Finding, worst_first
from fhir_billing.domain.money import Money
from fhir_billing.domain.question import CANT_SAY, Answer
from fhir_billing.edits import scrub, settled
from fhir_billing.fhir.claim import read_claim
from fhir_billing.mapping.chart import Chart, Resource, gathered
from fhir_billing.mapping.site import Site
from fhir_billing.mapping.template import Origin
from fhir_billing.mapping.visit import VisitDraft, draft_visit
from fhir_billing.questions import decides, kinds, laid
from fhir_billing.x12.missing import missing

_SAME = {
    "address-missing": ("patient-address", "provider-zip"),
    "admission": ("institutional-facts",),
    "attending-missing": ("attending-npi",),
    "birth-date-missing": ("patient-identity",),
    "claim-id": ("claim-number",),
    "code-unwritable": ("diagnosis-shape", "modifier-shape", "no-lines"),
    "date-missing": ("service-date",),
    "diagnosis-twice": ("duplicate-diagnosis",),
    "icn-missing": ("replacement-needs-icn",),
    "npi-invalid": ("npi-check-digit",),
    "npi-missing": ("npi-check-digit",),
    "patient-name": ("patient-identity",),
    "patient-status": ("institutional-facts",),
    "place-missing": ("place-of-service-missing",),
    "pointer-missing": ("missing-diagnosis-pointer",),
    "procedure-missing": ("no-lines",),
    "revenue-code-missing": ("institutional-facts",),
    "state-missing": ("patient-address", "provider-zip"),
    "statement-dates": ("institutional-facts", "service-date"),
    "subscriber-name": ("patient-identity",),
    "tax-id-missing": ("billing-tax-id",),
    "zip-missing": ("provider-zip",),
}
"""The format's demands, and the edits that ask the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftedClaim:
    """One claim as drafted and scrubbed."""

    number: str
    resource: Resource
    claim: Claim
    findings: tuple[Finding, ...]
    mapping: str
    trace: tuple[Origin, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Nothing holds it."""
        return not any(finding.is_blocking for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftedVisit:
    """What became of a finished visit. `outcome` is claims, self-pay or not billable; `findings` are all of them, worst first."""

    encounter: str
    number: str
    outcome: str
    patient: str
    patient_name: str
    patient_birth: date | None
    served_on: date | None
    what: str
    practitioner: str
    charge: Money
    claims: tuple[DraftedClaim, ...]
    findings: tuple[Finding, ...]
    dangling: tuple[tuple[Finding, str], ...] = ()

    @property
    def is_ready(self) -> bool:
        """Every claim of the visit may leave."""
        return (
            bool(self.claims)
            and all(claim.is_ready for claim in self.claims)
            and not any(f.is_blocking for f in self.findings)
        )


def draft_and_scrub(
    resources: Iterable[Any],
    site: Site,
    *,
    encounter: str,
    earlier: Sequence[Claim] = (),
    answers: Sequence[Answer] = (),
    today: date | None = None,
) -> DraftedVisit | None:
    """Draft one visit from its resources, with what clinicians said of it; None when it is not there, or not finished."""
    mine = [answer for answer in answers if answer.encounter == encounter]
    chart = gathered(laid(resources, mine, site) if mine else resources)
    wanted = encounter.rpartition("/")[2]
    found = next((e for e in chart.finished() if e["id"] == wanted), None)
    if found is None:
        return None
    made = drafted(chart, found, site, earlier=earlier, today=today)
    return _readdressed(made, mine) if mine else made


def _readdressed(made: DraftedVisit, answers: Sequence[Answer]) -> DraftedVisit:
    """What a clinician cannot say, or said in words only, goes to a coder."""
    words = [answer for answer in answers if answer.choice and not decides(answer)]
    if not words:
        return made
    claims = tuple(replace(c, findings=tuple(_to_coder(f, words) for f in c.findings)) for c in made.claims)
    return replace(made, claims=claims, findings=tuple(_to_coder(f, words) for f in made.findings))


def _to_coder(finding: Finding, words: Sequence[Answer]) -> Finding:
    for answer in words:
        kind = kinds().get(answer.kind)
        about = answer.about == finding.resource or answer.about.startswith("Encounter/")
        if kind is not None and finding.key in kind.settles and about and finding.is_blocking:
            said = answer.text or answer.label or answer.choice
            told = "The clinician can't say." if answer.choice == CANT_SAY else f"The clinician says: {said}"
            return replace(finding, say=f"{finding.say} {told}", fix_by=kind.reader)
    return finding


def drafted(
    chart: Chart,
    encounter: Resource,
    site: Site,
    *,
    earlier: Sequence[Claim] = (),
    today: date | None = None,
    trace: bool = False,
) -> DraftedVisit:
    """Draft and scrub one finished visit of a chart. `today` is the visit's last day when nothing else is said."""
    draft = draft_visit(chart, encounter, site, today, trace=trace)
    claims = []
    for position, resource in enumerate(draft.claims):
        claim = read_claim(resource)
        day = today or claim.last_service_date or date.min
        edited = edit_findings(claim, site, today=day, earlier=earlier)
        mine = draft.findings if not position else tuple(f for f in draft.findings if not f.at.startswith("Claim.item"))
        findings = merged([*mine, *edited])
        status = "draft" if any(f.is_blocking for f in findings) else "active"
        resource["status"] = status
        claims.append(
            DraftedClaim(
                number=claim.id, resource=resource, claim=claim, findings=findings, mapping=draft.mapping,
                trace=draft.trace[position] if draft.trace else (),
            )
        )  # fmt: skip
    return _visit(draft, tuple(claims))


def _visit(draft: VisitDraft, claims: tuple[DraftedClaim, ...]) -> DraftedVisit:
    findings = merged([f for claim in claims for f in claim.findings] if claims else draft.findings)
    return DraftedVisit(
        encounter=draft.encounter,
        number=draft.number,
        outcome=draft.outcome,
        charge=draft.charge,
        claims=claims,
        findings=findings,
        dangling=draft.dangling,
        **draft.facts,
    )


def edit_findings(claim: Claim, site: Site, *, today: date, earlier: Sequence[Claim] = ()) -> list[Finding]:
    """What the claim edits say of one claim."""
    context = Context(
        today=today,
        payer=site.payer(claim.payer.id if claim.insurance else ""),
        earlier=tuple(earlier),
        icd10_valid=site.icd10_valid,
    )
    edited = scrub(claim, settled(context, site.edits))
    return worst_first([*edited, *_unwritable(claim, edited)])


def _unwritable(claim: Claim, edited: Sequence[Finding]) -> Iterator[Finding]:
    """What writing would refuse, and no edit holds already. A site may quiet an edit, never the format itself."""
    held = [finding for finding in edited if finding.is_blocking]
    for lack in missing(claim):
        if lack.key == "pointer-missing" and not claim.diagnoses:
            continue  # there is nothing to point at, and that is said
        names = {lack.key, *_SAME.get(lack.key, ())}
        if not any(
            f.key in names and (f.at == lack.at or not lack.resource or f.resource == lack.resource) for f in held
        ):
            yield lack


def scrub_resource(resource: Resource, site: Site, *, today: date) -> list[Finding]:
    """What the edits say of a Claim as it stands, after a person changed it."""
    return edit_findings(read_claim(resource), site, today=today)


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first; what mapping and edits both say is said once."""
    seen: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        key = (finding.key, finding.at, finding.resource)
        if key not in seen or finding.severity > seen[key].severity:
            seen[key] = finding
    return tuple(worst_first(seen.values()))


__all__ = ["DraftedClaim", "DraftedVisit", "draft_and_scrub", "drafted", "edit_findings", "merged", "scrub_resource"]
