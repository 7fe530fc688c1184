"""0.1 + 0.2 is not 0.3, and a remittance that is off by a cent pays nobody: money is whole cents, never float.

In the rooms that decide there is no float at all: no literal, no `float`, no `/`. In the shell a float may be a
timeout, but it may not stand in one expression with a name that means money.
"""

from __future__ import annotations

import ast
import re

from tests.house.source import CORE, complaints, planted

MONEY = re.compile(r"(^|_)(amount|charge|charges|paid|balance|cents|price|money|owed|owes|adjustment)(_|$)")


def no_float(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return f"float literal {node.value}"
    if isinstance(node, ast.Name) and node.id == "float":
        return "float"
    exact = isinstance(node, ast.BinOp) and isinstance(node.left, ast.Call) and ast.unparse(node.left.func) == "Decimal"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not exact:
        return "/ makes a float; use //, divmod or Decimal(a) / b"
    return None


def no_float_beside_money(node: ast.AST) -> str | None:
    if not isinstance(node, ast.BinOp | ast.Call):
        return None
    inside = list(ast.walk(node))
    names = {n.id for n in inside if isinstance(n, ast.Name)} | {n.attr for n in inside if isinstance(n, ast.Attribute)}
    floats = any((isinstance(n, ast.Constant) and isinstance(n.value, float)) for n in inside) or "float" in names
    words = sorted(name for name in names if MONEY.search(name))
    return f"a float in one expression with {words[0]}" if floats and words else None


def test_no_float_in_the_rooms_that_decide() -> None:
    assert complaints(no_float, *CORE, "store") == []


def test_no_float_beside_money_anywhere() -> None:
    assert complaints(no_float_beside_money) == []


def test_the_rule_finds_what_it_looks_for() -> None:
    assert planted(no_float, "x = 0.1") and planted(no_float, "x = a / 2") and planted(no_float, "x = float(a)")
    assert planted(no_float_beside_money, "show(charge * 0.01)")
    assert not planted(no_float_beside_money, "wait(timeout=0.5)")
