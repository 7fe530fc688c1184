"""A page written twice is wrong once: what the code knows is printed from the code, and `make check` compares.

`python -m tools.docs` writes the pages of `docs/reference/`; with `--check` it only says which are out of step.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import inspect
import pkgutil
import sys
import textwrap
from pathlib import Path
from types import ModuleType

from fhir_billing import cli, domain, edits
from fhir_billing.domain import errors, lifecycle
from fhir_billing.domain.errors import BillingError
from fhir_billing.domain.examples import a_payer
from fhir_billing.domain.finding import Context, Edit, Example
from fhir_billing.x12.guides.page import page as guide_page

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made by `make docs` from the code. Change the code, not this page. -->\n\n"


def main(words: list[str]) -> int:
    """Write every page, or with --check name each that differs."""
    pages = {
        "lifecycle.md": lifecycle_page(),
        "edits.md": edits_page(),
        "commands.md": commands_page(),
        "errors.md": errors_page(),
        "settings.md": settings_page(),
        "glossary.md": glossary_page(),
        "../x12.md": guide_page(),
    }
    stale = False
    for name, body in pages.items():
        path, text = FOLDER / name, MADE + body
        now = path.read_text(encoding="utf-8") if path.exists() else ""
        if now == text:
            continue
        if "--check" in words:
            stale = True
            diff = difflib.unified_diff(
                now.splitlines(), text.splitlines(), f"docs/reference/{name}", "the code", "", "", n=0
            )
            print("\n".join([*list(diff)[:20], ""]), file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"docs/reference/{name}")
    if stale:
        print("docs/reference is not in step with the code: make docs", file=sys.stderr)
    return int(stale)


def lifecycle_page() -> str:
    """The picture, and whose turn it is in each state."""
    rows = [
        f"| {state} | {lifecycle.OWNERS[state]} | {lifecycle.CLINICIAN_WORDS[state]} |" for state in lifecycle.State
    ]
    table = "\n".join(["| state | whose turn | a clinician reads |", "|---|---|---|", *rows])
    return f"# The life of a claim\n\n```mermaid\n{lifecycle.mermaid()}```\n\n{table}\n"


def edits_page() -> str:
    """Each claim edit: what it refuses, who mends it, and what it says of its own examples."""
    intro = (
        "# Claim edits\n\nWhat is refused before a payer sees it. One rule, one file; `make new edit=...` writes the next.\n\n"
        "A site or a payer sets a rule by its key: `edits: {timely-filing: {severity: none, because: ...}}`; severity is none, "
        "warning or blocking, and the payer has the last word.\n"
    )
    parts = [intro]
    for found in pkgutil.iter_modules(edits.__path__):
        if found.name.startswith("_"):
            continue
        module = importlib.import_module(f"fhir_billing.edits.{found.name}")
        examples: list[Example] = getattr(module, "EXAMPLES", [])
        for rule in (value for value in vars(module).values() if isinstance(value, Edit)):
            parts.append(edit_entry(rule, module, examples, f"fhir_billing/edits/{found.name}.py"))
    return "\n".join(parts)


def edit_entry(rule: Edit, module: ModuleType, examples: list[Example], path: str) -> str:
    """One edit of the catalogue: its sentence, its owner, and each complaint with its fix."""
    blocked = sum(example.blocks for example in examples)
    said: list[str] = []
    for example in examples:
        context = Context(
            today=example.today,
            payer=example.payer or a_payer(),
            earlier=example.earlier,
            icd10_valid=example.icd10_valid,
            settings=example.settings,
        )
        for finding in rule(example.claim, context):
            mark = "holds" if finding.is_blocking else "warns"
            said.append(f"- {mark}: {finding.say} *{finding.fix}* (`{finding.at}`)")
    lines = "\n".join(dict.fromkeys(said)).replace("|", "\\|")
    return (
        f"## `{rule.key}`\n\n{first_sentence(module)}\n\n{rule.title}\n\n{lines}\n\n"
        f"Mended by: {rule.fix_by}. Examples: {len(examples) - blocked} pass, {blocked} block (`{path}`).\n"
    )


def commands_page() -> str:
    """The help of every command, and of the words below it."""
    parts = [
        "# Commands\n\nExit codes: 0 done, 1 an input refused or unequal, 2 wrong usage, 3 a store or service missing.\n"
    ]
    for word, say in cli.COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"fhir-billing {word}", description=say, formatter_class=wide)
        importlib.import_module(f"fhir_billing.cli.{word}").add(parser)
        helps = [parser.format_help()]
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for sub in action.choices.values():
                    sub.formatter_class = wide
                    helps.append(sub.format_help())
        parts.append(f"## {word}\n\n```text\n" + "\n".join(helps).strip() + "\n```\n")
    return "\n".join(parts)


def wide(prog: str) -> argparse.HelpFormatter:
    """Help of one width on every terminal."""
    return argparse.HelpFormatter(prog, max_help_position=28, width=110)


def errors_page() -> str:
    """Every exception by its code: a broken promise, whose, and whether to try again."""
    rows = ["# Errors\n\n| error | kind | code | says |", "|---|---|---|---|"]
    for kind in BillingError.__subclasses__():
        for error in [kind, *kind.__subclasses__()]:
            if error.__module__ == errors.__name__:
                rows.append(
                    f"| {error.__name__} | {kind.__name__} | `{getattr(error, 'code', '')}` | {first_sentence(error)} |"
                )
    return "\n".join(rows) + "\n"


def settings_page() -> str:
    """Each environment variable, its default and what it decides."""
    tree = ast.parse((ROOT / "fhir_billing" / "settings.py").read_text(encoding="utf-8"))
    rows = ["# Settings\n\n| variable | default | what it decides |", "|---|---|---|"]
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    for body in (node.body for node in classes):
        for node, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                about = after.value if isinstance(after, ast.Expr) else None
                say = str(about.value) if isinstance(about, ast.Constant) else ""
                rows.append(f"| `{variable(node)}` | `{default(node)}` | {' '.join(say.split())} |")
    return "\n".join(rows) + "\n"


def variable(node: ast.AnnAssign) -> str:
    """The environment variable of a setting: its first alias, else the prefix and its name."""
    assert isinstance(node.target, ast.Name)
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "AliasChoices":
            return str(ast.literal_eval(call.args[0]))
    return f"FHIR_BILLING_{node.target.id.upper()}"


def default(node: ast.AnnAssign) -> str:
    """The default as the source writes it."""
    value = node.value
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Field":
        named = {k.arg: k.value for k in value.keywords}
        value = value.args[0] if value.args else named.get("default_factory", named.get("default"))
    text = ast.unparse(value) if value is not None else ""
    return text.removeprefix("lambda: ").replace("|", "\\|") or " "


def glossary_page() -> str:
    """Every public noun of the domain, in the words of its own docstring."""
    nouns: dict[str, str] = {}
    for found in pkgutil.iter_modules(domain.__path__):
        module = importlib.import_module(f"fhir_billing.domain.{found.name}")
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_"):
                nouns[name] = f"| {name} | {first_sentence(value)} | `domain/{found.name}.py` |"
    rows = [row for _, row in sorted(nouns.items())]
    return "\n".join(["# Glossary\n\n| word | what it is | where |", "|---|---|---|", *rows]) + "\n"


def first_sentence(thing: ModuleType | type) -> str:
    """The first line of its docstring; nothing for one that only Python wrote."""
    text = textwrap.dedent(thing.__doc__ or "").strip()
    written = inspect.ismodule(thing) or not text.startswith(f"{thing.__name__}(")
    return text.splitlines()[0].replace("|", "\\|") if text and written else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
