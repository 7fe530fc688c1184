"""`reconcile`: the chart's visits beside the book, now: what is missing here, what changed there, what is gone there."""

from __future__ import annotations

import argparse
import sys
from datetime import date


def add(parser: argparse.ArgumentParser) -> None:
    """Which days, and in which form."""
    parser.add_argument("--since", type=date.fromisoformat, metavar="DATE", help="first day (35 days before the last)")
    parser.add_argument("--until", type=date.fromisoformat, metavar="DATE", help="last day (today)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="{since, until, theirs, ours, fresh, differences: [{kind, encounter, version, status, ours, say}]}",
    )
    parser.add_argument("--mend", action="store_true", help="open a worklist item for each, and read it again")


def run(args: argparse.Namespace) -> int:
    """0 when they agree, 1 when some differ, 3 when there is no EHR or it does not answer."""
    import json

    from fhir_billing.cli.opening import opened
    from fhir_billing.cycle.reconcile import as_row
    from fhir_billing.worker import nightly

    with opened() as wiring:
        if args.since and args.until and args.since > args.until:
            print("fhir-billing: --since is after --until", file=sys.stderr)
            return 2
        if wiring.ehr is None:
            print("fhir-billing: no EHR is set up; set FHIR_BILLING_EHR_URL", file=sys.stderr)
            return 3
        found = nightly.look(wiring, args.since, args.until)
        if args.mend:
            nightly.keep(wiring, found, wiring.clock.now().isoformat(timespec="seconds"))
    if args.json:
        said = {
            "since": found.since.isoformat(), "until": found.until.isoformat(),
            "theirs": found.theirs, "ours": found.ours, "fresh": found.fresh,
            "differences": [{**as_row(one), "say": one.say} for one in found.differences],
        }  # fmt: skip
        print(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        for one in found.differences:
            print(f"{one.kind:8}  {one.encounter:40}  {one.say}")
    count = len(found.differences)
    print(
        f"{found.since} to {found.until}: {found.theirs} sightings in the chart, {found.ours} visits in the book, "
        f"{count or 'none'} {'differs' if count == 1 else 'differ'}",
        file=sys.stderr,
    )
    if found.fresh:
        minutes = nightly.GRACE.seconds // 60
        print(f"{found.fresh} too fresh to judge (changed in the last {minutes} minutes)", file=sys.stderr)
    return 1 if count else 0
