"""The table of diagnoses lies beside the program, compiled at set-up; it is read when somebody first looks for a code.

An installation without it works all the same: whoever searches is told. A site's charges are few, so their table is made from
the chargemaster and the site's own words when it is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

from fhir_billing.cycle.ports import Habits
from fhir_billing.domain.codes import dotted
from fhir_billing.finder.needs import Synonyms, synonyms
from fhir_billing.finder.search import Hit, Mine, opened, search
from fhir_billing.finder.table import Entry, Table, build, plain_code, unpack
from fhir_billing.mapping.site import Site

DIAGNOSES: Final = Path(__file__).parent / "finder" / "vendor" / "icd10cm.table"
DIAGNOSIS, CHARGE = "diagnosis", "charge"
_CPT: Final = re.compile(r"\d{4}[0-9A-Z]")
_OVER: Final = frozenset({"inactive", "remission", "resolved"})
_WRONG: Final = frozenset({"refuted", "entered-in-error"})


@lru_cache(maxsize=2)
def diagnoses(path: Path = DIAGNOSES) -> Table | None:
    """ICD-10-CM; None where set-up could not make it."""
    try:
        return unpack(path.read_bytes())
    except (OSError, ValueError):
        return None


def charges(site: Site) -> Table:
    """What a site charges for, in its own words; a code without words is found by itself."""
    codes = {code for code in (*site.chargemaster.rows, *site.charge_words) if "-" not in code}
    entries = (
        Entry(code=code, title=words[0] if words else f"Charge {code}", terms=words[1:])
        for code in sorted(codes)
        for words in [site.charge_words.get(code, ())]
    )
    return build(entries, system=site.terminology.systems.uri("cpt"), edition=f"{site.name} {site.version}")


class CodeDesk:
    """One site's codes, as its clinicians look for them."""

    def __init__(self, site: Site, habits: Habits, diagnosis_table: Path = DIAGNOSES) -> None:
        self.site, self.habits, self._path = site, habits, diagnosis_table

    def table(self, name: str) -> Table | None:
        """The table of diagnoses or of charges; None when it is not there."""
        return self._charges if name == CHARGE else diagnoses(self._path)

    @cached_property
    def _charges(self) -> Table:
        return charges(self.site)

    @cached_property
    def _said(self) -> Mapping[str, Synonyms]:
        return {name: synonyms(rows) for name, rows in self.site.code_words.items()}

    def mine(self, name: str, who: str, names: Iterable[str], chart: Mapping[str, str]) -> Mine:
        """What is near to somebody who looks."""
        return Mine(
            chart=chart if name == DIAGNOSIS else {},
            favourites=frozenset(self.habits.favourites(who, name)),
            used=self.habits.used(*names),
        )

    def look(self, name: str, question: str, *, on: date, mine: Mine, most: int = 20) -> list[Hit]:
        """The codes most likely meant, of those that may be used that day."""
        table = self.table(name)
        if table is None:
            return []
        return search(
            table, question, on=on, mine=mine, said=self._said.get(name), allowed=self._allowed(name), most=most
        )

    def under(self, name: str, code: str, *, on: date, mine: Mine) -> list[Hit]:
        """What stands under a heading."""
        table = self.table(name)
        return opened(table, code, on=on, mine=mine, allowed=self._allowed(name)) if table else []

    def one(self, name: str, code: str, on: date) -> Hit | None:
        """A code that may be picked that day."""
        table = self.table(name)
        number = table.find(code) if table else None
        if table is None or number is None or not table.billable[number] or not table.valid(number, on):
            return None
        found = plain_code(code)
        allowed = self._allowed(name)
        if allowed is not None and found not in allowed:
            return None
        return Hit(code=found, title=table.titles[number], billable=True)

    def _allowed(self, name: str) -> Collection[str] | None:
        return self.site.icd10_valid if name == DIAGNOSIS else None

    def system(self, name: str, code: str) -> str:
        """A code's system: a site charges by two kinds of codes, told apart by their shape."""
        systems = self.site.terminology.systems
        if name == DIAGNOSIS:
            return systems.uri("icd10cm")
        return systems.uri("cpt" if _CPT.fullmatch(code) else "hcpcs")

    def shown(self, name: str, code: str) -> str:
        """A code as people write it: diagnoses have a dot."""
        return dotted(code) if name == DIAGNOSIS else code

    def in_chart(self, conditions: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Diagnosis codes that a patient's chart says, each with where."""
        found: dict[str, str] = {}
        for condition in conditions:
            if _status(condition, "clinicalStatus") & _OVER or _status(condition, "verificationStatus") & _WRONG:
                continue
            coding = self.site.terminology.billing(condition.get("code"), DIAGNOSIS)
            if coding and coding.get("code"):
                found.setdefault(plain_code(str(coding["code"])), _where(condition))
        return found


def _status(condition: Mapping[str, Any], name: str) -> set[str]:
    said = condition.get(name)
    codings = said.get("coding") if isinstance(said, Mapping) else None
    return {str(c.get("code")) for c in codings or () if isinstance(c, Mapping)}


def _where(condition: Mapping[str, Any]) -> str:
    kinds = {
        str(c.get("code"))
        for k in condition.get("category") or ()
        for c in k.get("coding") or ()
        if isinstance(c, Mapping)
    }
    place = "visit" if "encounter-diagnosis" in kinds else "problem list" if "problem-list-item" in kinds else "chart"
    day = str(condition.get("onsetDateTime") or condition.get("recordedDate") or "")[:7]
    return f"{place}, since {day}" if day and place != "visit" else place
