"""A row reads as its record and a record writes as its row: both call each thing by the same name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

Record = TypeVar("Record")


def columns(table: Table, record: type[Any]) -> tuple[ColumnElement[Any], ...]:
    """The columns that the record has, in its order."""
    return tuple(table.c[field.name] for field in fields(record) if field.name in table.c)


def values(table: Table, record: Any) -> dict[str, Any]:
    """What the record's row holds."""
    return {column.name: getattr(record, column.name) for column in columns(table, type(record)) if column.name != "id"}


def as_record(record: type[Record], row: Row[Any]) -> Record:
    """The record of a row that was selected by `columns`."""
    return record(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for it


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, which both databases spell alike."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def upsert(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert, or replace what has the same primary key."""
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in row.items() if name not in keys}
    connection.execute(
        insert(connection, table).values(dict(row)).on_conflict_do_update(index_elements=keys, set_=rest)
    )
