"""One message is one transaction: if anything but the unit of work commits, a crash leaves half a decision behind."""

from __future__ import annotations

import ast

from tests.house.source import complaints, modules, planted

MAY = ("fhir_billing/store/unit_of_work.py", "fhir_billing/store/migrations/env.py")


def no_commit(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
        return ".commit() belongs to the unit of work"
    return None


def test_nobody_commits_but_the_unit_of_work() -> None:
    assert [c for c in complaints(no_commit) if not c.startswith(MAY)] == []


def test_the_rule_finds_what_it_looks_for() -> None:
    assert planted(no_commit, "session.commit()")
    assert list(modules())
