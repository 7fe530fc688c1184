"""`migrate`: bring the store to the newest schema; it is made when it is not there."""

from __future__ import annotations

import argparse
import sys


def add(parser: argparse.ArgumentParser) -> None:
    """Where to; nothing else."""
    parser.add_argument("--to", default="head", metavar="REVISION", help="a revision, or base (default: the newest)")


def run(args: argparse.Namespace) -> int:
    """0 when the store is at the revision; 2 when there is no such revision, 3 when it cannot be reached."""
    from fhir_billing.domain.errors import BillingError
    from fhir_billing.settings import Settings
    from fhir_billing.store.schema import NoSuchRevision, migrate, shown

    url = Settings().database_url
    try:
        revision = migrate(url, args.to)
    except BillingError as error:
        print(f"fhir-billing: {error}", file=sys.stderr)
        return 2 if isinstance(error, NoSuchRevision) else 3
    print(f"{shown(url)} is at {revision or 'nothing'}", file=sys.stderr)
    return 0
