"""`receive`: a payer's files are kept first, then worked before the command returns."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Files, and how they came."""
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
    parser.add_argument("--channel", default="hand", metavar="C", help="how they came (default: hand)")
    parser.add_argument("--at", type=_time, metavar="TIME", help="when they came, ISO 8601 (default: now)")


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise argparse.ArgumentTypeError("no such time") from error


def run(args: argparse.Namespace) -> int:
    """One JSON line a file; 1 only when one is quarantined."""
    from dataclasses import asdict

    from fhir_billing.cli.opening import opened
    from fhir_billing.cycle.arrive import receive

    code = 0
    with opened() as wiring:
        for path in args.files:
            try:
                body = path.read_bytes()
            except OSError as error:
                print(f"{path}: cannot be read: {error.strerror}; check the path", file=sys.stderr)
                code = max(code, 1)
                continue
            at = args.at or wiring.clock.now()
            found = receive(
                wiring.store, wiring.site, name=path.name, body=body, at=at, channel=args.channel, who="command line"
            )
            row = {**asdict(found), "file": str(path)}
            row.pop("complaints")
            print(json.dumps(row, ensure_ascii=False), flush=True)
            if found.outcome == "quarantined":
                for complaint in found.complaints or (found.say,):
                    print(f"{path}: {complaint}", file=sys.stderr)
                code = max(code, 1)
    return code
