"""A mapping is shaped like the resource that it makes, with FHIRPath in the holes.

The YAML is compiled once into closures that build the resource; a second set of closures, made only when somebody asks
why, also notes for each element the line of the mapping and the resources that it came from.
Format: beda FPML (`{{ }}`, `{[ ]}`, `{% for %}`, `{% if %}`), whose engine is not used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fhir_billing.domain.errors import MappingInvalid
from fhir_billing.mapping.fhirpath import Compiled, NotInSubset, compile_path
from fhir_billing.mapping.fhirpath_functions import Env, text, truth
from fhir_billing.mapping.model import LEAF, kind_of, unknown_element

Build: TypeAlias = Callable[[Env], Any]
"""Builds a part of the resource; None for nothing."""

_FOR = re.compile(r"\{%\s*for\s+(?:(\w+)\s*,\s*)?(\w+)\s+in\s+(.+?)\s*%\}")
_IF = re.compile(r"\{%\s*if\s+(.+?)\s*%\}")
_ELSE = re.compile(r"\{%\s*else\s*%\}")
_WHOLE = re.compile(r"\{\{\s*(.+?)\s*\}\}")
_LIST = re.compile(r"\{\[\s*(.+?)\s*\]\}")
_HOLE = re.compile(r"\{\{\s*(.+?)\s*\}\}")


class Many(list[Any]):
    """Values that a list takes in one by one."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one element of a claim came from."""

    at: str
    """FHIR path in the claim."""
    mapping: str
    """File and line."""
    resources: tuple[str, ...] = ()
    """`Type/ID` with `/_history/N` when the version is known."""


@dataclass(slots=True)
class Scope:
    """What an expression may name."""

    needs: frozenset[str]
    slots: Mapping[str, Compiled] = field(default_factory=dict)
    loops: frozenset[str] = frozenset()
    kinds: Mapping[str, str] = field(default_factory=dict)
    """The type of each variable, for those whose type is known."""

    def known(self, name: str) -> Compiled | bool | None:
        """A slot's expression, or whether the variable is bound when the template runs."""
        if name in self.slots:
            return self.slots[name]
        return True if name in self.needs or name in self.loops else None

    def within(self, **kinds: str) -> Scope:
        """The same with more variables, by their types."""
        return Scope(needs=self.needs, slots=self.slots, loops=self.loops | set(kinds), kinds={**self.kinds, **kinds})


