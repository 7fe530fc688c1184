"""The table of diagnoses lies beside the program, compiled at set-up; it is read when somebody first looks for a code.

An installation without it works all the same: whoever searches is told. A site's charges are few, so their table is made from
the chargemaster and the site's own words when it is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from fhir_billing.finder.search import Synonyms, synonyms
from fhir_billing.finder.table import Entry, Table, build, unpack
from fhir_billing.mapping.site import Site

DIAGNOSES: Final = Path(__file__).parent / "finder" / "vendor" / "icd10cm.table"
_CPT: Final = re.compile(r"\d{4}[0-9A-Z]")


@lru_cache(maxsize=2)
def diagnoses(path: Path = DIAGNOSES) -> Table | None:
    """ICD-10-CM; None where set-up could not make it."""
    try:
        return unpack(path.read_bytes())
    except (OSError, ValueError):
        return None


def charges(site: Site) -> Table:
    """What a site charges for, in its own words; a code without words is found by itself."""
    systems = site.terminology.systems
    codes = {code for code in (*site.chargemaster.rows, *site.charge_words) if "-" not in code}
    entries = (
        Entry(code=code, title=words[0] if words else f"Charge {code}", terms=words[1:])
        for code in sorted(codes)
        for words in [site.charge_words.get(code, ())]
    )
    return build(entries, system=systems.uri("cpt"), edition=f"{site.name} {site.version}")


def system_of(site: Site, table: Table, code: str) -> str:
    """A code's system: a site charges by two kinds of codes, which tell each other apart by their shape."""
    systems = site.terminology.systems
    if table.system == systems.uri("cpt") and not _CPT.fullmatch(code):
        return systems.uri("hcpcs")
    return table.system


def spoken(rows: Iterable[tuple[str, ...]]) -> Synonyms:
    """What people say, ready for a search."""
    return synonyms(rows)
