"""A browser reads a font, an icon sprite and four small scripts that others wrote and that this repository does not copy.

They come from their npm packages at set-up, by exact version and integrity hash (`tools/frontend/package-lock.json`),
and land in `smart_app/static/vendor/`, which git ignores and the wheel carries. A machine without Node gets one
from PyPI for the minute it is needed.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "tools" / "frontend"
CACHE = ROOT / ".cache" / "frontend"
PACKAGES = CACHE / "node_modules"
STATIC = ROOT / "smart_app" / "static"
OUT = STATIC / "vendor"

SCRIPTS = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "hx-sse.min.js": "htmx.org/dist/ext/hx-sse.min.js",
    "tinykeys.js": "tinykeys/dist/tinykeys.mjs",
    "combobox-nav.js": "@github/combobox-nav/dist/index.js",
}
FONT = "inter-ui/variable/InterVariable.woff2"
# Latin, Latin-1, Extended-A, punctuation, currency, arrows, the signs of arithmetic.
GLYPHS = "U+0020-007E,U+00A0-017F,U+2010-2015,U+2018-201E,U+2020-2022,U+2026,U+2030,U+2039-203A,U+20AC,U+2122,"
GLYPHS += "U+2190-2193,U+21B5,U+2212,U+2215,U+2248,U+2260,U+2264-2265,U+2318,U+25AE,U+2713"
FEATURES = "tnum,zero,ss02,kern"
# On each symbol: one that is used from another page inherits nothing from the sprite around it.
LOOK = 'fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"'


def main() -> int:
    """Prepare every front-end file; say how many bytes a page will cost."""
    fetch()
    OUT.mkdir(parents=True, exist_ok=True)
    for name, source in SCRIPTS.items():
        text = (PACKAGES / source).read_text(encoding="utf-8")
        (OUT / name).write_text(re.sub(r"\n?//# sourceMappingURL=.*", "", text), encoding="utf-8")
    (OUT / "icons.svg").write_text(sprite(), encoding="utf-8")
    cut_font(PACKAGES / FONT, OUT / "inter.woff2")
    (OUT / "LICENSES.txt").write_text(licences(), encoding="utf-8")
    sizes = {
        p.name: len(p.read_bytes() if p.suffix == ".woff2" else gzip.compress(p.read_bytes())) for p in OUT.iterdir()
    }
    listed = ", ".join(f"{name} {size / 1000:.1f}" for name, size in sorted(sizes.items()) if name != "LICENSES.txt")
    print(f"setup: front-end files, kB compressed: {listed}", file=sys.stderr)
    return 0


def fetch() -> None:
    """Fill the cache with the pinned packages, unless it holds them already."""
    lock = (PINS / "package-lock.json").read_bytes()
    done = CACHE / "done"
    if done.exists() and done.read_bytes() == lock:
        return
    print("setup: fetching the front-end packages (once)", file=sys.stderr)
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINS / name, CACHE / name)
    with tempfile.TemporaryDirectory(dir=CACHE) as throwaway:
        path = os.environ["PATH"]
        if not (shutil.which("node") and shutil.which("npm")):
            path = f"{environment(Path(throwaway), 'node')}:{path}"
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=CACHE,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": path, "npm_config_cache": str(ROOT / ".cache" / "npm")},
        )
    done.write_bytes(lock)


def environment(folder: Path, pins: str) -> Path:
    """Make a Python environment that holds `requirements/<pins>.txt`; answer its folder of programs."""
    venv.create(folder, with_pip=True, clear=True)
    wanted = ROOT / "requirements" / f"{pins}.txt"
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(wanted)], check=True)
    return folder / "bin"


def sprite() -> str:
    """One SVG whose symbols are the icons that `icons.txt` lists."""
    names = [line.strip() for line in (STATIC / "icons.txt").read_text(encoding="utf-8").splitlines()]
    symbols = []
    for name in sorted({n for n in names if n and not n.startswith("#")}):
        icon = PACKAGES / "lucide-static" / "icons" / f"{name}.svg"
        if not icon.exists():
            sys.exit(f"smart_app/static/icons.txt: lucide has no icon named {name}")
        drawn = re.sub(r"<!--.*?-->", "", icon.read_text(encoding="utf-8"), flags=re.DOTALL)
        inside = re.sub(r"\s*\n\s*", "", drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")])
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24" {LOOK}>{inside}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def cut_font(source: Path, target: Path) -> None:
    """Inter at text size, weights 400 to 600, Latin and arrows, figures that line up."""
    tools = ROOT / ".cache" / "assets"
    pins = (ROOT / "requirements" / "assets.txt").read_bytes()
    if not (tools / "pins").exists() or (tools / "pins").read_bytes() != pins:
        environment(tools, "assets")
        (tools / "pins").write_bytes(pins)
    fonttools = [str(tools / "bin" / "python"), "-m", "fontTools"]
    axes = CACHE / "inter-axes.ttf"
    subprocess.run(
        [*fonttools, "varLib.instancer", str(source), "opsz=14", "wght=400:600", "-o", str(axes), "-q"], check=True
    )
    subprocess.run(
        [
            *fonttools, "subset", str(axes), f"--unicodes={GLYPHS}", f"--layout-features={FEATURES}",
            "--flavor=woff2", f"--output-file={target}",
        ],
        check=True,
    )  # fmt: skip


def licences() -> str:
    """The licence texts that must travel with the files."""
    parts = []
    for package in ("htmx.org", "tinykeys", "@github/combobox-nav", "lucide-static", "inter-ui"):
        files = [p for p in sorted((PACKAGES / package).iterdir()) if p.name.lower().startswith("licen")]
        parts += [f"===== {package}: {p.name}\n\n{p.read_text(encoding='utf-8').strip()}\n" for p in files]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
