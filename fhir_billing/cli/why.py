"""`why`: the biography of a claim: every file, finding, move, journal, person and send, each with the hash of its bytes."""

from __future__ import annotations

import argparse
import json
import sys


def add(parser: argparse.ArgumentParser) -> None:
    """Which claim, and in which form."""
    parser.add_argument("claim", metavar="CLAIM")
    parser.add_argument("--json", action="store_true", help="[{at, kind, what, who, sha256}], oldest first")
    parser.add_argument("--elements", action="store_true", help="only: where each element of the Claim came from")


def run(args: argparse.Namespace) -> int:
    """Print it; 1 when there is no such claim."""
    from fhir_billing.cli.opening import opened
    from fhir_billing.cycle.explain import elements

    with opened() as wiring:
        with wiring.store.looking() as book:
            claim = book.claim(args.claim)
            lines = book.biography(args.claim)
            if claim is None and not lines:
                print(f"fhir-billing: there is no claim {args.claim}; `ledger --all` lists them", file=sys.stderr)
                return 1
            origins = elements(book, wiring.site, claim) if claim and (args.elements or not args.json) else []
        with wiring.store.begin() as book:
            book.audit(at=wiring.clock.now(), who="command line", what="read the biography", about=args.claim)
        if args.json:
            rows = [
                {"at": o.at.isoformat(), "kind": o.kind, "what": o.what, "who": o.who, "sha256": o.sha256}
                for o in lines
            ]
            print(json.dumps(origins if args.elements else rows, indent=1, ensure_ascii=False))
            return 0
        if not args.elements:
            for o in lines:
                print(f"{o.at:%Y-%m-%d %H:%M:%S}  {o.kind:8}  {o.what}  [{o.who}]  {o.sha256[:12]}")
            print()
        print("Where each element of the Claim came from")
        for row in origins:
            print(f"  {row['element']:58}  {row['mapping']:44}  {row['source']}")
    return 0
