"""One message is one transaction: it begins here, and ends here in a commit or in nothing at all.

SQLite has one writer at a time, so a writing transaction says so when it begins (`BEGIN IMMEDIATE`) instead of failing
half way; a reading one sees the book as it was when it began.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from fhir_billing.domain.errors import Contended, StoreMissing

BUSY_MILLISECONDS = 30_000
PAUSE: Final = timedelta(milliseconds=20)
READING = "reading"
SOON = "soon"
DRIVERS: Final = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
CHECK: Final = "check FHIR_BILLING_DATABASE"
POOL: Final[dict[str, Any]] = {"pool_size": 10, "max_overflow": 40}
"""As many as the threads that serve pages."""


def normal_url(url: str) -> URL:
    """The URL as SQLAlchemy wants it: Postgres is spoken to by psycopg 3, SQLite by Python's own driver.

    Raises StoreMissing when it is neither.
    """
    try:
        made = make_url("postgresql" + url.removeprefix("postgres") if url.startswith("postgres://") else url)
    except ArgumentError as error:
        raise StoreMissing("the database is not a URL", fix=CHECK) from error
    backend = made.drivername.partition("+")[0]
    if backend not in DRIVERS or (backend == "sqlite" and not made.database):
        raise StoreMissing("the database is neither an SQLite file nor Postgres", fix=CHECK)
    return made.set(drivername=DRIVERS[backend])


def make_engine(url: str) -> Engine:
    """An engine that begins transactions as this store needs them."""
    made = normal_url(url)
    if made.get_backend_name() != "sqlite":
        return create_engine(made, pool_pre_ping=True, hide_parameters=True, **POOL)
    engine = create_engine(made, hide_parameters=True, connect_args={"timeout": BUSY_MILLISECONDS // 1000}, **POOL)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}").close()
    _write_ahead(connection)
    for pragma in (
        "synchronous = FULL",  # what a channel was told we took must survive a power cut
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _write_ahead(connection: Any) -> None:
    """Turn on the write-ahead log; of two programs that open a new file at once SQLite lets one fail without waiting."""
    deadline = time.monotonic_ns() + BUSY_MILLISECONDS * 1_000_000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic_ns() > deadline:
                raise
            time.sleep(PAUSE.total_seconds())


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    wanted = "NORMAL" if options.get(SOON, False) else "FULL"
    if not options.get(READING, False) and connection.info.get(SOON, "FULL") != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous = {wanted}")
        connection.info[SOON] = wanted
    connection.exec_driver_sql("BEGIN" if options.get(READING, False) else "BEGIN IMMEDIATE")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write. Raises Contended when another one holds the book for too long."""
    with engine.connect() as connection:
        try:
            transaction = connection.begin()
        except OperationalError as error:
            raise Contended("another program is writing to the book", fix="try again") from error
        with transaction:
            yield connection


@contextmanager
def writing_soon(engine: Engine) -> Iterator[Connection]:
    """A transaction for what can be found out again: it is whole or not there, and is forced to disk by the next `writing` one.

    A killed program loses nothing of it. After a power cut it may be gone, and then everything after it is gone too, for
    both databases write their log in order: nothing that was decided from it can be there without it.
    """
    if engine.dialect.name == "sqlite":
        soon = engine.execution_options(**{SOON: True})
        with writing(soon) as connection:
            yield connection
        return
    with writing(engine) as connection:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads; it waits for nobody."""
    postgres = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    options = {READING: True} if engine.dialect.name == "sqlite" else postgres
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection
