"""A scope says what may be done with which type; whoever has it in writing that something is not granted need not ask.

Spec: SMART App Launch 2.2 scopes: v2 `system/Task.cruds?…`, v1 `system/Task.read`, `.write`, `.*`; `*` for every type.
"""

from __future__ import annotations

from collections.abc import Iterable

OF_METHOD = {"PUT": "u", "PATCH": "u", "DELETE": "d"}
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_ACTS = {"create": "c", "read": "r", "update": "u", "delete": "d", "search": "s"}
_CONTEXTS = frozenset({"system", "user", "patient"})


def allows(scopes: Iterable[str], kind: str, act: str) -> bool:
    """Whether scopes let somebody do this: `act` is a letter of `cruds`, or its word.

    >>> allows({"system/Task.cruds"}, "Task", "u"), allows({"system/*.read"}, "Task", "update")
    (True, False)
    """
    letter = _ACTS.get(act, act)
    return any(letter in letters for of, letters in map(_read, scopes) if of in {kind, "*"})


def speak_of_types(scopes: Iterable[str]) -> bool:
    """Whether any of these is about types at all; else nothing is known of what is granted."""
    return any(of for of, _ in map(_read, scopes))


def of_request(method: str, path: str) -> tuple[str, str] | None:
    """Type and act of a FHIR request; None for what no scope speaks of: operations, bundles, pages, metadata.

    >>> of_request("GET", "Task?status=ready"), of_request("PUT", "Task/1"), of_request("POST", "Claim/$submit")
    (('Task', 's'), ('Task', 'u'), None)
    """
    steps = path.partition("?")[0].strip("/").split("/")
    kind = steps[0]
    if "://" in path or not kind.isascii() or not kind.isalpha() or not kind[:1].isupper():
        return None
    if any(step.startswith(("$", "_history")) for step in steps):
        return None
    if method == "POST":
        return (kind, "s") if steps[1:] == ["_search"] else (kind, "c") if len(steps) == 1 else None
    if method in {"GET", "HEAD"}:
        return (kind, "s") if len(steps) == 1 else (kind, "r") if len(steps) == 2 else None
    return (kind, OF_METHOD[method]) if method in OF_METHOD else None


def _read(scope: str) -> tuple[str, str]:
    """The type that a scope is about, and the letters that it grants; nothing for one of another kind."""
    context, slash, rest = scope.partition("/")
    kind, dot, acts = rest.partition("?")[0].partition(".")
    if context not in _CONTEXTS or not slash or not dot:
        return "", ""
    letters = _V1.get(acts, acts)
    return (kind, letters) if letters and not set(letters) - set("cruds") else ("", "")
