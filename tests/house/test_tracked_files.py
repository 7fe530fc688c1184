"""A clone holds nothing of the machine it was written on, no download address, no secret and nothing heavy."""

from __future__ import annotations

import ast
import re

from tests.house.source import complaints, planted, tracked

LIMIT = 1_000_000
# Written in pieces, so that this file passes its own reading.
HOSTS = [
    "pypi" + ".org",
    "files.python" + "hosted",
    "registry.npm" + "js",
    "deb." + "debian",
    "unp" + "kg.com",
    "js" + "delivr",
]
MACHINE = re.compile(r"(?<![\w./-])/(work|root|Users|workspace)/" + r"\w|/home/(?!newcomer|billing|app|user)\w+/")
DOWNLOAD = re.compile(r"https?://[^ \"]+\." + r"(whl|tgz|tar\.gz|deb)\b")
SECRET = re.compile("BEGIN (RSA |EC |OPENSSH )?PRIVATE" + " KEY|AKIA[0-9A-Z]{16}|" + r"sk_live_\w+|gh[pousr]_\w{30}")


def text_files() -> list[tuple[str, str]]:
    found = []
    for path in tracked():
        raw = path.read_bytes()
        if b"\0" not in raw[:4096] and path.name != "LICENSE":
            found.append((path.as_posix().split("/main/")[-1], raw.decode("utf-8", "replace")))
    return found


def matching(pattern: re.Pattern[str]) -> list[str]:
    return [f"{name}: {found.group()}" for name, text in text_files() if (found := pattern.search(text))]


def test_no_path_of_a_machine() -> None:
    assert matching(MACHINE) == []


def test_no_download_address() -> None:
    assert matching(DOWNLOAD) == []
    assert matching(re.compile("|".join(map(re.escape, HOSTS)))) == []


def test_no_secret() -> None:
    assert matching(SECRET) == []


def test_nothing_heavy() -> None:
    assert [path.name for path in tracked() if path.stat().st_size > LIMIT] == []


def test_every_script_is_executable() -> None:
    assert [p.name for p in tracked() if p.read_bytes()[:2] == b"#!" and not p.stat().st_mode & 0o100] == []


def swallowed(node: ast.AST) -> str | None:
    if not isinstance(node, ast.ExceptHandler):
        return None
    wide = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
    silent = all(
        isinstance(s, ast.Pass | ast.Continue) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in node.body
    )
    return "an error that nobody will hear of" if wide and silent else None


def test_no_error_is_swallowed() -> None:
    assert complaints(swallowed) == []
    assert planted(swallowed, "try: f()\nexcept Exception: pass")
