"""Ninety days of silence must be a fast test, and a replay must decide what was decided then: the core has no clock."""

from __future__ import annotations

import ast

from tests.house.source import CORE, complaints, dotted, planted

CLOCKS = {"now", "today", "utcnow", "fromtimestamp", "localtime", "monotonic", "perf_counter", "time_ns"}
OWNERS = {"date", "datetime", "dt", "time"}


def no_now(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call):
        *owner, name = dotted(node.func).split(".")
        if name in CLOCKS and owner and owner[-1] in OWNERS:
            return f"{dotted(node.func)}() reads the real clock; today is handed in"
    return None


def test_the_core_never_asks_what_time_it_is() -> None:
    assert complaints(no_now, *CORE) == []


def test_the_rule_finds_what_it_looks_for() -> None:
    assert planted(no_now, "datetime.datetime.now(UTC)") and planted(no_now, "date.today()")
    assert not planted(no_now, "clock.now()")
