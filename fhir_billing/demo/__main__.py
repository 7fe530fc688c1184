"""`make demo`: a visit closes, a claim leaves, money arrives, the EHR knows."""

from __future__ import annotations

import os
import sys

from fhir_billing.demo.story import play

if __name__ == "__main__":
    sys.exit(play(serve=os.environ.get("SERVE", "1") not in {"0", ""}, port=os.environ.get("PORT", "")))
