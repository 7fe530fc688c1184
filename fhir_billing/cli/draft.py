"""`draft`: every finished visit in charts becomes a FHIR Claim, ready or held, with a reason for each that is not ready."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Charts, and how to read them."""
    from datetime import date

    parser.add_argument(
        "paths", nargs="+", metavar="PATH", type=Path, help="Bundles, NDJSON, .gz, folders with sub-folders"
    )
    parser.add_argument(
        "--site", metavar="S", help="whose mappings, payers and prices (default: FHIR_BILLING_SITE, or demo)"
    )
    parser.add_argument(
        "--as-of", type=date.fromisoformat, metavar="DATE", help="the day of billing (default: each visit's last day)"
    )
    parser.add_argument(
        "--findings",
        type=Path,
        metavar="FILE",
        help="write an OperationOutcome a line for each visit that is not ready",
    )


def run(args: argparse.Namespace) -> int:
    """One Claim a line; the sum on the last line of standard error."""
    from fhir_billing.cli.drafting import draft_charts

    return draft_charts(args.paths, site=args.site, as_of=args.as_of, findings=args.findings)
