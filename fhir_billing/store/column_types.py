"""A database knows fewer kinds of things than we do: here a time stays aware, a list stays a list, a state stays a state."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

Whole = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of eight bytes; SQLite counts rows only in what it calls INTEGER."""


class Utc(TypeDecorator[datetime]):
    """A moment: timestamptz on Postgres, ISO text of one width on SQLite (so that text order is time order); aware and UTC outside."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone is not a moment; hand in an aware one")
        moment = value.astimezone(UTC)
        return moment.isoformat(timespec="microseconds") if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """JSON as text; `into` gives back the shape that the record has."""

    impl = Text
    cache_ok = True

    def __init__(self, into: Callable[[Any], Any] = dict) -> None:
        super().__init__()
        self.into = into

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, default=str)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else self.into(json.loads(value))


class Word(TypeDecorator[Any]):
    """One of a fixed set of words, kept as its text."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else self.words(value)


def tuples(value: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """A mapping of lists as a mapping of tuples."""
    return {key: tuple(items) for key, items in value.items()}
