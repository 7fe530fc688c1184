"""A file of lines is read as it comes, one line at a time, and a line that never ends fills no memory.

Spec: NDJSON, as FHIR Bulk Data 2 uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

MOST_OF_A_LINE: Final = 4_000_000


def lines(pieces: Iterable[bytes], *, most: int = MOST_OF_A_LINE) -> Iterator[tuple[int, bytes | None]]:
    r"""Each line that is not empty, with its number; None for one that is longer than may be.

    >>> list(lines([b'{"a"', b":1}\n\nx", b"xxxx\ny"], most=4))
    [(1, None), (3, None), (4, b'y')]
    """
    number, held, too_long = 1, bytearray(), False
    for piece in pieces:
        *whole, rest = piece.split(b"\n")
        for part in whole:
            if too_long or len(held) + len(part) > most:
                yield number, None
            elif line := bytes(held + part).strip():
                yield number, line
            number, held, too_long = number + 1, bytearray(), False
        if len(held) + len(rest) > most:
            held, too_long = bytearray(), True
        elif not too_long:
            held += rest
    if too_long:
        yield number, None
    elif line := bytes(held).strip():
        yield number, line
