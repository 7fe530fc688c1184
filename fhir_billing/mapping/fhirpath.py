"""FHIRPath is the one expression language that the analyst's field already shares; here a subset becomes closures.

An expression is compiled once, when a mapping is loaded, and then only run. What the subset does not know is refused
then, with the place in the file. `now()` and `today()` are not known: the day is `%asOf`.
Spec: http://hl7.org/fhirpath/N1/ (precedence, three-valued logic, empty is not false).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from fhir_billing.mapping.fhirpath_functions import (
    FUNCTIONS,
    OPERATORS,
    Closure,
    Env,
    Values,
    constant,
    index,
    member,
    of_type,
)

Chain: TypeAlias = tuple[str, ...]

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
_SAME_ELEMENTS = frozenset({"where", "first", "last", "tail", "distinct"})
"""Functions that answer some of the elements they were asked on."""
_WORDS = frozenset({"implies", "or", "xor", "and", "in", "contains", "div", "mod", "is", "as"})
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class NotInSubset(ValueError):
    """An expression that the engine does not know; the message says where."""


class Compiled:
    """An expression as a closure, and the variables that it reads."""

    __slots__ = ("end", "paths", "run", "source", "variables")

    def __init__(
        self,
        run: Closure,
        variables: frozenset[str],
        source: str,
        paths: frozenset[Chain] = frozenset(),
        end: Chain | None = None,
    ) -> None:
        self.run = run
        self.variables = variables
        self.source = source
        self.paths = paths
        """Every chain of elements that the expression walks, from its variable on."""
        self.end = end
        """The chain whose values it answers, when it answers elements; what a loop over it binds."""


def compile_path(source: str, known: Callable[[str], Compiled | bool | None]) -> Compiled:
    """Compile an expression. `known` says of a variable: True (it is bound when it runs), a slot's expression, or None."""
    return _Parser(source, known).whole()


class _Parser:
    def __init__(self, source: str, known: Callable[[str], Compiled | bool | None]) -> None:
        self.source = source
        self.known = known
        self.variables: set[str] = set()
        self.paths: set[Chain] = set()
        self.chain: Chain | None = None
        self.focus: Chain | None = None
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
        return Compiled(run, frozenset(self.variables), self.source, frozenset(self.paths), self.chain)

    def _binary(self, level: int) -> Closure:
        if level == len(_BINARY):
            return self._unary()
        left = self._binary(level + 1)
        while self._peek()[1] in _BINARY[level] and self._peek()[0] in {"op", "name"}:
            operator = self._take()[1]
            left = OPERATORS[operator](left, self._binary(level + 1))
            self.chain = None
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
                before = self.chain
                run = index(run, self._binary(0))
                self.chain = before
                self._take("]")
            else:
                return run

    def _step(self, run: Closure) -> Closure:
        kind, name = self._take()
        if kind == "quoted":
            return self._element(run, name[1:-1])
        if kind != "name":
            raise NotInSubset(f"expected a name after the dot, found {name!r} in {self.source!r}")
        if self._peek() == ("op", "("):
            return self._call(name, run)
        return self._element(run, name)

    def _element(self, run: Closure, name: str) -> Closure:
        if self.chain is not None:
            self.chain = (*self.chain, name)
            self.paths.add(self.chain)
        return member(run, name)

    def _call(self, name: str, run: Closure) -> Closure:
        self._take("(")
        if name in {"ofType", "as", "is"}:
            wanted = self._take()[1]
            if self._peek()[1] == ".":
                self._take()
                wanted = self._take()[1]
            self._take(")")
            self.chain = None
            return of_type(run, wanted)
        arguments = []
        before, outer = self.chain, self.focus
        self.focus = before
        while self._peek()[1] != ")":
            arguments.append(self._binary(0))
            if self._peek()[1] == ",":
                self._take()
        self._take(")")
        self.focus = outer
        self.chain = before if name in _SAME_ELEMENTS else self.chain if name == "select" else None
        function = FUNCTIONS.get(name)
        if function is None:
            raise NotInSubset(f"the function {name}() is not in the subset: {self.source!r}")
        make, fewest, most = function
        if not fewest <= len(arguments) <= most:
            raise NotInSubset(f"{name}() has {len(arguments)} arguments in {self.source!r}")
        return make(run, arguments)

    def _primary(self) -> Closure:
        kind, text = self._take()
        self.chain = None
        if kind == "string":
            return constant([re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1])])
        if kind == "number":
            return constant([Decimal(text) if "." in text else int(text)])
        if kind == "var":
            return self._variable(text[1:])
        if (kind, text) == ("op", "("):
            inner = self._binary(0)
            end = self.chain
            self._take(")")
            self.chain = end
            return inner
        if (kind, text) == ("op", "{"):
            self._take("}")
            return constant([])
        if kind == "name" and text in {"true", "false"}:
            return constant([text == "true"])
        if kind == "name" and text == "$this":
            self.chain = self.focus
            return lambda env, this: this
        if kind in {"name", "quoted"} and text not in _WORDS:
            here: Closure = lambda env, this: this  # noqa: E731 - the focus of where() and select()
            self.chain = self.focus
            if self._peek() == ("op", "("):
                return self._call(text, here)
            return self._element(here, text.strip("`"))
        raise NotInSubset(f"did not expect {text or 'the end'!r} in {self.source!r}")

    def _variable(self, name: str) -> Closure:
        found = self.known(name)
        if found is None or found is False:
            raise NotInSubset(f"%{name} is not among `needs`, `slots` or loops: {self.source!r}")
        if isinstance(found, Compiled):
            self.variables |= found.variables
            self.paths |= found.paths
            self.chain = found.end
            slot = found.run
            return lambda env, this: slot(env, [])
        self.variables.add(name)
        self.chain = (name,)

        def read(env: Env, this: Values) -> Values:
            value = env.get(name)
            if value is None:
                return []
            return value if isinstance(value, list) else [value]

        return read
