"""A page that a biller opens two hundred times a day is small, and every icon on it was drawn."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.house.source import ROOT

STATIC = ROOT / "smart_app" / "static"
NAMED = [
    re.compile(r"icon\(\s*[\"']([a-z][a-z0-9-]*)[\"']"),  # {{ icon("clock") }}
    re.compile(r"\bicon=[\"']([a-z][a-z0-9-]*)[\"']"),  # Look(icon="hand")
    re.compile(r"icons\.svg#([a-z][a-z0-9-]*)"),
]


def asked_for() -> dict[str, str]:
    files = [*(ROOT / "smart_app").rglob("*.html"), *(ROOT / "smart_app").rglob("*.py"), *STATIC.glob("*.js")]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    return {icon: name for name, text in texts.items() for pattern in NAMED for icon in pattern.findall(text)}


def test_every_icon_that_a_page_names_is_in_the_sprite() -> None:
    listed = {line.strip() for line in (STATIC / "icons.txt").read_text(encoding="utf-8").splitlines()}
    assert {icon: name for icon, name in asked_for().items() if icon not in listed} == {}


def test_styles_scripts_font_and_icons_stay_under_their_budget() -> None:
    vendor = STATIC / "vendor"
    if not vendor.is_dir():
        pytest.fail("smart_app/static/vendor is missing: make setup", pytrace=False)
    files = [
        p
        for p in [*vendor.iterdir(), *STATIC.glob("*.css"), *STATIC.glob("*.js")]
        if p.suffix in {".js", ".css", ".svg", ".woff2"}
    ]
    weigh = {p.name: len(p.read_bytes() if p.suffix == ".woff2" else gzip.compress(p.read_bytes())) for p in files}
    assert sum(weigh.values()) < 100_000, weigh


def test_no_page_asks_another_host_for_anything() -> None:
    asks = re.compile(r"(?:src|href|action|hx-get|hx-post)=\"https?://|url\(['\"]?https?://|@import")
    pages = [*(ROOT / "smart_app").rglob("*.html"), *STATIC.glob("*.css"), *STATIC.glob("*.js")]
    assert [p.name for p in pages if asks.search(p.read_text(encoding="utf-8"))] == []


def test_no_page_needs_what_the_content_policy_forbids() -> None:
    forbidden = re.compile(r"\sstyle=\"|\son[a-z]+=\"|hx-on[:=]|<script>(?!\s*</script>)|<style")
    pages = sorted((ROOT / "smart_app").rglob("*.html"))
    assert [f"{p.name}: {m.group()}" for p in pages if (m := forbidden.search(p.read_text(encoding="utf-8")))] == []
