"""What the functions and operators of FHIRPath mean: empty is unknown and not false, one value is a list of one.

Spec: http://hl7.org/fhirpath/N1/ §5 and §6. Ours beside it: `translate('table')` and `site_date()`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

Env: TypeAlias = dict[str, Any]
Values: TypeAlias = list[Any]
Closure: TypeAlias = Callable[[Env, Values], Values]


def constant(values: Values) -> Closure:
    """Always the same."""
    return lambda env, this: values


def member(run: Closure, name: str) -> Closure:
    """The values of an element; `value` also finds valueString and the like."""
    chooses = name in _CHOICES

    def walk(env: Env, this: Values) -> Values:
        found: Values = []
        for value in run(env, this):
            if not isinstance(value, dict):
                continue
            inner = value.get(name)
            if isinstance(inner, list):
                found.extend(inner)
            elif inner is not None:
                found.append(inner)
            elif chooses:
                found.extend(
                    v for k, v in value.items() if k.startswith(name) and k[len(name) : len(name) + 1].isupper()
                )
        return found

    return walk


_CHOICES = frozenset(
    {"value", "occurrence", "performed", "onset", "effective", "serviced", "medication", "timing", "deceased"}
)


def index(run: Closure, position: Closure) -> Closure:
    """The value at a place, counted from 0."""

    def pick(env: Env, this: Values) -> Values:
        at = position(env, this)
        values = run(env, this)
        return [values[at[0]]] if at and isinstance(at[0], int) and 0 <= at[0] < len(values) else []

    return pick


def of_type(run: Closure, wanted: str) -> Closure:
    """The values of one type."""

    def keep(env: Env, this: Values) -> Values:
        return [v for v in run(env, this) if _is_type(v, wanted)]

    return keep


def _is_type(value: Any, wanted: str) -> bool:
    if isinstance(value, dict) and "resourceType" in value:
        return bool(value["resourceType"] == wanted)
    if isinstance(value, bool):
        return wanted in {"boolean", "Boolean"}
    if isinstance(value, str):
        return wanted in {"string", "String", "code", "uri", "date", "dateTime", "instant", "id"}
    if isinstance(value, int | Decimal):
        return wanted in {"integer", "decimal", "Integer", "Decimal", "positiveInt"}
    return isinstance(value, dict) and wanted not in {
        "string",
        "String",
        "integer",
        "decimal",
        "boolean",
        "dateTime",
        "date",
    }


# ---- operators ---------------------------------------------------------------------------------


def truth(values: Values) -> bool | None:
    """A collection as a truth: empty is unknown, one boolean is itself, one other value is true."""
    if not values:
        return None
    return values[0] if isinstance(values[0], bool) else True


def _logic(
    decide: Callable[[bool | None, Callable[[], bool | None]], bool | None],
) -> Callable[[Closure, Closure], Closure]:
    def make(left: Closure, right: Closure) -> Closure:
        def run(env: Env, this: Values) -> Values:
            found = decide(truth(left(env, this)), lambda: truth(right(env, this)))
            return [] if found is None else [found]

        return run

    return make


def _and(left: bool | None, right: Callable[[], bool | None]) -> bool | None:
    if left is False:
        return False
    other = right()
    return False if other is False else (True if left and other else None)


def _or(left: bool | None, right: Callable[[], bool | None]) -> bool | None:
    if left is True:
        return True
    other = right()
    return True if other is True else (None if left is None or other is None else False)


def _xor(left: bool | None, right: Callable[[], bool | None]) -> bool | None:
    other = right()
    return None if left is None or other is None else left != other


def _implies(left: bool | None, right: Callable[[], bool | None]) -> bool | None:
    return True if left is False else _or(False if left else None, right)


def _compare(decide: Callable[[Any, Any], bool]) -> Callable[[Closure, Closure], Closure]:
    def make(left: Closure, right: Closure) -> Closure:
        def run(env: Env, this: Values) -> Values:
            a, b = left(env, this), right(env, this)
            if not a or not b:
                return []
            x, y = a[0], b[0]
            numbers = isinstance(x, int | Decimal) and isinstance(y, int | Decimal)
            return [decide(x, y)] if numbers or (isinstance(x, str) and isinstance(y, str)) else []

        return run

    return make


def _equal(wanted: bool) -> Callable[[Closure, Closure], Closure]:
    def make(left: Closure, right: Closure) -> Closure:
        def run(env: Env, this: Values) -> Values:
            a = left(env, this)
            if not a:
                return []
            b = right(env, this)
            return [(a == b) is wanted] if b else []

        return run

    return make


def _arithmetic(work: Callable[[Any, Any], Any]) -> Callable[[Closure, Closure], Closure]:
    def make(left: Closure, right: Closure) -> Closure:
        def run(env: Env, this: Values) -> Values:
            a, b = left(env, this), right(env, this)
            if not a or not b:
                return []
            try:
                return [work(a[0], b[0])]
            except (TypeError, InvalidOperation, ZeroDivisionError):
                return []

        return run

    return make


def _union(left: Closure, right: Closure) -> Closure:
    return lambda env, this: _distinct([*left(env, this), *right(env, this)])


def _join(left: Closure, right: Closure) -> Closure:
    return lambda env, this: ["".join(text(v) for v in (*left(env, this)[:1], *right(env, this)[:1]))]


def _within(left: Closure, right: Closure) -> Closure:
    def run(env: Env, this: Values) -> Values:
        a = left(env, this)
        return [a[0] in right(env, this)] if a else []

    return run


OPERATORS: dict[str, Callable[[Closure, Closure], Closure]] = {
    "and": _logic(_and),
    "or": _logic(_or),
    "xor": _logic(_xor),
    "implies": _logic(_implies),
    "=": _equal(True),
    "!=": _equal(False),
    "<": _compare(lambda a, b: a < b),
    ">": _compare(lambda a, b: a > b),
    "<=": _compare(lambda a, b: a <= b),
    ">=": _compare(lambda a, b: a >= b),
    "+": _arithmetic(lambda a, b: a + b),
    "-": _arithmetic(lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b),
    "/": _arithmetic(lambda a, b: Decimal(a) / b),
    "|": _union,
    "&": _join,
    "in": _within,
    "contains": lambda left, right: _within(right, left),
}


# ---- functions ---------------------------------------------------------------------------------


def text(value: Any) -> str:
    """A value as text stands in a sentence."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _distinct(values: Values) -> Values:
    found: Values = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _where(run: Closure, args: Sequence[Closure]) -> Closure:
    test = args[0]
    return lambda env, this: [v for v in run(env, this) if truth(test(env, [v])) is True]


