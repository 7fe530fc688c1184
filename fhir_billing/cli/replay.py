"""`replay`: the inbox worked again, in its order, into a temporary store; then both books are compared."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(args: argparse.Namespace) -> int:
    """0 when both are equal to the cent."""
    import tempfile
    from pathlib import Path

    from fhir_billing.cli.opening import opened
    from fhir_billing.cycle.replay import replay
    from fhir_billing.store.schema import migrate
    from fhir_billing.store.store import open_store

    with opened() as wiring, tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'replay.db'}"
        migrate(url)
        fresh = open_store(url)
        found = replay(wiring.store, fresh, wiring.site, wiring.store.worked_messages())
        fresh.close()
    print(found.say())
    return 1 if found.differences else 0
