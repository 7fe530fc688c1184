"""A long module hides a second subject; this lists what has grown past the house's soft limits, longest first."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULE, FUNCTION, PARAMETERS = 300, 40, 5


def main() -> int:
    """Print the list; it informs and never fails."""
    rows: list[tuple[int, str]] = []
    for path in sorted(p for package in ("fhir_billing", "smart_app", "bench") for p in (ROOT / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        if (lines := text.count("\n")) > MODULE:
            rows.append((lines, f"{name}: {lines} lines"))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION:
                    rows.append((lines, f"{name}:{node.lineno} {node.name}: {lines} lines"))
                given = [a for a in [*node.args.posonlyargs, *node.args.args] if a.arg not in {"self", "cls"}]
                if len(given) > PARAMETERS:
                    rows.append((len(given), f"{name}:{node.lineno} {node.name}: {len(given)} positional parameters"))
    for _, say in sorted(rows, reverse=True):
        print(say)
    print(f"{len(rows)} past the soft limits ({MODULE} lines a module, {FUNCTION} a function, {PARAMETERS} parameters)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
