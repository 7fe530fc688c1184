"""A person's act becomes a message: kept under the form's own key, so that a second click does nothing more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fhir_billing.cycle.ports import Store
from fhir_billing.cycle.records import Kind, Message


def keep_act(store: Store, facts: Mapping[str, Any], *, who: str, at: datetime, key: str) -> tuple[Message, bool]:
    """Keep an act; False when this key is known already."""
    return store.keep(
        Kind.ACT, key, json.dumps(dict(facts), ensure_ascii=False).encode(), at=at, channel="desk", who=who
    )
