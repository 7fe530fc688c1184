"""All the clinician's pages on one sheet a theme: the same chart at three widths, as an EHR opens it, through the real launch.

`make screenshots` writes docs/pictures/clinician-<theme>.jpg: what a designer looks at before a release, small enough to be
kept beside the code. The EHR is the one of the tests (oidc-provider and Medplum's router); its people are invented.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.e2e.bedside import Patient, Ward, ward

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
WIDTHS = {320: 200, 800: 400, 1440: 560}
"""Each width, and how wide it is on the sheet."""
THEMES = ("light", "dark", "contrast")
TALLEST = 1000
Step = Callable[[Page, Ward, Patient], None]


def main() -> int:
    """Draw every sheet; say where they are."""
    import shutil

    from playwright.sync_api import sync_playwright

    if not (found := shutil.which("chromium")):
        sys.exit("Debian package chromium is missing. As root: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        try:
            with ward(Path(folder), lambda back: ehr(Path(folder), back)) as bedside:
                names = [sheet(browser, bedside, theme, Path(folder)) for theme in THEMES]
        finally:
            peer(Path(folder), "stop")
            browser.close()
    print(f"screenshots: {', '.join(names)} in {PICTURES.relative_to(ROOT)}", file=sys.stderr)
    return 0


def peer(folder: Path, word: str, **settings: str) -> str:
    """Start or stop the EHR of this folder; what it prints."""
    done = subprocess.run(
        [str(ROOT / "tests" / "peers" / "ci-ehr.sh"), word],
        env={**os.environ, "PEERS_RUN": str(folder), **settings},
        stdout=subprocess.PIPE,
        text=True,
        check=word != "stop",
    )
    return done.stdout


def ehr(folder: Path, back: str) -> Mapping[str, str]:
    """The EHR, with its apps sent back there."""
    said = peer(folder, "start", FHIR_PORT="0", AUTH_PORT="0", REDIRECT_URIS=back, FHIR_USER="Practitioner/dr-lin")
    pairs = (line.partition("=") for line in said.splitlines() if "=" in line and not line.startswith("#"))
    return {key: "".join(shlex.split(value)) for key, _, value in pairs}


def sheet(browser: Browser, bedside: Ward, theme: str, folder: Path) -> str:
    """One sheet: a row for each view, a column for each width."""
    from tests.e2e.clinician_views import VIEWS

    shots: dict[tuple[str, int], Path] = {}
    for width in WIDTHS:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            reduced_motion="reduce",
            locale="en-US",
            timezone_id="America/New_York",
        )
        context.add_cookies([{"name": "theme", "value": theme, "url": bedside.base}])
        page = context.new_page()
        for name, show in VIEWS.items():
            show(page, bedside)
            tall = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
            shots[name, width] = folder / f"{name}-{theme}-{width}.png"
            page.set_viewport_size({"width": width, "height": max(480, int(tall))})
            page.screenshot(path=shots[name, width])
            page.set_viewport_size({"width": width, "height": 800})
        context.close()
    rows = "".join(
        f"<h2>{escape(name.replace('-', ' '))}</h2><div>"
        + "".join(f'<img src="{shots[name, width].name}" width="{wide}">' for width, wide in WIDTHS.items())
        + "</div>"
        for name in VIEWS
    )
    look = "body{font:14px sans-serif;margin:16px;width:1200px;background:#8b8b86}div{display:flex;gap:12px;align-items:start}"
    (folder / "sheet.html").write_text(f"<!doctype html><style>{look}</style>{rows}", encoding="utf-8")
    page = browser.new_page(viewport={"width": 1232, "height": 800})
    page.goto((folder / "sheet.html").as_uri())
    PICTURES.mkdir(parents=True, exist_ok=True)
    made = PICTURES / f"clinician-{theme}.jpg"
    page.screenshot(path=made, full_page=True, type="jpeg", quality=72)
    page.close()
    return made.name


if __name__ == "__main__":
    sys.exit(main())
