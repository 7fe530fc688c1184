"""`worker`: the beat in a process of its own; with REDIS_URL on Redis Streams, any number of them."""

from __future__ import annotations

import argparse
import signal
import sys
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


def run(args: argparse.Namespace) -> int:
    """Beat."""
    from fhir_billing.cli.opening import opened
    from fhir_billing.logs import set_up

    set_up()
    with opened() as wiring:
        if args.once:
            return _once(wiring)
        if wiring.settings.redis_url:
            from fhir_billing.worker.mllp import listening
            from fhir_billing.worker.streams import make_worker

            with listening(wiring):
                make_worker(wiring).run_sync()
            return 0
        from fhir_billing.worker.embedded import Heart

        heart = Heart(wiring)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: heart.ask_to_stop())
        heart.run()
    return 0
