"""`worker`: the beat in a process of its own; with REDIS_URL on Redis Streams, any number of them."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fhir_billing.wiring import Wiring


def add(parser: argparse.ArgumentParser) -> None:
    """Once, or for ever."""
    parser.add_argument("--once", action="store_true", help="beat until nothing moves, then stop")


def _once(wiring: Wiring) -> int:
    from fhir_billing.domain.errors import BillingError
    from fhir_billing.worker.beat import ring, until_quiet

    code = 0
    try:
        ring(wiring)
    except BillingError as error:
        print(f"fhir-billing: {error}; what is here already is worked all the same", file=sys.stderr)
        code = 3
    until_quiet(wiring)
    return code


def _once_each(wirings: Sequence[Wiring]) -> int:
    """One tenant that fails stops no other."""
    code = 0
    for wiring in wirings:
        try:
            code = max(code, _once(wiring))
        except Exception as error:
            print(f"fhir-billing: {wiring.settings.tenant}: {type(error).__name__}", file=sys.stderr)
            code = 3
    return code


def run(args: argparse.Namespace) -> int:
    """Beat for every tenant, or for the one that is chosen; one that cannot beat now is said, and stops no other."""
    from fhir_billing.cli.opening import all_opened
    from fhir_billing.logs import set_up

    set_up()
    wirings, code = all_opened()
    if args.once:
        return max(code, _once(wirings[0]) if len(wirings) == 1 else _once_each(wirings))
    if wirings[0].settings.redis_url:
        from fhir_billing.worker import listening, mllp
        from fhir_billing.worker.streams import make_worker

        with ExitStack() as ears:
            for wiring in wirings:
                try:
                    ears.enter_context(mllp.listening(wiring))
                    ears.enter_context(listening.listening(wiring))
                except Exception as error:
                    print(f"fhir-billing: {wiring.settings.tenant}: {type(error).__name__}", file=sys.stderr)
            make_worker(wirings).run_sync()
        return 0
    _beat(wirings)
    return 0


def _beat(wirings: Sequence[Wiring]) -> None:
    """One heart for each tenant, until a TERM."""
    from fhir_billing.worker.embedded import Heart

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    hearts = [Heart(wiring) for wiring in wirings]
    for heart in hearts:
        heart.start()
    stop.wait()
    for heart in hearts:
        heart.ask_to_stop()
    for heart in hearts:
        heart.stop()
