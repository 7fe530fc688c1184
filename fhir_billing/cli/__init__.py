"""A biller's terminal asks one question at a time; each command is one file beside this one.

Nothing is imported before its command is chosen, so that help and a wrong word answer at once.
Standard output is data, standard error is for people. 0 done, 1 an input refused or unequal,
2 wrong usage, 3 a store or service missing.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "main"]

#: Word on the command line → what it does. Module `fhir_billing.cli.<word>` holds `add` and `run`.
COMMANDS: dict[str, str] = {
    "draft": "draft a FHIR Claim for every finished visit in charts",
    "x12": "write, read, check and round-trip X12 files",
    "receive": "keep a payer's file and work it",
    "ledger": "what each claim was billed, paid, adjusted and still owes",
    "replay": "rebuild the book from its inbox and compare",
    "reconcile": "the chart's visits beside the book: missing, changed, gone",
    "sync": "make the chart equal to the book, and say what differed",
    "why": "the biography of one claim",
    "lifecycle": "the lifecycle as a Mermaid picture",
    "serve": "the desk and the HTTP edge",
    "worker": "the beat: relay, consumers, timers",
    "keys": "make a key for an EHR, and show its public half",
    "migrate": "bring the store to the newest schema",
    "ehr": "try what an EHR can do, add one, show what was found",
    "doctor": "what is set up, what is not, how to fix it",
}


class _Command(Protocol):
    def add(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace) -> int: ...


def _module(word: str) -> _Command:
    return cast("_Command", importlib.import_module(f"fhir_billing.cli.{word}"))


def _version() -> str:
    from fhir_billing import __version__

    return f"fhir-billing {__version__}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="fhir-billing", description="A closed visit becomes a paid claim, and the EHR knows."
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    parser.add_argument("--tenant", metavar="NAME", help="which tenant, where an installation has several")
    chosen = _chosen(words)
    known: dict[str, _Command] = {}
    for word, say in COMMANDS.items():
        sub = commands.add_parser(word, help=say, description=say)
        if word == chosen:
            known[word] = _module(word)
            known[word].add(sub)
    args = parser.parse_args(words)
    if args.tenant is not None:
        os.environ["FHIR_BILLING_TENANT"] = args.tenant
    try:
        code = known[args.command].run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        code = _hush(0)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        code = _sorry(error)
    return code


def _chosen(words: Sequence[str]) -> str | None:
    """The command among the words: `--tenant` has a word of its own before it."""
    rest = iter(words)
    for word in rest:
        if word == "--tenant":
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return None


def _hush(code: int) -> int:
    """Nothing more can be written to standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _sorry(error: Exception) -> int:
    """What stopped a command, in a sentence: 3 when the store or a service is what is missing, else 1."""
    from fhir_billing.domain.errors import BillingError, NotNow, SiteConfig

    if isinstance(error, BillingError):
        print(f"fhir-billing: {error}", file=sys.stderr)
        return 3 if isinstance(error, NotNow | SiteConfig) else 1
    if isinstance(error, OSError):
        print(f"fhir-billing: {error.strerror or type(error).__name__}; look at the path and the disk", file=sys.stderr)
        return _hush(1)
    if type(error).__module__.startswith("sqlalchemy"):
        print(
            "fhir-billing: the store refuses this; is its file read-only, or the disk full? Try doctor", file=sys.stderr
        )
        return 3
    raise error
