"""A claim that a payer would refuse costs a month, so it is refused here first: one rule, one file, found by folder.

This module finds the rules and runs them; it knows none by name. A site and a payer may quiet or sharpen a rule by its
key (`edits: {timely-filing: {severity: none, because: …}}`), and the payer has the last word.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

from fhir_billing.domain.claim import Claim
from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.domain.finding import Context, Edit, Finding, Severity, worst_first

Settings = Mapping[str, object]
SEVERITIES = ("none", "warning", "blocking")


@cache
def all_edits() -> tuple[Edit, ...]:
    """Every claim edit of this folder, by file name. Two with one key stop the start."""
    found: dict[str, Edit] = {}
    for entry in pkgutil.iter_modules(__path__):
        if entry.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{entry.name}")
        rules = [value for value in vars(module).values() if isinstance(value, Edit)]
        if not rules or not getattr(module, "EXAMPLES", []):
            raise MappingInvalid(
                f"edits/{entry.name}.py: no edit, or no EXAMPLES; a rule without an example is a rumour"
            )
        for rule in rules:
            if rule.key in found:
                raise MappingInvalid(f"edits/{entry.name}.py: the key {rule.key} is taken")
            found[rule.key] = rule
    return tuple(found.values())


def settled(context: Context, site: Mapping[str, Settings]) -> Callable[[str], Context]:
    """The context of each edit: the site's settings of that key, and the payer's over them."""
    asked = {*site, *context.payer.edits}
    own = {key: replace(context, settings={**site.get(key, {}), **context.payer.edits.get(key, {})}) for key in asked}
    plain = replace(context, settings={})
    return lambda key: own.get(key, plain)


def scrub(claim: Claim, context_for: Callable[[str], Context]) -> list[Finding]:
    """All findings on this claim, worst first, each with the severity that site and payer gave to its edit."""
    found: list[Finding] = []
    for rule in all_edits():
        context = context_for(rule.key)
        wanted = str(context.settings.get("severity", ""))
        if wanted != "none":
            found.extend(weighed(finding, wanted) for finding in rule(claim, context))
    return worst_first(found)


def weighed(finding: Finding, wanted: str) -> Finding:
    """The finding as heavy as the site wants it: `warning` lets it go, `blocking` holds on what was only a warning."""
    if wanted == "warning":
        return replace(finding, severity=min(finding.severity, Severity.WARNING))
    if wanted == "blocking":
        return replace(finding, severity=Severity.BLOCKING)
    return finding


def unknown_settings(settings: Mapping[str, Settings]) -> list[str]:
    """What is wrong with the `edits:` of a site or payer file: a key nobody has, a severity that is none."""
    keys = {rule.key for rule in all_edits()}
    wrong = [f"edits.{key}: no such edit; see docs/reference/edits.md" for key in settings if key not in keys]
    return wrong + [
        f"edits.{key}.severity: {value['severity']}; write one of {', '.join(SEVERITIES)}"
        for key, value in settings.items()
        if "severity" in value and value["severity"] not in SEVERITIES
    ]
