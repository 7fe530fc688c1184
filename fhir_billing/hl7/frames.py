"""On the wire a message stands between a vertical tab and a file separator; what stands outside is nothing.

Spec: HL7 v2 Transport Specification: MLLP Release 1, 2: `<SB> content <EB><CR>`, SB 0x0B, EB 0x1C, CR 0x0D.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

START: Final = b"\x0b"
END: Final = b"\x1c"
LARGEST: Final = 1_000_000
_MARKS: Final = re.compile(rb"([\x0b\x1c])")


def framed(message: bytes) -> bytes:
    """A message as it goes over the wire."""
    return START + message + END + b"\r"


@dataclass(frozen=True, slots=True)
class Frame:
    """What stood between the marks."""

    body: bytes
    too_large: bool = False
    """Then only its beginning is here."""


@dataclass(slots=True)
class Frames:
    """Cuts a stream of bytes into messages, however it arrives. A start inside a frame drops the half before it."""

    largest: int = LARGEST
    dropped: int = 0
    """How many half frames were left."""
    _held: bytearray = field(default_factory=bytearray)
    _inside: bool = False
    _too_large: bool = False

    @property
    def half(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._inside

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Every frame that ends within these bytes, in order; one that grows too large is given at once, and its rest skipped."""
        for part in _MARKS.split(data):
            if part == START:
                self.dropped += self._inside
                self._held.clear()
                self._inside, self._too_large = True, False
            elif part == END:
                if self._inside and not self._too_large:
                    yield Frame(bytes(self._held))
                self._inside = False
            elif self._inside and not self._too_large:
                self._held += part[: self.largest + 1 - len(self._held)]
                if len(self._held) > self.largest:
                    self._too_large = True
                    yield Frame(bytes(self._held[: self.largest]), too_large=True)
