"""A log line says what happened to which claim number, never to whom: what could name a patient prints as ▮▮▮, whoever wrote the line.

Structured lines to standard error. Names, birth dates, addresses and member ids are not keys that anything here logs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

FORBIDDEN = frozenset(
    {
        "name",
        "family",
        "given",
        "patient",
        "patient_name",
        "birth_date",
        "member_id",
        "address",
        "ssn",
        "body",
        "resource",
    }
)
"""Keys whose value never reaches a log, whoever writes it."""


def hide(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what identifies a patient."""
    for key in event.keys() & FORBIDDEN:
        event[key] = "▮▮▮"
    return event


def set_up(level: str = "INFO") -> None:
    """Lines as JSON when nobody watches, as text in a terminal."""
    renderer: Any = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would print URLs with patient ids


def log(room: str) -> Any:
    """The logger of one room."""
    return structlog.get_logger().bind(room=room)


@contextmanager
def of_tenant(name: str) -> Iterator[None]:
    """Lines of this block, and of what it begins, say whose they are."""
    with structlog.contextvars.bound_contextvars(**({"tenant": name} if name else {})):
        yield
