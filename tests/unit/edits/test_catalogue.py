"""The catalogue of edits is printed from the edits; a page that lags behind its rules misleads a biller."""

from __future__ import annotations

from fhir_billing import edits
from tools.docs import FOLDER, MADE, edits_page

PAGE = FOLDER / "edits.md"


def test_the_catalogue_is_what_the_edits_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == MADE + edits_page(), "make docs"


def test_every_rule_has_its_entry_with_what_it_says() -> None:
    page = edits_page()
    for rule in edits.all_edits():
        _, _, entry = page.partition(f"## `{rule.key}`\n")
        assert "- holds: " in entry.partition("\n## ")[0], rule.key
