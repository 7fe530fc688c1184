"""A schema goes up and down on both databases, and the guards of the ledger survive each step."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from fhir_billing.cycle.records import Kind
from fhir_billing.domain.errors import StoreMissing
from fhir_billing.domain.ledger import BANK, CLEARING, Journal, Posting
from fhir_billing.store import guards, tables
from fhir_billing.store.schema import alembic_config, migrate, revision_of
from fhir_billing.store.store import open_store
from fhir_billing.store.unit_of_work import make_engine, reading, writing

SCRIPTS = ScriptDirectory.from_config(alembic_config())
UPWARD = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
BINARY = Path(sys.executable).with_name("fhir-billing")


@pytest.fixture
def url(each_database: str) -> str:
    return each_database


def names(url: str) -> set[str]:
    engine = make_engine(url)
    with reading(engine) as connection:
        found = set(inspect(connection).get_table_names())
    engine.dispose()
    return found


def put_something_in(url: str) -> None:
    store = open_store(url)
    message, _ = store.keep(Kind.FILE, "k", b"x", at=datetime(2026, 3, 2, tzinfo=UTC))
    sides = (Posting(account=BANK, amount=5), Posting(account=CLEARING, amount=-5))
    with store.begin() as book:
        book.post(Journal(key="j", posted_on=date(2026, 3, 2), because="x", postings=sides), message.id)
        book.audit(at=message.at, who="Zztest", what="x")
    store.close()


def test_there_is_one_head_and_the_program_knows_it() -> None:
    assert SCRIPTS.get_heads() == [tables.HEAD]


def test_each_migration_goes_up_and_down_and_the_guards_survive_each(url: str) -> None:
    engine = make_engine(url)
    for revision in UPWARD:
        assert migrate(url, revision) == revision
        with reading(engine) as connection:
            assert guards.missing(connection) == set(), f"after {revision}"
    assert names(url) == {*tables.book.tables, "alembic_version"}
    put_something_in(url)
    for revision in [*reversed(UPWARD[:-1]), "base"]:
        migrate(url, revision)
        with reading(engine) as connection:
            assert revision_of(connection) == revision.removeprefix("base")
            assert revision == "base" or guards.missing(connection) == set(), f"back at {revision}"
    assert names(url) == {"alembic_version"}
    assert migrate(url) == tables.HEAD
    assert migrate(url) == tables.HEAD
    put_something_in(url)
    engine.dispose()


def test_the_migrations_make_exactly_the_tables_that_the_program_uses(url: str) -> None:
    migrate(url)
    engine = make_engine(url)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": tables.book})
        assert compare_metadata(context, tables.book) == []
    engine.dispose()


def test_a_migration_that_fails_leaves_the_schema_as_it_was(url: str) -> None:
    engine = make_engine(url)
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE visit (x INTEGER)")
    with pytest.raises(StoreMissing):
        migrate(url)
    assert names(url) == {"visit"}
    engine.dispose()


def test_two_programs_that_migrate_at_once_do_it_once(url: str) -> None:
    script = "import sys; from fhir_billing.store.store import migrate; print(migrate(sys.argv[1]))"
    both = [subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [program.communicate(timeout=60)[0].strip() for program in both] == [tables.HEAD] * 2


def test_a_store_that_is_not_ready_says_what_to_do(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="run `fhir-billing migrate`"):
        open_store(url)
    migrate(url)
    migrate(url, "base")
    with pytest.raises(StoreMissing, match="is empty; run `fhir-billing migrate`"):
        open_store(url)
    migrate(url)
    engine = make_engine(url)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(StoreMissing, match=f"has schema 9999, this program needs {tables.HEAD}"):
        open_store(url)


def test_a_store_that_is_none_says_so_and_shows_no_password(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("Dear Mrs. Example, this is no database at all, it is a letter.")
    for wrong, say in {
        "postgresql://zztest:secret@127.0.0.1:1/book": "does not answer",
        f"sqlite:///{tmp_path / 'letter.db'}": "is no database of ours",
        "mysql://127.0.0.1/book": "neither an SQLite file nor Postgres",
        "sqlite://": "neither an SQLite file nor Postgres",
        "book": "not a URL",
    }.items():
        with pytest.raises(StoreMissing, match=say) as caught:
            open_store(wrong)
        assert "secret" not in str(caught.value)
        with pytest.raises(StoreMissing, match=say):
            migrate(wrong)


def test_the_command_makes_a_store_and_answers_with_its_exit_code(tmp_path: Path) -> None:
    def run(database: str, *words: str) -> tuple[int, str]:
        environment = {"FHIR_BILLING_DATABASE": database, "PATH": "/usr/bin"}
        done = subprocess.run([BINARY, "migrate", *words], env=environment, capture_output=True, text=True)
        return done.returncode, done.stderr

    database = str(tmp_path / "new" / "book.db")
    assert run(database) == (0, f"{database} is at {tables.HEAD}\n")
    assert run(database, "--to", "base") == (0, f"{database} is at nothing\n")
    assert run(database, "--to", "77")[0] == 2
    assert run("postgresql://127.0.0.1:1/book")[0] == 3
