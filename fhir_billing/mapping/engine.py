"""A mapping is a pure function of resources, tables and a day: the same in, the same claim out, byte for byte.

Compiled once, when the site is loaded; a second time with notes of where everything came from, and only when somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.domain.finding import Finding, Owner, Severity
from fhir_billing.mapping.chart import Resource
from fhir_billing.mapping.document import Source, check_mapping
from fhir_billing.mapping.fhirpath import Compiled
from fhir_billing.mapping.fhirpath_functions import Env, truth
from fhir_billing.mapping.found import SEVERITIES, Found
from fhir_billing.mapping.model import ANYTHING, NEEDS
from fhir_billing.mapping.overlay import Flat, flatten
from fhir_billing.mapping.site import Site
from fhir_billing.mapping.template import Build, Origin, Scope, Template

KINDS = ("professional", "institutional")


@dataclass(frozen=True, slots=True)
class Must:
    """A rule of the mapping: broken, it is a finding."""

    key: str
    that: Compiled
    say: str
    fix: str
    by: Owner
    at: str
    severity: str


@dataclass(slots=True)
class CompiledMapping:
    """One mapping, ready to run."""

    name: str
    label: str
    flat: Flat
    build: Build
    musts: tuple[Must, ...]
    _traced: Build | None = field(default=None)

    def run(self, env: Env) -> Resource:
        """The claim."""
        made = self.build(env)
        return made if isinstance(made, dict) else {}

    def explain(self, env: Env) -> tuple[Origin, ...]:
        """Where each element of the claim came from."""
        if self._traced is None:
            self._traced = _compile(self.flat, traced=True)[0]
        notes: list[Origin] = []
        self._traced({**env, "__trace": notes, "__at": "Claim"})
        return tuple(notes)

    def check(self, env: Env, claim: Resource, found: Found) -> None:
        """Ask each must, and whether a patch has outlived its day."""
        if self.flat.until and str(env["asOf"]) > self.flat.until:
            found.add(
                "patch-expired", f"A patch in the site's overlay of {self.name} was meant until {self.flat.until}", at="Claim",
                fix="look at it again: drop it, or give it a new day", by=Owner.SITE, severity=Severity.WARNING,
            )  # fmt: skip
        if not self.musts:
            return
        here = {**env, "claim": claim}
        for must in self.musts:
            if truth(must.that.run(here, [])) is not True:
                severity = SEVERITIES[must.severity]
                if severity is not None:
                    found.add(must.key, must.say, at=must.at, fix=must.fix, by=must.by, severity=severity)


def _compile(flat: Flat, *, traced: bool) -> tuple[Build, dict[str, Compiled], Scope, Template]:
    source = flat.source
    template = Template(source.file, source.lines, traced=traced)
    unknown = sorted(set(source.data["needs"]) - set(NEEDS))
    if unknown:
        raise MappingInvalid(
            f"{source.line(('needs',))}: there is no {', '.join(unknown)}",
            fix=f"needs may name {', '.join(sorted(NEEDS))}",
        )
    needs = frozenset(source.data["needs"])
    slots: dict[str, Compiled] = {}
    for name, slot in (source.data.get("slots") or {}).items():
        scope = Scope(needs=needs, slots=slots, kinds=NEEDS)
        slots[name] = template.expression(str(slot["default"]), scope, ("slots", name))
    scope = Scope(needs=needs, slots=slots, kinds=NEEDS)
    return template.compile(source.data["into"], scope, ("into",)), slots, scope, template


def compile_mapping(flat: Flat) -> CompiledMapping:
    """Compile a flat mapping."""
    source = flat.source
    build, _, scope, template = _compile(flat, traced=False)
    musts = []
    for position, must in enumerate(source.data.get("must") or ()):
        path = ("must", position)
        musts.append(
            Must(
                key=str(must["key"]),
                that=template.expression(str(must["that"]), scope.within(claim=ANYTHING), path),
                say=str(must["say"]),
                fix=str(must.get("fix", "")),
                by=Owner(str(must.get("fix_by", "biller"))),
                at=str(must.get("at", "Claim")),
                severity=str(must.get("severity", "blocking")),
            )
        )
    return CompiledMapping(
        name=str(source.data["mapping"]), label=flat.label, flat=flat, build=build, musts=tuple(musts)
    )


class Mapper:
    """The compiled mappings of a site."""

    __slots__ = ("by_kind",)

    def __init__(self, by_kind: Mapping[str, CompiledMapping]) -> None:
        self.by_kind = by_kind

    def of_kind(self, kind: str) -> CompiledMapping:
        """The mapping for professional or institutional."""
        return self.by_kind[kind]


def build_mapper(bases: list[Source], overlays: list[Source], *, site: str, tables: str) -> Mapper:
    """Compile the base mappings with a site's overlays; `claim-professional` maps professional visits, and so on."""
    by_kind: dict[str, CompiledMapping] = {}
    for base in bases:
        check_mapping(base)
        kind = str(base.data["mapping"]).removeprefix("claim-")
        by_kind[kind] = compile_mapping(flatten(base, overlays, site=site, tables=tables))
    for kind in KINDS:
        if kind not in by_kind:
            raise MappingInvalid(f"there is no mapping claim-{kind}", fix=f"add mappings/claim-{kind}/mapping.yaml")
    return Mapper(by_kind)


__all__ = ["CompiledMapping", "Finding", "Mapper", "Site", "build_mapper", "compile_mapping"]
