"""`ehr check` tries what an EHR can do, `ehr add` writes its tenant file, `ehr show` prints what the last check found.

By default nothing is written to the EHR. With `--write` marked probes are made and taken away again.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_billing.cycle.conformance import Conformance, Interaction
    from fhir_billing.settings import Settings
    from fhir_billing.wiring import Wiring

USABLE, NOT_USABLE, USAGE, NOT_REACHABLE = 0, 1, 2, 3


def add(parser: argparse.ArgumentParser) -> None:
    """Three words: check, add, show."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    check = words.add_parser(
        "check", help="try what an EHR can do", description="Exit 0 usable, 1 not, 3 not reachable."
    )
    check.add_argument("url", nargs="?", help="its FHIR address; the one that is set up by default")
    _options(check)
    check.add_argument(
        "--save", action="store_true", help="keep what was found in the book, for the desk and the worker"
    )
    new = words.add_parser("add", help="check an EHR and write its tenant file")
    new.add_argument("name", help="the tenant's name: small letters, digits and hyphens")
    new.add_argument("url")
    _options(new)
    new.add_argument("--site", default="demo", help="whose mappings and payers (mappings/SITE)")
    new.add_argument("--public-url", default="", help="where this EHR reaches us")
    new.add_argument("--database", default="", help="the tenant's own book")
    new.add_argument("--folder", type=Path, help="where tenant files lie (FHIR_BILLING_TENANTS by default)")
    new.add_argument("--anyway", action="store_true", help="write the file although the EHR is not usable yet")
    words.add_parser("show", help="what the last check found").add_argument("--json", action="store_true")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client-id", default="", help="as registered at the EHR")
    parser.add_argument("--key", type=Path, help="our private key (PEM)")
    parser.add_argument("--key-id", default="", help="its name (kid) at the EHR")
    parser.add_argument("--secret-env", default="", help="the environment variable that holds our client secret")
    parser.add_argument("--token-url", default="", help="where tokens are had, when the EHR does not say")
    parser.add_argument("--scopes", default="system/*.rs", help="with blanks between (default: system/*.rs)")
    parser.add_argument("--quirks", default="plain", help="the file of fhir_billing/ehr/quirks")
    parser.add_argument("--write", action="store_true", help="also try what it takes, with marked probes")
    parser.add_argument("--patient", default="", metavar="ID", help="a test patient for probes that belong to somebody")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(args: argparse.Namespace) -> int:
    """0 usable, 1 not usable, 2 wrong usage, 3 not reachable."""
    wrong = _wrong(args)
    if wrong:
        print(f"fhir-billing: {wrong}", file=sys.stderr)
        return USAGE
    return {"check": _check, "add": _add, "show": _show}[args.word](args)


def _wrong(args: argparse.Namespace) -> str:
    if args.word == "show":
        return ""
    if args.url and not args.url.startswith(("http://", "https://")):
        return f"{args.url!r} is no http address"
    if args.key and not args.key.is_file():
        return f"there is no key at {args.key}"
    if args.secret_env and not os.environ.get(args.secret_env):
        return f"the environment holds no {args.secret_env}"
    if args.patient and not re.fullmatch(r"(Patient/)?[A-Za-z0-9\-.]{1,64}", args.patient):
        return f"{args.patient!r} is no id of a patient"
    if args.word == "add" and not _is_name(args.name):
        return f"{args.name!r} is no name for a tenant: small letters, digits and hyphens"
    return ""


def _is_name(text: str) -> bool:
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", text))


def _wiring(args: argparse.Namespace) -> Wiring:
    """What is set up; of an EHR that is named on the line nothing else is taken from the environment, nor from a tenant."""
    from fhir_billing.settings import Settings
    from fhir_billing.wiring import SystemClock, Wiring, wire

    if not args.url:
        return wire()
    found = Settings()
    named = found.model_copy(
        update={
            "ehr_url": args.url.rstrip("/"),
            "ehr_client_id": args.client_id,
            "ehr_key": args.key,
            "ehr_key_id": args.key_id,
            "ehr_secret_env": args.secret_env,
            "ehr_secret_file": None,
            "ehr_token_url": args.token_url,
            "ehr_scopes": args.scopes,
            "ehr_quirks": args.quirks,
            "public_url": getattr(args, "public_url", "") or found.public_url,
        }
    )
    return Wiring(settings=named, clock=SystemClock())


def _tried(wiring: Wiring, args: argparse.Namespace) -> Conformance:
    from fhir_billing.cli.ehr_table import row_line

    def step(done: int, total: int, row: Interaction) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{done} of {total}  {row_line(row)[:90]}", end="", file=sys.stderr, flush=True)

    found = wiring.check_ehr(writes=args.write, patient=args.patient, step=step)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return found


