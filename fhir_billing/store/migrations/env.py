"""All steps of one migration run are one transaction, on SQLite as on Postgres: a book is at the old schema or at the new one."""

from __future__ import annotations

from alembic import context

from fhir_billing.store.tables import book


def run() -> None:
    """Run on the connection that `migrate` has opened and locked."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=book,
        transactional_ddl=True,
        render_as_batch=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
