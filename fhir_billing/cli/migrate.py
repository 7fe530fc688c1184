"""`migrate`: bring the store to the newest schema; it is made when it is not there."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_billing.wiring import Installation


def add(parser: argparse.ArgumentParser) -> None:
    """Where to; nothing else."""
    parser.add_argument("--to", default="head", metavar="REVISION", help="a revision, or base (default: the newest)")


def run(args: argparse.Namespace) -> int:
    """0 when each tenant's store is at the revision; 2 when there is no such revision, 3 when one cannot be reached."""
    from fhir_billing.wiring import install

    found = install()
    return max(_migrated(found, name, args.to) for name in found.names)


def _migrated(found: Installation, name: str, revision: str) -> int:
    from fhir_billing.domain.errors import BillingError
    from fhir_billing.store.schema import NoSuchRevision, migrate, shown

    of = f"{name}: " if len(found.names) > 1 else ""
    try:
        url = found[name].settings.database_url
        at = migrate(url, revision)
    except BillingError as error:
        print(f"fhir-billing: {of}{error}", file=sys.stderr)
        return 2 if isinstance(error, NoSuchRevision) else 3
    print(f"{of}{shown(url)} is at {at or 'nothing'}", file=sys.stderr)
    return 0
