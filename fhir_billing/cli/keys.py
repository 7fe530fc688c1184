"""`keys`: make a key with which we sign in at an EHR, and show the half of it that is registered there."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """What to do, with which file."""
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    make = acts.add_parser("make", help="make a private key, readable by you alone; nothing is replaced")
    make.add_argument("path", type=Path, metavar="PATH")
    make.add_argument("--rsa", action="store_true", help="RSA (RS384), for an EHR that does not take P-384 (ES384)")
    show = acts.add_parser("show", help="the public half, as a JWKS")
    show.add_argument("path", type=Path, metavar="PATH")


def run(args: argparse.Namespace) -> int:
    """Print the JWKS; 3 when there is no such key, or when there is one already where one should be made."""
    from fhir_billing.ehr.client_keys import make_key, public_keys

    found = make_key(args.path, rsa_key=args.rsa) if args.act == "make" else public_keys(args.path)
    print(json.dumps(found, indent=2))
    if args.act == "make":
        print(
            f"{args.path}: keep it to this program alone. Name it as FHIR_BILLING_EHR_KEY, and the one before it as "
            "FHIR_BILLING_EHR_MORE_KEYS until the EHR has fetched this one.",
            file=sys.stderr,
        )
    return 0