def _printed(found: Conformance, as_json: bool) -> int:
    from fhir_billing.cli.ehr_table import table
    from fhir_billing.cycle.conformance import dump

    if found.facts.get("reachable") == "no":
        if as_json:
            print(dump(found))
        else:
            print(f"fhir-billing: nobody answers at {found.url}", file=sys.stderr)
        return NOT_REACHABLE
    print(dump(found) if as_json else table(found))
    return USABLE if found.is_usable() else NOT_USABLE


def _check(args: argparse.Namespace) -> int:
    from fhir_billing.cli.opening import opened

    if not args.save:
        return _printed(_tried(_wiring(args), args), args.json)
    with opened() as kept:
        found = _tried(_wiring(args) if args.url else kept, args)
        found = kept.keep_conformance(found)
    return _printed(found, args.json)


def _show(args: argparse.Namespace) -> int:
    from fhir_billing.cli.opening import opened

    with opened() as wiring:
        found = wiring.conformance
    if found is None:
        print("fhir-billing: no check was kept; run `fhir-billing ehr check --save`", file=sys.stderr)
        return NOT_USABLE
    return _printed(found, args.json)


def _add(args: argparse.Namespace) -> int:
    from fhir_billing import tenants

    wiring = _wiring(args)
    settings = wiring.settings
    folder = args.folder or settings.tenants
    if folder is None:
        print("fhir-billing: say where tenant files lie: --folder, or FHIR_BILLING_TENANTS", file=sys.stderr)
        return USAGE
    path = folder / f"{args.name}.yaml"
    if path.exists():
        print(f"fhir-billing: {path} is there already; it is left as it is", file=sys.stderr)
        return NOT_USABLE
    try:
        tenants.accept(path, _text(args, settings, ["poll"]))
    except tenants.TenantInvalid as error:
        print(f"fhir-billing: {error}; {path} is not written", file=sys.stderr)
        return USAGE
    found = _tried(wiring, args)
    code = _printed(found, args.json)
    if code == NOT_REACHABLE or (code == NOT_USABLE and not args.anyway):
        print(f"fhir-billing: {path} is not written; mend the above, or use --anyway", file=sys.stderr)
        return code
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(_text(args, settings, _looked(found)))
    print(_next(args, path, settings.public_url.rstrip("/"), found), file=sys.stderr)
    return code


def _looked(found: Conformance) -> list[str]:
    """How it will be looked at."""
    from fhir_billing.ehr import triggers

    known = {*triggers.known(), *triggers.RING_BY_THEMSELVES}
    return [name for name in found.triggers if name.partition("=")[0] in known] or ["poll"]


def _text(args: argparse.Namespace, settings: Settings, looked: Sequence[str]) -> str:
    """The tenant file. An EHR that is asked to ring needs a secret, and its variable is named."""
    from fhir_billing import tenants
    from fhir_billing.settings import home

    hooks = {"secret_env": _hook_secret(args.name)} if _rings(looked) else {}
    return tenants.written(
        args.name,
        public_url=settings.public_url,
        site=args.site,
        database=args.database or f"sqlite:///{home() / args.name / 'book.db'}",
        ehr=_ehr_part(args, looked),
        hooks=hooks,
    )


def _rings(looked: Sequence[str]) -> bool:
    from fhir_billing.worker.subscribing import NEEDS

    return bool(set(NEEDS) & set(looked))


def _hook_secret(name: str) -> str:
    return f"FHIR_BILLING_HOOK_SECRET_{name.upper().replace('-', '_')}"


def _ehr_part(args: argparse.Namespace, looked: Sequence[str]) -> dict[str, object]:
    """The EHR as the tenant file names it: the key by its path, the secret by its variable."""
    return {
        "url": args.url.rstrip("/"),
        "client_id": args.client_id,
        "key": str(args.key.absolute()) if args.key else "",
        "key_id": args.key_id,
        "secret_env": args.secret_env,
        "token_url": args.token_url,
        "scopes": args.scopes,
        "quirks": args.quirks,
        "triggers": list(looked),
        "rung": "auto",
    }


def _next(args: argparse.Namespace, path: Path, base: str, found: Conformance) -> str:
    """What a person does now."""
    lines = [f"Written: {path}", "", "Register at the EHR:"]
    lines.append(f"  public keys (JWKS)   {base}/.well-known/jwks.json")
    if {"hook", "topic"} & set(found.triggers):
        lines.append(f"  where it rings       {base}/hooks/ehr")
    if _rings(_looked(found)):
        name = _hook_secret(args.name)
        lines.append(f"  it rings only with the secret in {name}: export {name}=$(openssl rand -base64 33)")
    lines.append(f"  scopes               {args.scopes}")
    if args.secret_env:
        lines.append(f"  the secret stays in  {args.secret_env}, and in no file")
    lines += [
        "",
        "Then:",
        f"  export FHIR_BILLING_TENANTS={path.parent} FHIR_BILLING_TENANT={args.name}",
        "  fhir-billing migrate && fhir-billing ehr check --save && fhir-billing doctor",
    ]
    if not args.write:
        lines.append("  What it takes was not tried: run the check with --write when probes may be made.")
    return "\n".join(lines)