class Template:
    """Compiles one `into:`."""

    def __init__(self, file: str, lines: Mapping[tuple[str | int, ...], int], *, traced: bool = False) -> None:
        self.file = file
        self.lines = lines
        self.traced = traced

    def line(self, path: tuple[str | int, ...]) -> str:
        """`file:line` of a place in the mapping, or of the nearest place above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.file}:{self.lines.get(path, 1)}"

    def expression(self, source: str, scope: Scope, path: tuple[str | int, ...]) -> Compiled:
        """Compile an expression, or say where it is wrong."""
        try:
            found = compile_path(source, scope.known)
        except NotInSubset as error:
            say, fix = f"{self.line(path)}: {error}", "see the list of functions in mappings/README.md"
            raise MappingInvalid(say, fix=fix) from error
        for chain in sorted(found.paths):
            if wrong := unknown_element(chain, scope.kinds):
                say, _, known = wrong.partition("; ")
                raise MappingInvalid(f"{self.line(path)}: %{'.'.join(chain)}: {say}", fix=known or "correct the path")
        return found

    def compile(self, node: Any, scope: Scope, path: tuple[str | int, ...]) -> Build:
        """A node of the template as a closure."""
        if isinstance(node, Mapping):
            return self._object(node, scope, path)
        if isinstance(node, list):
            return self._list(node, scope, path)
        if isinstance(node, str) and ("{{" in node or "{[" in node or "{%" in node):
            return self._text(node, scope, path)
        return self._leaf(lambda env: node, frozenset(), path)

    def _object(self, node: Mapping[str, Any], scope: Scope, path: tuple[str | int, ...]) -> Build:
        keys = list(node)
        if keys and (loop := _FOR.fullmatch(keys[0])):
            if len(keys) > 1:
                raise MappingInvalid(
                    f"{self.line(path)}: a for stands alone in its element", fix="give it an element of its own"
                )
            return self._for(loop, node[keys[0]], scope, (*path, keys[0]))
        if keys and (condition := _IF.fullmatch(keys[0])):
            return self._if(condition[1], node, scope, path)
        parts = [(key, self.compile(value, scope, (*path, key))) for key, value in node.items()]
        return self._traced_object(parts) if self.traced else _plain_object(parts)

    def _traced_object(self, parts: list[tuple[str, Build]]) -> Build:
        def build(env: Env) -> Any:
            made: dict[str, Any] = {}
            at = env["__at"]
            env.pop("__list", None)
            for key, part in parts:
                env["__at"] = f"{at}.{key}"
                value = part(env)
                if value is not None:
                    made[key] = list(value) if isinstance(value, Many) else value
            env["__at"] = at
            return made or None

        return build

    def _for(self, loop: re.Match[str], body: Any, scope: Scope, path: tuple[str | int, ...]) -> Build:
        index, name, source = loop.groups()
        listed = self.expression(source, scope, path)
        over = listed.run
        bound = {name: kind_of(listed.end, scope.kinds), **({index: LEAF} if index else {})}
        part = self.compile(body, scope.within(**bound), path)
        traced = self.traced

        def build(env: Env) -> Any:
            made = Many()
            here = dict(env)
            at, first = env.pop("__list", (env.get("__at", ""), 0))
            for position, value in enumerate(over(env, [])):
                here[name] = value
                if index:
                    here[index] = position
                if traced:
                    here["__at"] = f"{at}[{first + len(made)}]"
                found = part(here)
                if isinstance(found, Many):
                    made.extend(found)
                elif found is not None:
                    made.append(found)
            return made or None

        return build

    def _if(self, condition: str, node: Mapping[str, Any], scope: Scope, path: tuple[str | int, ...]) -> Build:
        keys = list(node)
        rest = keys[1:]
        if rest and not (len(rest) == 1 and _ELSE.fullmatch(rest[0])):
            raise MappingInvalid(
                f"{self.line(path)}: an if stands alone, or with an else", fix="give it an element of its own"
            )
        test = self.expression(condition, scope, (*path, keys[0])).run
        then = self.compile(node[keys[0]], scope, (*path, keys[0]))
        otherwise = self.compile(node[rest[0]], scope, (*path, rest[0])) if rest else None

        def build(env: Env) -> Any:
            if truth(test(env, [])) is True:
                return then(env)
            return otherwise(env) if otherwise else None

        return build

    def _list(self, node: list[Any], scope: Scope, path: tuple[str | int, ...]) -> Build:
        parts = [self.compile(value, scope, (*path, i)) for i, value in enumerate(node)]
        traced = self.traced

        def build(env: Env) -> Any:
            made: list[Any] = []
            at = env.get("__at", "")
            for part in parts:
                if traced:
                    env["__at"], env["__list"] = f"{at}[{len(made)}]", (at, len(made))
                value = part(env)
                if isinstance(value, Many):
                    made.extend(value)
                elif value is not None:
                    made.append(value)
            if traced:
                env["__at"] = at
                env.pop("__list", None)
            return made or None

        return build

    def _text(self, node: str, scope: Scope, path: tuple[str | int, ...]) -> Build:
        if (whole := _WHOLE.fullmatch(node)) and "}}" not in whole[1]:
            found = self.expression(whole[1], scope, path)
            run = found.run

            def one(env: Env) -> Any:
                values = run(env, [])
                return values[0] if values else None

            return self._leaf(one, found.variables, path)
        if listed := _LIST.fullmatch(node):
            found = self.expression(listed[1], scope, path)
            run = found.run
            return self._leaf(lambda env: Many(run(env, [])) or None, found.variables, path)
        pieces = _HOLE.split(node)
        if any("{[" in p or "{%" in p or "{{" in p for p in pieces[::2]):
            raise MappingInvalid(
                f"{self.line(path)}: cannot read {node!r}", fix="close every {{ }}, and let {[ ]} stand alone"
            )
        holes = [self.expression(source, scope, path) for source in pieces[1::2]]
        words = pieces[::2]

        def sentence(env: Env) -> Any:
            made = words[0]
            for hole, word in zip(holes, words[1:], strict=True):
                values = hole.run(env, [])
                if not values:
                    return None
                made += text(values[0]) + word
            return made

        variables = frozenset(name for hole in holes for name in hole.variables)
        return self._leaf(sentence, variables, path)

    def _leaf(self, build: Build, variables: frozenset[str], path: tuple[str | int, ...]) -> Build:
        if not self.traced:
            return build
        line = self.line(path)
        names = sorted(variables)

        def traced(env: Env) -> Any:
            value = build(env)
            if value is not None:
                came = tuple(dict.fromkeys(r for name in names for r in sources(env.get(name))))
                env["__trace"].append(Origin(at=env["__at"], mapping=line, resources=came))
            return value

        return traced


def _plain_object(parts: list[tuple[str, Build]]) -> Build:
    def build(env: Env) -> Any:
        made: dict[str, Any] = {}
        for key, part in parts:
            value = part(env)
            if value is not None:
                made[key] = list(value) if isinstance(value, Many) else value
        return made or None

    return build


def sources(value: Any) -> tuple[str, ...]:
    """The chart's resources behind a variable: itself when it is one, else those that the engine noted under `source`."""
    if isinstance(value, list):
        return tuple(r for each in value for r in sources(each))
    if not isinstance(value, dict):
        return ()
    if "resourceType" in value:
        version = (value.get("meta") or {}).get("versionId")
        reference = f"{value['resourceType']}/{value.get('id', '')}"
        return (f"{reference}/_history/{version}" if version else reference,)
    return sources(value.get("source"))
