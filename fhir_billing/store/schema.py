"""A book is brought to the newest schema before anybody opens it, under a lock, in one transaction."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from fhir_billing.domain.errors import SiteConfig, StoreMissing
from fhir_billing.store.locks import MIGRATION, hold
from fhir_billing.store.tables import HEAD
from fhir_billing.store.unit_of_work import CHECK, make_engine, normal_url, writing

MIGRATIONS = Path(__file__).with_name("migrations")
FIX = "run `fhir-billing migrate`"


class NoSuchRevision(SiteConfig):
    """A schema revision that this program does not know."""

    code = "no-such-revision"


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
    from alembic.util import CommandError

    _make_room(url)
    engine = make_engine(url)
    try:
        with writing(engine) as connection:
            hold(connection, MIGRATION)
            config = alembic_config(connection)
            move = command.downgrade if _is_down(config, revision_of(connection), revision) else command.upgrade
            try:
                move(config, revision)
            except CommandError as error:
                raise NoSuchRevision(f"there is no revision {revision}", fix="leave --to out for the newest") from error
            return revision_of(connection)
    except DatabaseError as error:
        raise missing_from(url, error) from error
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # patients' names: nobody else's business
    except OSError as error:
        raise StoreMissing(f"{path} cannot be made: {error.strerror}", fix=CHECK) from error


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
    if made.get_backend_name() == "sqlite" and not Path(made.database or "").is_file():
        raise StoreMissing(f"there is no store at {made.database}", fix=f"{FIX}, or set FHIR_BILLING_DATABASE")


def missing_from(url: str, error: DatabaseError) -> StoreMissing:
    """A store that does not answer, or is none, as the error that people see."""
    if isinstance(error, OperationalError):
        return StoreMissing(f"{shown(url)} does not answer", fix=f"start it, or {CHECK}")
    return StoreMissing(f"{shown(url)} is no database of ours", fix=CHECK)


def shown(url: str) -> str:
    """The database for people: a path, or a URL without its password."""
    made = normal_url(url)
    return made.database or "" if made.get_backend_name() == "sqlite" else made.render_as_string(hide_password=True)
