"""`make bench`: every module of this folder that has `measure`, one table of ratios, `bench/latest.json`.

A ratio is our median time over the other's, both from this run on this machine: below 1 we are faster.
`measure()` checks equal results before it times and raises when they are not equal.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main(words: list[str]) -> int:
    """Run what is asked for, or all; 1 when results were not equal somewhere."""
    parser = argparse.ArgumentParser(prog="bench", description="Equal first, then timed.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="modules of bench/ (all)")
    parser.add_argument("--out", type=Path, default=HERE / "latest.json")
    args = parser.parse_args(words)
    rows: list[dict[str, Any]] = []
    failed = False
    for name in args.names or modules():
        try:
            found = importlib.import_module(f"bench.{name}").measure()
        except AssertionError as unequal:
            print(f"bench/{name}.py: the results are not equal: {unequal}", file=sys.stderr)
            failed = True
            continue
        rows.extend({**row, "machine": machine()} for row in found)
    args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))
    return int(failed)


def modules() -> list[str]:
    """The benches of this folder: those that can measure."""
    names = sorted(one.name for one in pkgutil.iter_modules([str(HERE)]) if not one.name.startswith("_"))
    return [name for name in names if "def measure(" in (HERE / f"{name}.py").read_text(encoding="utf-8")]


def machine() -> str:
    """Processor count, architecture and Python, as far as they explain a number."""
    return f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}, {platform.system()}"


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    if not rows:
        return "nothing measured"
    shown = [
        ("what", "ratio", "against", "sizes"),
        *((r["name"], f"{r['ratio']:.3g}", r["against"], str(r["sizes"])) for r in rows),
    ]
    widths = [max(len(row[column]) for row in shown) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    return "\n".join([*lines, f"\nratio = our median / theirs, one run, {machine()}"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
