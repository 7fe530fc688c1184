"""Pictures of the screens, taken by Debian's Chromium: the README's from the running demo's store, a contact sheet from invented people.

`make screenshots` writes docs/pictures/*.png (what the README shows) and var/screenshots/ (every page in light and dark,
at 800 and 1440, with an index.html to look through). `--example` needs no store.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, sync_playwright

from smart_app.app import create_app
from smart_app.example import Example
from smart_app.example_connection import ExampleConnection
from smart_app.example_people import NOW
from smart_app.face import FaceSettings

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
SHEET = ROOT / "var" / "screenshots"
WIDTHS, THEMES = (1440, 800), ("light", "dark")
PAGES = {
    "today": "/",
    "worklist-held": "/worklists/held",
    "worklist-rejected": "/worklists/rejected",
    "claims": "/worklists/all",
    "claim-paid": "/claims/C-EX0008",
    "claim-denied": "/claims/C-EX0009",
    "claim-rejected": "/claims/C-EX0002",
    "remittances": "/remittances",
    "remittance": "/remittances/R-1",
    "remittance-unbalanced": "/remittances/R-3",
    "remittance-doubted": "/remittances/R-4",
    "quarantine": "/quarantine",
    "message": "/quarantine/23",
    "sent": "/sent",
    "patients": "/patients",
    "patient": "/patients/zzte-jo",
    "month-end": "/books",
    "visits": "/visits",
    "chart-differences": "/desk/chart-differences",
    "proposal": "/desk/proposals/C-EX0008/0011223344556677",
    "proposal-void": "/desk/proposals/C-EX0009/8899aabbccddeeff",
    "connection": "/desk/ehr",
    "clinician-needs-you": "/visit/c-ex0005",
    "clinician-paid": "/visit/c-ex0008",
    "find": "/find",
    "gallery": "/gallery",
}


def main() -> int:
    """Take the pictures; say where they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--example", action="store_true", help="only the contact sheet, from invented people")
    wanted = parser.parse_args()
    if not (found := shutil.which("chromium")):
        sys.exit("Debian package chromium is missing. As root: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        count = contact_sheet(browser)
        print(f"screenshots: {count} pictures in {SHEET.relative_to(ROOT)}; open index.html there", file=sys.stderr)
        if not wanted.example:
            names = readme_pictures(browser)
            print(f"screenshots: {', '.join(names)} in {PICTURES.relative_to(ROOT)}", file=sys.stderr)
        browser.close()
    return 0


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free loopback port until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 15
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            sys.exit("the desk did not start")
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def signed_in(browser: Browser, base: str, *, width: int, theme: str, height: int = 900) -> Page:
    """A page of a demo user who has chosen a theme."""
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    context.add_cookies([{"name": "theme", "value": theme, "url": base}])
    page = context.new_page()
    page.goto(f"{base}/sign-in")
    page.get_by_role("button", name="Go on as").click()
    return page


def contact_sheet(browser: Browser) -> int:
    """Every page, in both themes and both widths."""
    shutil.rmtree(SHEET, ignore_errors=True)
    SHEET.mkdir(parents=True)
    example = Example()
    settings = FaceSettings(organization="Example Clinic", demo=True, now=lambda: NOW, connection=ExampleConnection())
    names = []
    with served(create_app(example, example, settings)) as base:
        for theme in THEMES:
            for width in WIDTHS:
                page = signed_in(browser, base, width=width, theme=theme)
                for name, path in PAGES.items():
                    page.goto(base + path)
                    names.append(f"{name}-{theme}-{width}.png")
                    page.screenshot(path=SHEET / names[-1], full_page=width < 1000 or name == "gallery")
                page.context.close()
    rows = "\n".join(
        f'<figure><img src="{n}" width="700" loading="lazy"><figcaption>{n}</figcaption></figure>' for n in names
    )
    (SHEET / "index.html").write_text(f"<!doctype html><title>Contact sheet</title>{rows}", encoding="utf-8")
    return len(names)


def readme_pictures(browser: Browser) -> list[str]:
    """What the README shows, from the store that the demo left."""
    from fhir_billing.domain.lifecycle import State
    from fhir_billing.settings import Settings
    from fhir_billing.wiring import wire
    from smart_app.mount import mount

    wiring = wire(Settings(demo=True, redis_url=""))
    app = FastAPI()
    mount(app, wiring, lambda: None)
    views = wiring.views
    listed = views.claims()
    by_state = {state: [row for row in listed if row.state is state] for state in State}
    partly = [row for row in by_state[State.DENIED] if (found := views.claim(row.number)) and found.sums.plan_paid]
    decided = [*partly, *by_state[State.DENIED], *by_state[State.PAID], *by_state[State.CLOSED], *listed]
    waiting = [*(r for r in by_state[State.HELD] if r.owner == "clinician"), *by_state[State.PAID], *listed]
    paths = {"today": "/"}
    if decided:
        paths["claim"] = f"/claims/{decided[0].number}"
    if remittances := views.remittances():
        odd = next((r for r in remittances if r.status == "quarantined"), remittances[0])
        paths["remittance"] = f"/remittances/{odd.number}"
    PICTURES.mkdir(parents=True, exist_ok=True)
    with served(app) as base:
        page = signed_in(browser, base, width=1440, theme="light")
        for name, path in paths.items():
            page.goto(base + path)
            page.screenshot(path=PICTURES / f"{name}.png")
        if waiting:
            narrow = signed_in(browser, base, width=800, theme="dark", height=700)
            narrow.goto(f"{base}/visit/{waiting[0].encounter.rpartition('/')[2]}")
            narrow.screenshot(path=PICTURES / "visit.png")
    print(f"screenshots: taken {datetime.now(UTC):%Y-%m-%d}", file=sys.stderr)
    return [*paths, *(["visit"] if waiting else [])]


if __name__ == "__main__":
    sys.exit(main())
