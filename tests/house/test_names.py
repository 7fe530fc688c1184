"""A biller knows what a remittance is; nobody knows what a manager or a helper is. Names are the trade's own words."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.house.source import complaints, modules, planted

EMPTY = [
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "processor",
    "data",
    "info",
    "base",
    "service",
    "services",
    "common",
    "misc",
    "stuff",
]
CLASS = re.compile(r"(Manager|Helper|Helpers|Utils?|Processor|Data|Info|Base|Service)$|^(Base|Abstract)[A-Z]")


def empty_class_name(node: ast.AST) -> str | None:
    return f"class {node.name}" if isinstance(node, ast.ClassDef) and CLASS.search(node.name) else None


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [m.path for m in modules() if Path(m.path).stem in EMPTY or Path(m.path).parent.name in EMPTY] == []


def test_no_class_has_a_name_that_says_nothing() -> None:
    assert complaints(empty_class_name) == []


def test_the_rule_finds_what_it_looks_for() -> None:
    assert planted(empty_class_name, "class ClaimManager: ...") and planted(empty_class_name, "class BaseChannel: ...")
    assert not planted(empty_class_name, "class ServiceLine: ...")
