"""pyx12 and x12sdk as one question each: does a stranger read this."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pyx12.params
from pyx12.x12n_document import x12n_document
from x12sdk.io import X12ModelReader


def pyx12_says(data: bytes) -> bool:
    """pyx12's verdict against its maps."""
    logging.disable(logging.CRITICAL)
    try:
        return bool(x12n_document(pyx12.params.params(), io.StringIO(data.decode()), io.StringIO(), None))
    finally:
        logging.disable(logging.NOTSET)


def models(data: bytes, folder: Path) -> Iterator[object]:
    """x12sdk's models, one a set; it raises where it refuses."""
    path = folder / "one.oracle"
    path.write_bytes(data)
    with X12ModelReader(str(path)) as reader:
        yield from reader.models()
