"""A check that only reads knows nothing new of what an EHR takes: what the last check with probes found stays, with when it was tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fhir_billing.cycle.conformance import Conformance, Found, Interaction
from fhir_billing.ehr.check import choosing, closing, writing

BY_PROBES: Final = frozenset(
    {"topic-subscription", "events", *(one.key for one in (*closing.tries(), *writing.tries(())) if one.writes)}
)
"""What is found out by writing only."""
FACTS: Final = ("rung-by", "if-match", "if-none-exist", "transaction", "left")
UNTRIED: Final = "run with --write"


def merged(old: Conformance | None, new: Conformance) -> Conformance:
    """What is to be remembered of both: all of a check with probes; of one that only reads, beside it what probes found before."""
    if old is None or old.url != new.url or new.facts.get("probes") == "yes":
        return new
    known = {row.key: row for row in old.interactions if _by_probes(row, old)}
    rows = tuple(known.get(row.key, row) if _is_open(row) else row for row in new.interactions)
    kept = [row.key for row in rows if known.get(row.key) is row]
    if not kept:
        return new
    triggers = _triggers(old.triggers, new.triggers, rows)
    facts = {name: value for name, value in new.facts.items() if name not in FACTS}
    facts |= {name: old.facts[name] for name in FACTS if name in old.facts}
    facts |= {"kept": " ".join(kept), "kept-at": old.facts.get("kept-at") or old.at.isoformat()}
    facts["sentences"] = "\n".join(
        (
            choosing.found_sentence(triggers),
            choosing.read_sentence(new.gathering),
            choosing.told_sentence(old.rung, by_word=facts.get("rung-by") == "declared"),
        )
    )
    return replace(new, interactions=rows, triggers=triggers, rung=old.rung, facts=facts)


def _by_probes(row: Interaction, run: Conformance) -> bool:
    """Whether a probe has shown it, in this run or one before."""
    if run.facts.get("probes") == "no" and row.key not in run.facts.get("kept", "").split():
        return False
    is_of_probes = row.key in BY_PROBES or (row.group == writing.GROUP and row.key != "submit")
    return is_of_probes and not (row.found is Found.NOT_TRIED and row.say.endswith(UNTRIED))


def _is_open(row: Interaction) -> bool:
    """Whether a check that only reads could not tell; events are asked of a subscription, and it made none."""
    return row.found is Found.NOT_TRIED or row.key == "events"


def _triggers(old: Sequence[str], new: Sequence[str], rows: Sequence[Interaction]) -> tuple[str, ...]:
    """The ways that reading found, and the ring that a probe has shown, in the order that they had."""
    works = {row.key for row in rows if row.found is Found.WORKS}
    ring = "topic" if "topic-subscription" in works else "hook" if "subscription" in works else ""
    wanted = {*new, *([ring] if ring else [])}
    return tuple(dict.fromkeys(name for name in (*old, *([ring] if ring else []), *new) if name in wanted))
