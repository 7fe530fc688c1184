"""The story in six acts, told while it happens; nothing in it is canned, every line is read from the book or the EHR.

1 a sandbox EHR with charts, 2 visits close and the doorbell rings, 3 charts become claims, 4 claims leave and the payer
simulator answers, 5 money is posted and the chart hears of it, 6 the desk opens.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import sys
import time
from typing import IO

from fhir_billing.cycle.act_message import keep_act
from fhir_billing.demo import sandbox
from fhir_billing.demo.server import Server
from fhir_billing.demo.table import visit_table
from fhir_billing.settings import Settings, home, mappings_root
from fhir_billing.wiring import Wiring, wire
from fhir_billing.worker import beat

ROOT = mappings_root().parent
VAR = home() / "demo"
MISSED_BY_THE_HOOK = 3
"""Visits that close while nobody listens, so that the poll has something to find."""


def say(text: str) -> None:
    """A line for the person who watches."""
    print(text, file=sys.stderr, flush=True)


def free_port(wanted: str) -> int:
    """The port that was asked for, else 8000, else any free one. Raises SystemExit with the reason when the wanted one is taken."""
    for candidate in [int(wanted)] if wanted else [8000, 0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit(f"port {wanted} of 127.0.0.1 is taken; choose another with PORT=")


def only_one() -> IO[str]:
    """A lock for as long as this demo lives: a second one would take the book away from under the first."""
    VAR.parent.mkdir(parents=True, exist_ok=True)
    lock = (VAR.parent / "demo.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SystemExit("another demo is running from this folder; stop it first (Ctrl-C where it runs)") from None
    return lock


def play(*, serve: bool, port: str = "") -> int:
    """Run the whole story; serve the desk afterwards, or print the table of visits and stop."""
    started = time.monotonic()
    chosen = free_port(port)
    alone = only_one()
    shutil.rmtree(VAR, ignore_errors=True)
    VAR.mkdir(parents=True)
    with sandbox.running(VAR / "peers") as ehr:
        say(f"1  A sandbox EHR (sekmet-fhir) listens at {ehr.url}, with SMART Backend Services")
        settings = Settings(
            database=f"sqlite:///{VAR / 'book.db'}",
            channels=VAR / "channels",
            scenario=ROOT / "examples" / "scenarios" / "demo.yaml",
            site="demo",
            ehr_url=ehr.url,
            ehr_client_id=ehr.client_id,
            ehr_key=ehr.key,
            ehr_scopes="system/*.cruds",
            ehr_per_second=0,
            public_url=f"http://127.0.0.1:{chosen}",
            hook_secret=secrets.token_urlsafe(24),
            session_secret=secrets.token_urlsafe(24),
            demo=True,
            redis_url="",
            poll_seconds=5,
        )
        migrate(settings)
        wiring = wire(settings)
        with Server(wiring, chosen) as server:
            code = _acts(wiring, server)
            say(f"   Done in {time.monotonic() - started:.0f} seconds")
            if serve:
                _open(chosen)
                server.wait()
    alone.close()
    return code


def migrate(settings: Settings) -> None:
    """Bring the store to the newest schema."""
    from fhir_billing.store.schema import migrate as bring_up

    bring_up(settings.database_url)


def _acts(wiring: Wiring, server: Server) -> int:
    charts = sandbox.load_charts(wiring, ROOT / "examples" / "charts")
    say(f"   {charts.patients} charts loaded; {len(charts.visits)} visits are open; {sandbox.checked(wiring, charts)}")
    charts.close(wiring, charts.visits[:MISSED_BY_THE_HOOK])
    sandbox.subscribe(wiring)
    charts.close(wiring, charts.visits[MISSED_BY_THE_HOOK:])
    _until(lambda: sandbox.hooks(wiring) >= len(charts.visits) - MISSED_BY_THE_HOOK, server, seconds=15)
    hooks = sandbox.hooks(wiring)
    found = beat.ring(wiring)
    say(f"2  {len(charts.visits)} visits closed: the doorbell rang for {hooks}, the poll found {found} that it missed")
    server.quiet()
    _payments(wiring)
    server.quiet()
    visits = sandbox.visits(wiring)
    say(f"3  Charts became claims: {visits}")
    say(f"4  Claims left and were answered: {sandbox.exchanged(wiring)}")
    _deposits(wiring)
    server.quiet()
    proof = sandbox.ask_the_ehr(wiring)
    say(f"5  Money is posted: {sandbox.posted(wiring)}; the EHR was asked again: {proof.say()}")
    print(visit_table(wiring))
    return 0 if proof.holds else 1


def _payments(wiring: Wiring) -> None:
    """A patient pays a copay at the desk, entered by hand."""
    for number, amount in sandbox.copays(wiring):
        keep_act(
            wiring.store,
            {"act": "pay", "claim": number, "amount": amount, "how": "card at the desk"},
            who="demo biller",
            at=wiring.clock.now(),
            key=f"demo-copay-{number}",
        )


def _deposits(wiring: Wiring) -> None:
    """The bank shows the payer's deposits with the same trace numbers."""
    for trace, amount, payer in sandbox.announced(wiring):
        keep_act(
            wiring.store,
            {"act": "deposit", "trace": trace, "amount": amount, "payer": payer},
            who="demo biller",
            at=wiring.clock.now(),
            key=f"demo-deposit-{trace}",
        )


def _until(true: object, server: Server, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.1)


def _open(port: int) -> None:
    address = f"http://127.0.0.1:{port}/"
    say(f"6  The desk is open: {address}")
    say("   Sign in as the demo user, then look at")
    say(f"     {address}sandbox-ehr           the clinician's ten seconds: an open visit in the EHR's frame")
    say(f"     {address}worklists/held        what is missing, where, and who fixes it")
    say(f"     {address}worklists/rejected    never adjudicated: mend it and send it again")
    say(f"     {address}worklists/denied      decided against us: correct, appeal or give up")
    say(f"     {address}remittances           each with its arithmetic; one is quarantined, and shows why")
    say(f"     {address}quarantine            what broke its own rules, kept whole")
    say(f"     {address}desk/ehr              what this EHR can do, and what is done instead")
    say("   Ctrl-C stops it. In another shell: .venv/bin/fhir-billing ledger --all, why CLAIM, replay")
    if os.environ.get("DISPLAY") or sys.platform == "darwin":
        import webbrowser

        webbrowser.open(address)
