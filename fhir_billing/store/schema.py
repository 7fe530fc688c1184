"""A book is brought to the newest schema before anybody opens it, under a lock, in one transaction."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from fhir_billing.domain.errors import StoreMissing
from fhir_billing.store.locks import MIGRATION, hold
from fhir_billing.store.tables import HEAD
from fhir_billing.store.unit_of_work import make_engine, normal_url, writing

MIGRATIONS = Path(__file__).with_name("migrations")
FIX = "run `fhir-billing migrate`"


def alembic_config(connection: Connection | None = None) -> Any:
    """Alembic's configuration, without a file: the scripts lie in this package."""
    from alembic.config import Config  # late: it costs a tenth of a second

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def migrate(url: str, revision: str = "head") -> str:
    """Bring the store to this revision (`head`, `base`, or one between, up or down); makes an SQLite file that is not there."""
    from alembic import command

    _make_room(url)
    engine = make_engine(url)
    try:
        with writing(engine) as connection:
            hold(connection, MIGRATION)
            config = alembic_config(connection)
            move = command.downgrade if _is_down(config, revision_of(connection), revision) else command.upgrade
            move(config, revision)
            return revision_of(connection)
    except OperationalError as error:
        raise StoreMissing(_unreachable(url), fix="check FHIR_BILLING_DATABASE") from error
    finally:
        engine.dispose()


def _is_down(config: Any, now: str, wanted: str) -> bool:
    from alembic.script import ScriptDirectory

    if wanted == "base":
        return True
    if wanted == "head" or not now:
        return False
    below = {script.revision for script in ScriptDirectory.from_config(config).iterate_revisions(now, "base")}
    return wanted in below - {now}


def _make_room(url: str) -> None:
    made = normal_url(url)
    if made.get_backend_name() != "sqlite" or not made.database:
        return
    path = Path(made.database)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # patients' names: nobody else's business


def revision_of(connection: Connection) -> str:
    """The revision that the store is at; empty when it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def check_schema(url: str, connection: Connection) -> None:
    """Raises StoreMissing when the store is not at the newest schema."""
    now = revision_of(connection)
    if not now:
        raise StoreMissing(f"{shown(url)} is empty", fix=FIX)
    if now != HEAD:
        raise StoreMissing(f"{shown(url)} has schema {now}, this program needs {HEAD}", fix=FIX)


def check_reachable(url: str) -> None:
    """Raises StoreMissing when there is no SQLite file at all: opening it would make an empty one."""
    made = normal_url(url)
    if made.get_backend_name() not in {"sqlite", "postgresql"}:
        raise StoreMissing(f"{shown(url)} is neither SQLite nor Postgres", fix="check FHIR_BILLING_DATABASE")
    if made.get_backend_name() == "sqlite" and not Path(made.database or "").is_file():
        raise StoreMissing(f"there is no store at {made.database}", fix=f"{FIX}, or set FHIR_BILLING_DATABASE")


def missing_from(url: str, error: SQLAlchemyError) -> StoreMissing:
    """A store that does not answer, as the error that people see."""
    return StoreMissing(f"{_unreachable(url)} ({type(error).__name__})", fix="start it, or check FHIR_BILLING_DATABASE")


def _unreachable(url: str) -> str:
    return f"{shown(url)} does not answer"


def shown(url: str) -> str:
    """The URL without its password."""
    return normal_url(url).render_as_string(hide_password=True)
