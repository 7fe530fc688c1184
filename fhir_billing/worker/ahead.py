"""While one visit is kept the next ones are already on their way: the EHR's answers are waited for together, and kept in their order.

Only a few are read ahead, so that an EHR is never asked more at once than its setting says, and a worker that is killed has
read little for nothing. What was read is kept by one thread, one visit after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from fhir_billing.cycle.ports import EhrReader

Resource = dict[str, Any]


class Ahead:
    """The visits that will be asked for, in this order; use it in a `with`."""

    def __init__(self, reader: EhrReader | None, visits: Iterable[str], at_once: int) -> None:
        self._reader, self._at_once = reader, max(1, at_once)
        self._waiting = deque(visits)
        self._coming: dict[str, Future[list[Resource]]] = {}
        self._few: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._reader is not None and self._at_once > 1 and len(self._waiting) > 1:
            self._few = ThreadPoolExecutor(max_workers=self._at_once)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._few is not None:
            self._few.shutdown(cancel_futures=True)

    def gather(self, reader: EhrReader, encounter: str) -> list[Resource]:
        """A visit's resources: as read ahead, once, else read now."""
        coming = self._coming.pop(encounter, None)
        if encounter in self._waiting:
            self._waiting.remove(encounter)
            coming = self._send(encounter)
        while self._few is not None and self._waiting and len(self._coming) + 1 < self._at_once:
            following = self._waiting.popleft()
            if (future := self._send(following)) is not None:
                self._coming[following] = future
        return coming.result() if coming is not None else reader.gather(encounter)

    def leave(self, encounter: str) -> None:
        """A visit that will not be asked for after all."""
        self._coming.pop(encounter, None)
        if encounter in self._waiting:
            self._waiting.remove(encounter)

    def _send(self, encounter: str) -> Future[list[Resource]] | None:
        if self._few is None or self._reader is None:
            return None
        return self._few.submit(self._reader.gather, encounter)
