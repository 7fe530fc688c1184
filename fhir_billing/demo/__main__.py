"""`make demo`: a visit closes, a claim leaves, money arrives, the EHR knows."""

from __future__ import annotations

import os
import signal
import sys

from fhir_billing.demo.story import play


def _end(*_: object) -> None:
    """A TERM ends the demo as Ctrl-C does, so that what it started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        code = play(serve=os.environ.get("SERVE", "1") not in {"0", ""}, port=os.environ.get("PORT", ""))
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
