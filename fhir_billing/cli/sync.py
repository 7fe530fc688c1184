"""`sync`: what the chart holds of us is compared with the book and put right; what differed is said, one line each."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_billing.ehr.sync import Line


def add(parser: argparse.ArgumentParser) -> None:
    """Which claims, and whether to write."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--claim", default="", metavar="NUMBER", help="one claim")
    which.add_argument("--encounter", default="", metavar="ID", help="the claims of one visit")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when something differs")
    parser.add_argument("--clean", action="store_true", help="cancel what is ours in the chart and unknown to the book")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """0 when the chart is as the book says (now); 1 when it is not, or a stray is left; 3 when there is no EHR."""
    from fhir_billing.cli.opening import opened
    from fhir_billing.domain.errors import BillingError
    from fhir_billing.ehr import sync

    encounter = args.encounter if "/" in args.encounter or not args.encounter else f"Encounter/{args.encounter}"
    lines: list[sync.Line] = []
    with opened() as wiring:
        teller = wiring.teller
        if teller is None:
            print("fhir-billing: no EHR is set up; set FHIR_BILLING_EHR_URL", file=sys.stderr)
            return 3
        try:
            for line in sync.sync(teller, claim=args.claim, encounter=encounter, check=args.check):
                lines.append(line)
                _say(line, as_json=args.json, check=args.check)
            if not args.claim and not encounter:
                for line in sync.strays(teller, clean=args.clean and not args.check):
                    lines.append(line)
                    _say(line, as_json=args.json, check=args.check)
        except BillingError as error:
            print(f"fhir-billing: {error}", file=sys.stderr)
            return 1
    print(_sum(lines, check=args.check), file=sys.stderr)
    return int(any(line.differs if args.check else line.what in {"failed", "stray"} for line in lines))


WOULD = {"created": "would create", "updated": "would update", "cancelled": "would cancel"}


def _sum(lines: list[Line], *, check: bool) -> str:
    """What there was, each by itself."""
    failed, strays = (sum(line.what == what for line in lines) for what in ("failed", "stray"))
    changed = sum(line.differs for line in lines) - failed - strays
    counts = [
        (changed, "would change" if check else "changed"),
        (failed, "failed"),
        (strays, ("stray" if strays == 1 else "strays") + ("" if check else " left; --clean cancels what is stray")),
    ]
    said = ", ".join(f"{count} {word}" for count, word in counts if count)
    if not check or not said:
        return said or "nothing differs"
    sum_ = changed + failed + strays
    return f"{sum_} {'differs' if sum_ == 1 else 'differ'}: {said}"


def _say(line: Line, *, as_json: bool, check: bool) -> None:
    import json
    from dataclasses import asdict

    if as_json:
        print(json.dumps({**asdict(line), "check": check}, ensure_ascii=False), flush=True)
    else:
        why = f"  {line.why}" if line.why else ""
        what = WOULD.get(line.what, line.what) if check else line.what
        print(f"{line.claim:20}  {line.kind:22}  {what:12}  {line.reference}{why}", flush=True)
