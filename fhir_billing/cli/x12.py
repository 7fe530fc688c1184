"""X12 files at the terminal: `write`, `read`, `check` and `roundtrip`.

No store, no clock, no network: the date on an interchange is the newest `created` among its claims.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_billing.x12.grammar import Complaint


def add(parser: argparse.ArgumentParser) -> None:
    """Four words, each with its files."""
    words = parser.add_subparsers(dest="word", metavar="WORD", required=True)
    write = words.add_parser("write", help="FHIR Claims to 837 files, one for each payer and kind")
    write.add_argument("claims", nargs="+", metavar="CLAIMS", help="Claims as `draft` prints them, one a line")
    write.add_argument(
        "-o", "--out", required=True, metavar="DIR", help="folder for the files; nothing in it is overwritten"
    )
    write.add_argument("--site", default=None, metavar="S", help="whose sender and payers")
    write.add_argument("--first-control", type=_control, default=1, metavar="N", help="first interchange number (1)")
    write.add_argument("--test", action="store_true", help="mark as test (ISA15 T)")
    for word, say in (
        ("read", "files as JSON, one object a file"),
        ("check", "read, plus what sending needs"),
        ("roundtrip", "take a file apart and put it together again"),
    ):
        words.add_parser(word, help=say).add_argument("files", nargs="+", metavar="FILE")


def _control(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 999_999_999:
        raise argparse.ArgumentTypeError("a control number is 1 to 999999999")
    return number


def run(args: argparse.Namespace) -> int:
    """Work every file; the highest code wins."""
    if args.word == "write":
        from fhir_billing.cli.x12_write import write

        return write(args)
    one = {"read": _read, "check": _check, "roundtrip": _roundtrip}[args.word]
    return max(one(name) for name in args.files)


def contents(name: str) -> bytes | None:
    """The bytes of a file, or a complaint."""
    try:
        return Path(name).read_bytes()
    except OSError as error:
        print(f"{name}: {error.strerror or 'cannot be read'}; give a file", file=sys.stderr)
        return None


def _read(name: str) -> int:
    return _told(name, also_check=False)


def _check(name: str) -> int:
    return _told(name, also_check=True)


def _told(name: str, *, also_check: bool) -> int:
    from fhir_billing.fhir.text import dumps
    from fhir_billing.x12 import check, describe
    from fhir_billing.x12.envelope import read

    data = contents(name)
    if data is None:
        print(dumps({"file": name, "interchanges": [], "findings": [_unread()]}).decode())
        return 1
    told, findings = describe.tell(name, data)
    if also_check and not _errors(findings):
        more = check.check(read(data))
        findings += more
        told["findings"] += describe.findings(more)
    print(dumps(told).decode())
    return _complain(name, findings)


def _unread() -> dict[str, object]:
    places = dict.fromkeys(("segment", "id", "element", "component", "offset"))
    return {"severity": "error", **places, "say": "the file cannot be read"}


def _errors(findings: Iterable[Complaint]) -> bool:
    return any(found.severity.value == "error" for found in findings)


def _complain(name: str, findings: list[Complaint]) -> int:
    for found in findings:
        if found.severity.value == "error":
            print(f"{name}: {found}", file=sys.stderr)
    return 1 if _errors(findings) else 0


def _roundtrip(name: str) -> int:
    from fhir_billing.x12.grammar import NotX12, first_difference, rebuilt

    data = contents(name)
    if data is None:
        return 1
    try:
        difference = first_difference(data, rebuilt(data))
    except NotX12 as fault:
        print(f"{name}: {fault.complaint}", file=sys.stderr)
        return 1
    if difference is None:
        print(f"{name} equal")
        return 0
    print(f"{name} differs at byte {difference[0]}, segment {difference[1]}")
    return 1
