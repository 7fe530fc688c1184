"""A picture in a README is a promise, so it is taken from the running demo and never by hand.

`python -m tools.screenshots` writes the four pictures of the README; `--all FOLDER` every kind of page, at 800 and
1440 wide, light and dark, for whoever looks over a change of style.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
PATIENCE = 180
Scheme = Literal["light", "dark"]


def main(words: list[str]) -> int:
    """Start the demo, take the pictures, stop it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("Debian package chromium is missing. As root: apt-get install chromium", file=sys.stderr)
        return 3
    with demo() as address, sync_playwright() as play:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = play.chromium.launch(executable_path=chromium, args=arguments)
        if words[:1] == ["--all"]:
            sweep(browser, address, Path(words[1]))
        else:
            readme(browser, address)
        browser.close()
    return 0


@contextmanager
def demo() -> Iterator[str]:
    """A demo of its own on a free port, up to the moment when it serves and everything has been played."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    log = ROOT / ".make" / "demo.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as said:
        command = [sys.executable, "-u", "-m", "fhir_billing.demo"]
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "SERVE": "1", "PORT": str(port)}, stdout=said, stderr=said
        )
        try:
            until_played(process, address, log)
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()


def until_played(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Wait until the desk answers and the demo's last lines name its address."""
    for _ in range(PATIENCE):
        time.sleep(1)
        if process.poll() is not None:
            sys.exit(f"the demo ended:\n{log.read_text()[-2000:]}")
        with suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            if f"{address}/" in log.read_text():
                return
    sys.exit(f"the demo did not get to its end in {PATIENCE} s:\n{log.read_text()[-2000:]}")


def signed_in(browser: Browser, address: str, width: int = 1440, height: int = 900, scheme: Scheme = "light") -> Page:
    """A page of the demo's own user."""
    dark = "dark" if scheme == "dark" else "light"
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=dark, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(f"{address}/sign-in")
    page.locator("form[action='/sign-in/demo'] button").first.click()
    page.wait_for_url(f"{address}/")
    return page


def first(page: Page, where: str, prefix: str, address: str) -> str | None:
    """The first link below a page that leads to a place of this kind."""
    page.goto(f"{address}{where}")
    links = page.locator(f"a[href^='{prefix}']")
    return links.first.get_attribute("href") if links.count() else None


def places(page: Page, address: str) -> dict[str, str]:
    """One example of each kind of page, by the name of its picture."""
    found: dict[str, str | None] = {"today": "/"}
    found["claim"] = first(page, "/worklists/denied", "/claims/", address) or first(
        page, "/worklists", "/claims/", address
    )
    found["remittance"] = first(page, "/quarantine", "/quarantine/", address) or first(
        page, "/remittances", "/remittances/", address
    )
    found["visit"] = first(page, "/visits", "/visit/", address)
    found["worklist"] = first(page, "/worklists", "/worklists/", address)
    found["paid-remittance"] = first(page, "/remittances", "/remittances/", address)
    found["patient"] = first(page, "/patients", "/patients/", address)
    found["sent"] = first(page, "/sent", "/sent/", address)
    found |= {
        name: f"/{name}"
        for name in ("worklists", "remittances", "quarantine", "patients", "visits", "books", "find", "gallery")
    }
    found["rejected"] = first(page, "/worklists/rejected", "/claims/", address)
    found["held"] = first(page, "/worklists/held", "/claims/", address)
    return {name: path for name, path in found.items() if path}


def readme(browser: Browser, address: str) -> None:
    """The four pictures of the README."""
    page = signed_in(browser, address)
    where = places(page, address)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in ("today", "claim", "remittance", "visit"):
        take(page, address + where[name], PICTURES / f"{name}.png")


def sweep(browser: Browser, address: str, folder: Path) -> None:
    """Every kind of page in two widths and two schemes, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for width, height in ((1440, 900), (800, 1000)):
        for scheme in get_args(Scheme):
            page = signed_in(browser, address, width, height, scheme)
            for name, path in places(page, address).items():
                take(page, address + path, folder / f"{name}-{width}-{scheme}.png", whole=True)
            page.context.close()


def take(page: Page, address: str, path: Path, *, whole: bool = False) -> None:
    """One picture, when the fonts are there."""
    page.goto(address)
    page.evaluate("document.fonts.ready")
    page.screenshot(path=path, full_page=whole, animations="disabled")
    print(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