def _select(run: Closure, args: Sequence[Closure]) -> Closure:
    each = args[0]
    return lambda env, this: [found for v in run(env, this) for found in each(env, [v])]


def _exists(run: Closure, args: Sequence[Closure]) -> Closure:
    found = _where(run, args) if args else run
    return lambda env, this: [bool(found(env, this))]


def _all(run: Closure, args: Sequence[Closure]) -> Closure:
    test = args[0]
    return lambda env, this: [all(truth(test(env, [v])) is True for v in run(env, this))]


def _iif(run: Closure, args: Sequence[Closure]) -> Closure:
    test, then, *otherwise = args

    def choose(env: Env, this: Values) -> Values:
        if truth(test(env, this)) is True:
            return then(env, this)
        return otherwise[0](env, this) if otherwise else []

    return choose


def _on_list(work: Callable[[Values], Values]) -> Callable[[Closure, Sequence[Closure]], Closure]:
    def make(run: Closure, args: Sequence[Closure]) -> Closure:
        return lambda env, this: work(run(env, this))

    return make


def _on_text(work: Callable[..., Any]) -> Callable[[Closure, Sequence[Closure]], Closure]:
    def make(run: Closure, args: Sequence[Closure]) -> Closure:
        def each(env: Env, this: Values) -> Values:
            found = [a(env, this) for a in args]
            if any(not f for f in found):
                return []
            return [work(v, *(f[0] for f in found)) for v in run(env, this) if isinstance(v, str)]

        return each

    return make


def _matches(value: str, pattern: str) -> bool:
    return re.search(pattern, value) is not None


def _join_all(run: Closure, args: Sequence[Closure]) -> Closure:
    between = args[0] if args else constant([""])
    return lambda env, this: [text((between(env, this) or [""])[0]).join(text(v) for v in run(env, this))]


def _site_date(run: Closure, args: Sequence[Closure]) -> Closure:
    def days(env: Env, this: Values) -> Values:
        local = env["__site_date"]
        return [found for v in run(env, this) if (found := local(v))]

    return days


def _translate(run: Closure, args: Sequence[Closure]) -> Closure:
    name = args[0]

    def go(env: Env, this: Values) -> Values:
        table = name(env, this)[0]
        return [found for v in run(env, this) for found in env["__translate"](v, table)]

    return go


def _substring(value: str, start: int, length: int | None = None) -> str:
    return value[start:] if length is None else value[start : start + length]


FUNCTIONS: dict[str, tuple[Callable[[Closure, Sequence[Closure]], Closure], int, int]] = {
    "where": (_where, 1, 1),
    "select": (_select, 1, 1),
    "exists": (_exists, 0, 1),
    "all": (_all, 1, 1),
    "iif": (_iif, 2, 3),
    "empty": (_on_list(lambda v: [not v]), 0, 0),
    "hasValue": (_on_list(lambda v: [len(v) == 1 and not isinstance(v[0], dict)]), 0, 0),
    "first": (_on_list(lambda v: v[:1]), 0, 0),
    "last": (_on_list(lambda v: v[-1:]), 0, 0),
    "tail": (_on_list(lambda v: v[1:]), 0, 0),
    "count": (_on_list(lambda v: [len(v)]), 0, 0),
    "distinct": (_on_list(_distinct), 0, 0),
    "not": (_on_list(lambda v: [] if truth(v) is None else [not truth(v)]), 0, 0),
    "toString": (_on_list(lambda v: [text(x) for x in v]), 0, 0),
    "matches": (_on_text(_matches), 1, 1),
    "startsWith": (_on_text(lambda v, s: v.startswith(s)), 1, 1),
    "endsWith": (_on_text(lambda v, s: v.endswith(s)), 1, 1),
    "contains": (_on_text(lambda v, s: s in v), 1, 1),
    "replace": (_on_text(lambda v, a, b: v.replace(a, b)), 2, 2),
    "substring": (_on_text(_substring), 1, 2),
    "upper": (_on_text(lambda v: v.upper()), 0, 0),
    "lower": (_on_text(lambda v: v.lower()), 0, 0),
    "trim": (_on_text(lambda v: v.strip()), 0, 0),
    "length": (_on_text(len), 0, 0),
    "join": (_join_all, 0, 1),
    "site_date": (_site_date, 0, 0),
    "translate": (_translate, 1, 1),
}
