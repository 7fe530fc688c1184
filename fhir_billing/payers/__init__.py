"""A channel moves sealed envelopes to a payer or clearinghouse and back, and never opens one.

Each file in this folder is a channel: its name is the channel's name, `open_channel` opens it. A channel of your own is
one more file.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path

from fhir_billing.cycle.ports import Channel, Clock
from fhir_billing.domain.errors import UnknownTradingPartner


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """What a channel may need to know of the installation."""

    root: Path
    """Where folder-like channels keep their files, each in a folder of its own name."""
    clock: Clock
    scenario: Path | None = None
    """How the payer simulator answers (loopback)."""
    quiet_seconds: int = 2
    """How long a file that somebody else drops must lie unchanged before it is taken (folder)."""


def channel_names() -> list[str]:
    """Every channel there is."""
    return sorted(one.name.replace("_", "-") for one in pkgutil.iter_modules(__path__) if not one.name.startswith("_"))


def channel(name: str, settings: ChannelSettings) -> Channel:
    """Open the channel of this name; raises `UnknownTradingPartner` when there is none."""
    if name not in channel_names():
        raise UnknownTradingPartner(
            f"there is no channel {name!r}", fix=f"write one of {', '.join(channel_names())} into the payer's file"
        )
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    opened: Channel = module.open_channel(settings)
    return opened
