"""`ledger`: for each claim that a posted remittance names, what was billed, paid, adjusted and is still owed."""

from __future__ import annotations

import argparse
import json


def add(parser: argparse.ArgumentParser) -> None:
    """As JSON, or as a table for people."""
    parser.add_argument("--json", action="store_true", help="a JSON list; money as text with two decimals")
    parser.add_argument("--all", action="store_true", help="also claims that no posted remittance names yet")


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    from fhir_billing.cli.opening import opened
    from fhir_billing.cycle.sums import claim_sums

    with opened() as wiring, wiring.store.looking() as book:
        rows = claim_sums(book, everything=args.all)
    if args.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    head = ("claim", "billed", "charge", "paid", "patient", "open")
    print("  ".join(f"{word:>14}" if n else f"{word:22}" for n, word in enumerate(head)))
    for row in rows:
        print("  ".join(f"{row[word]!s:>14}" if n else f"{row[word]!s:22}" for n, word in enumerate(head)))
    return 0
