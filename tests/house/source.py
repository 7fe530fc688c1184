"""A house rule is a small reading of the source; this is how the rules read it.

The one escape is a comment on the line itself that gives the reason: `# house: a ratio, not money`.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("fhir_billing", "smart_app")
PURE = ("domain", "mapping", "edits", "x12", "fhir", "simulator")
CORE = (*PURE, "cycle")
ESCAPE = "# house: "


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the product, read once."""

    path: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The folder or file right below the package: `domain`, `cli`, `settings`."""
        parts = Path(self.path).parts
        return parts[1].removesuffix(".py") if parts[0] == "fhir_billing" and len(parts) > 1 else parts[0]

    def excused(self, line: int) -> bool:
        return ESCAPE in self.text.splitlines()[line - 1]


def modules(*rooms: str) -> Iterator[Module]:
    """Every module of the product, or of these rooms."""
    for package in PRODUCT:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            module = Module(path.relative_to(ROOT).as_posix(), text, ast.parse(text))
            if not rooms or module.room in rooms:
                yield module


def complaints(rule: Callable[[ast.AST], str | None], *rooms: str) -> list[str]:
    """What the rule says of each node, as `file:line what`."""
    found = []
    for module in modules(*rooms):
        for node in ast.walk(module.tree):
            line = getattr(node, "lineno", None)
            if line and (say := rule(node)) and not module.excused(line):
                found.append(f"{module.path}:{line} {say}")
    return found


def planted(rule: Callable[[ast.AST], str | None], source: str) -> list[str]:
    """What the rule says of a snippet; a rule that never fires is no rule."""
    return [say for node in ast.walk(ast.parse(source)) if (say := rule(node))]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain, with `?` for what is not a name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def tracked() -> list[Path]:
    """Every file that a clone receives."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]
