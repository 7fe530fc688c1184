"""FHIRPath is the one expression language that the analyst's field already shares; here a subset becomes closures.

An expression is compiled once, when a mapping is loaded, and then only run. What the subset does not know is refused
then, with the place in the file. `now()` and `today()` are not known: the day is `%asOf`.
Spec: http://hl7.org/fhirpath/N1/ (precedence, three-valued logic, empty is not false).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

Env: TypeAlias = dict[str, Any]
Values: TypeAlias = list[Any]
Closure: TypeAlias = Callable[[Env, Values], Values]

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<number>\d+(?:\.\d+)?)|(?P<var>%[A-Za-z_][\w-]*)"
    r"|(?P<name>\$?[A-Za-z_]\w*)|(?P<quoted>`[^`]+`)|(?P<op>!=|<=|>=|[=<>|&+\-*/.,()\[\]{}]))"
)
_BINARY: tuple[tuple[str, ...], ...] = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "!="),
    ("<", ">", "<=", ">="),
    ("|",),
    ("+", "-", "&"),
    ("*", "/"),
)
_WORDS = frozenset({"implies", "or", "xor", "and", "in", "contains", "div", "mod", "is", "as"})
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class NotInSubset(ValueError):
    """An expression that the engine does not know; the message says where."""


class Compiled:
    """An expression as a closure, and the variables that it reads."""

    __slots__ = ("run", "source", "variables")

    def __init__(self, run: Closure, variables: frozenset[str], source: str) -> None:
        self.run = run
        self.variables = variables
        self.source = source


def compile_path(source: str, known: Callable[[str], Compiled | bool | None]) -> Compiled:
    """Compile an expression. `known` says of a variable: True (it is bound when it runs), a slot's expression, or None."""
    return _Parser(source, known).whole()


class _Parser:
    def __init__(self, source: str, known: Callable[[str], Compiled | bool | None]) -> None:
        self.source = source
        self.known = known
        self.variables: set[str] = set()
        self.tokens = self._tokens()
        self.at = 0

    def _tokens(self) -> list[tuple[str, str]]:
        found, position = [], 0
        text = self.source.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise NotInSubset(f"cannot read {text[position : position + 12]!r} in {self.source!r}")
            kind = match.lastgroup or "op"
            found.append((kind, match[kind]))
            position = match.end()
        return [*found, ("end", "")]

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.at]

    def _take(self, wanted: str | None = None) -> tuple[str, str]:
        token = self.tokens[self.at]
        if wanted is not None and token[1] != wanted:
            raise NotInSubset(f"expected {wanted!r}, found {token[1] or 'the end'!r} in {self.source!r}")
        self.at += 1
        return token

    def whole(self) -> Compiled:
        """The whole text is one expression."""
        run = self._binary(0)
        if self._peek()[0] != "end":
            raise NotInSubset(f"did not expect {self._peek()[1]!r} in {self.source!r}")
        return Compiled(run, frozenset(self.variables), self.source)

    def _binary(self, level: int) -> Closure:
        if level == len(_BINARY):
            return self._unary()
        left = self._binary(level + 1)
        while self._peek()[1] in _BINARY[level] and self._peek()[0] in {"op", "name"}:
            operator = self._take()[1]
            left = _OPERATORS[operator](left, self._binary(level + 1))
        return left

    def _unary(self) -> Closure:
        if self._peek() == ("op", "-"):
            self._take()
            inner = self._unary()
            return lambda env, this: [-v for v in inner(env, this) if isinstance(v, int | Decimal)]
        return self._postfix(self._primary())

    def _postfix(self, run: Closure) -> Closure:
        while True:
            kind, text = self._peek()
            if (kind, text) == ("op", "."):
                self._take()
                run = self._step(run)
            elif (kind, text) == ("op", "["):
                self._take()
                run = _index(run, self._binary(0))
                self._take("]")
            else:
                return run

    def _step(self, run: Closure) -> Closure:
        kind, name = self._take()
        if kind == "quoted":
            return _member(run, name[1:-1])
        if kind != "name":
            raise NotInSubset(f"expected a name after the dot, found {name!r} in {self.source!r}")
        if self._peek() == ("op", "("):
            return self._call(name, run)
        return _member(run, name)

    def _call(self, name: str, run: Closure) -> Closure:
        self._take("(")
        if name in {"ofType", "as", "is"}:
            wanted = self._take()[1]
            if self._peek()[1] == ".":
                self._take()
                wanted = self._take()[1]
            self._take(")")
            return _of_type(run, wanted)
        arguments = []
        while self._peek()[1] != ")":
            arguments.append(self._binary(0))
            if self._peek()[1] == ",":
                self._take()
        self._take(")")
        function = _FUNCTIONS.get(name)
        if function is None:
            raise NotInSubset(f"the function {name}() is not in the subset: {self.source!r}")
        make, fewest, most = function
        if not fewest <= len(arguments) <= most:
            raise NotInSubset(f"{name}() has {len(arguments)} arguments in {self.source!r}")
        return make(run, arguments)

    def _primary(self) -> Closure:
        kind, text = self._take()
        if kind == "string":
            return _constant([re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1])])
        if kind == "number":
            return _constant([Decimal(text) if "." in text else int(text)])
        if kind == "var":
            return self._variable(text[1:])
        if (kind, text) == ("op", "("):
            inner = self._binary(0)
            self._take(")")
            return inner
        if (kind, text) == ("op", "{"):
            self._take("}")
            return _constant([])
        if kind == "name" and text in {"true", "false"}:
            return _constant([text == "true"])
        if kind == "name" and text == "$this":
            return lambda env, this: this
        if kind in {"name", "quoted"} and text not in _WORDS:
            here: Closure = lambda env, this: this  # noqa: E731 - the focus of where() and select()
            if self._peek() == ("op", "("):
                return self._call(text, here)
            return _member(here, text.strip("`"))
        raise NotInSubset(f"did not expect {text or 'the end'!r} in {self.source!r}")

    def _variable(self, name: str) -> Closure:
        found = self.known(name)
        if found is None or found is False:
            raise NotInSubset(f"%{name} is not among `needs`, `slots` or loops: {self.source!r}")
        if isinstance(found, Compiled):
            self.variables |= found.variables
            slot = found.run
            return lambda env, this: slot(env, [])
        self.variables.add(name)

        def read(env: Env, this: Values) -> Values:
            value = env.get(name)
            if value is None:
                return []
            return value if isinstance(value, list) else [value]

        return read


def _constant(values: Values) -> Closure:
    return lambda env, this: values


def _member(run: Closure, name: str) -> Closure:
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


def _index(run: Closure, position: Closure) -> Closure:
    def pick(env: Env, this: Values) -> Values:
        at = position(env, this)
        values = run(env, this)
        return [values[at[0]]] if at and isinstance(at[0], int) and 0 <= at[0] < len(values) else []

    return pick


def _of_type(run: Closure, wanted: str) -> Closure:
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


_OPERATORS: dict[str, Callable[[Closure, Closure], Closure]] = {
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
    between = args[0] if args else _constant([""])
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


_FUNCTIONS: dict[str, tuple[Callable[[Closure, Sequence[Closure]], Closure], int, int]] = {
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
