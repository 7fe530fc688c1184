"""A finding says what is wrong with a bill, where, why it matters and who can fix it; it is a value, never an exception.

Mapping, claim edits and payers all complain in this one shape. An edit is a function with a key and an owner,
registered by `@edit`, whose `EXAMPLES` are its unit test, its property seed and its page in the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import IntEnum, StrEnum

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.payer import PayerProfile


class Severity(IntEnum):
    """How much it matters; the greater blocks first."""

    NOTE = 0
    WARNING = 1
    BLOCKING = 2


class Owner(StrEnum):
    """Who can fix it."""

    CLINICIAN = "clinician"
    REGISTRATION = "registration"
    CODER = "coder"
    BILLER = "biller"
    SITE = "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One complaint. `at` is the FHIR path of the fault, `say` what is wrong in plain words, `fix` what to do."""

    key: str
    severity: Severity
    say: str
    at: str = ""
    fix: str = ""
    fix_by: Owner = Owner.BILLER
    source: str = "edit"
    """mapping, edit, or the payer's message that said it (277CA, 999)."""
    resource: str = ""
    """The chart's resource to mend, such as `Patient/123`."""

    @property
    def is_blocking(self) -> bool:
        """Whether it holds the claim."""
        return self.severity is Severity.BLOCKING


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """All that an edit may know besides the claim: handed in, frozen, without I/O."""

    today: date
    payer: PayerProfile
    earlier: tuple[Claim, ...] = ()
    """This patient's other claims."""
    icd10_valid: frozenset[str] | None = None
    """Billable codes of the service date without dots; None when the site has loaded no table."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """This edit's own settings from payer and site files."""


def listed(settings: Mapping[str, object], name: str) -> tuple[str, ...]:
    """A list of codes in an edit's settings; empty when a site gives none."""
    found = settings.get(name)
    return tuple(str(code) for code in found) if isinstance(found, list | tuple) else ()


EditFunction = Callable[[Claim, Context], Iterator[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A registered claim edit: `key` names it in site files, `fix_by` is the default owner."""

    key: str
    fix_by: Owner
    title: str
    run: EditFunction

    def __call__(self, claim: Claim, context: Context) -> Iterator[Finding]:
        """The edit's findings on this claim, each stamped with key and owner."""
        for finding in self.run(claim, context):
            owner = self.fix_by if finding.fix_by is Owner.BILLER else finding.fix_by
            yield replace(finding, key=finding.key or self.key, fix_by=owner)


def edit(key: str, *, fix_by: Owner = Owner.BILLER) -> Callable[[EditFunction], Edit]:
    """Make a function a claim edit; its module's first sentence is its title."""

    def wrap(function: EditFunction) -> Edit:
        title = (function.__doc__ or "").strip().splitlines()[0] if function.__doc__ else key
        return Edit(key=key, fix_by=fix_by, title=title, run=function)

    return wrap


def blocking(say: str, *, at: str, fix: str = "", resource: str = "", fix_by: Owner = Owner.BILLER) -> Finding:
    """A finding that holds the claim."""
    return Finding(key="", severity=Severity.BLOCKING, say=say, at=at, fix=fix, resource=resource, fix_by=fix_by)


def warning(say: str, *, at: str, fix: str = "", resource: str = "", fix_by: Owner = Owner.BILLER) -> Finding:
    """A finding that lets the claim go, and says so."""
    return Finding(key="", severity=Severity.WARNING, say=say, at=at, fix=fix, resource=resource, fix_by=fix_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A claim on which an edit must pass or block."""

    claim: Claim
    blocks: bool
    today: date
    payer: PayerProfile | None = None
    earlier: tuple[Claim, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    icd10_valid: frozenset[str] | None = None


def _example(claim: Claim, blocks_it: bool, today: str, known: Mapping[str, object]) -> Example:
    return Example(claim=claim, blocks=blocks_it, today=date.fromisoformat(today), **known)  # type: ignore[arg-type]


def passes(claim: Claim, *, today: str = "2026-02-01", **known: object) -> Example:
    """An example that must not be held."""
    return _example(claim, False, today, known)


def blocks(claim: Claim, *, today: str = "2026-02-01", **known: object) -> Example:
    """An example that must be held."""
    return _example(claim, True, today, known)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """The most blocking first; `no-diagnosis` before all others, then the order they were found in."""
    return sorted(findings, key=lambda f: (-f.severity, f.key != "no-diagnosis"))
