"""A FHIR server starts empty; this puts charts into it and keeps their ids.

usage: load_fhir.py BASE_URL PATH…   NDJSON, Bundles or folders of them. Exit 1 when the server refused anything.
Standard library only, so that it runs before anything is installed.
"""

from __future__ import annotations

import collections
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK = 300
FIRST = ["Organization", "Location", "Practitioner", "PractitionerRole", "Patient", "Coverage", "Encounter"]
"""A strict server wants what a reference names before the reference."""


def resources(path: Path) -> Iterator[dict[str, Any]]:
    """Every resource of a file or folder, Bundles opened."""
    if path.is_dir():
        for inside in sorted(p for p in path.rglob("*") if p.suffix in {".json", ".ndjson"}):
            yield from resources(inside)
        return
    text = path.read_text(encoding="utf-8")
    for one in (
        [json.loads(line) for line in text.splitlines() if line.strip()]
        if path.suffix == ".ndjson"
        else [json.loads(text)]
    ):
        yield from (e["resource"] for e in one.get("entry", [])) if one.get("resourceType") == "Bundle" else [one]


def put(base: str, part: list[dict[str, Any]]) -> collections.Counter[str]:
    """Send one batch; how often the server answered with which status."""
    entry = [{"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in part]
    body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entry}).encode()
    request = urllib.request.Request(base, body, {"Content-Type": "application/fhir+json"})
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return collections.Counter(e["response"]["status"][:3] for e in json.load(answer)["entry"])
    except urllib.error.HTTPError as refused:
        print(refused.read()[:500].decode("utf-8", "replace"), file=sys.stderr)
        return collections.Counter({str(refused.code): len(part)})


def main(words: list[str]) -> int:
    """Load everything, print the statuses."""
    if len(words) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    base, *paths = words
    rows = [r for path in paths for r in resources(Path(path)) if "id" in r]
    rows.sort(key=lambda r: FIRST.index(r["resourceType"]) if r["resourceType"] in FIRST else len(FIRST))
    answers: collections.Counter[str] = collections.Counter()
    for start in range(0, len(rows), CHUNK):
        answers += put(base, rows[start : start + CHUNK])
    print(json.dumps(dict(answers)))
    return int(any(status >= "400" for status in answers))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
