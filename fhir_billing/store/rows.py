"""A row reads as its record and a record writes as its row: both call each thing by the same name.

Each statement is made once and kept: making it costs more than the database takes to answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, Update, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

Record = TypeVar("Record")
Shape = Callable[..., Any]
"""A record's class."""


@cache
def columns(table: Table, record: Shape) -> tuple[ColumnElement[Any], ...]:
    """The columns that the record has, in its order."""
    return tuple(table.c[field.name] for field in fields(cast("type[Any]", record)) if field.name in table.c)


@cache
def _written(table: Table, record: Shape) -> tuple[str, ...]:
    return tuple(column.name for column in columns(table, record) if column.name != "id")


def values(table: Table, record: Any) -> dict[str, Any]:
    """What the record's row holds."""
    return {name: getattr(record, name) for name in _written(table, cast("Shape", type(record)))}


def as_record(record: type[Record], row: Row[Any]) -> Record:
    """The record of a row that was selected by `columns`."""
    return record(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for it


@cache
def all_of(record: Shape, table: Table) -> Select[Any]:
    """A SELECT of all rows as records."""
    return select(*columns(table, record))


@cache
def those(record: Shape, table: Table, by: tuple[str, ...], order: tuple[str, ...] = ()) -> Select[Any]:
    """A SELECT of the rows whose columns `by` have the values that are handed in under the same names."""
    return all_of(record, table).where(*(table.c[name] == bindparam(name) for name in by)).order_by(*_in(table, order))


def _in(table: Table, names: tuple[str, ...]) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in names]


@cache
def one_locked(record: Shape, table: Table, by: str) -> Select[Any]:
    """A SELECT of one row that nobody else may change until the transaction ends."""
    return those(record, table, (by,)).with_for_update()


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, which both databases spell alike."""
    return _insert(connection.dialect.name, table)


def _insert(dialect: str, table: Table) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


@cache
def _new(dialect: str, table: Table, conflict: tuple[str, ...], returning: tuple[str, ...]) -> Any:
    made = _insert(dialect, table).on_conflict_do_nothing(index_elements=conflict or None)
    return made.returning(*_in(table, returning)) if returning else made


def enter(
    connection: Connection,
    table: Table,
    row: Mapping[str, Any],
    *,
    conflict: tuple[str, ...] = (),
    returning: tuple[str, ...] = (),
) -> Any:
    """Insert a row unless one with the same key is there; what is asked of it comes back."""
    return connection.execute(_new(connection.dialect.name, table, conflict, returning), row)


@cache
def _added(table: Table) -> Any:
    return table.insert()


def add(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row."""
    connection.execute(_added(table), row)


@cache
def _upsert(dialect: str, table: Table, names: tuple[str, ...]) -> Any:
    keys = [column.name for column in table.primary_key]
    made = _insert(dialect, table)
    rest = {name: made.excluded[name] for name in names if name not in keys}
    return made.on_conflict_do_update(index_elements=keys, set_=rest)


def upsert(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert, or replace what has the same primary key."""
    connection.execute(_upsert(connection.dialect.name, table, tuple(row)), row)


@cache
def _same(table: Table, by: tuple[str, ...]) -> Update:
    return update(table).where(*(table.c[name] == bindparam(f"its_{name}") for name in by))


def change(connection: Connection, table: Table, row: Mapping[str, Any], **same: Any) -> bool:
    """Update the row that has these values; whether there is one."""
    which = {f"its_{name}": value for name, value in same.items()}
    return bool(connection.execute(_same(table, tuple(same)), {**row, **which}).rowcount)
