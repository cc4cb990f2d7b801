"""Alembic's entry: take the steps on the connection, and in the transaction, of the runner."""

from alembic import context

from freehold.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by rebuilding it
)
context.run_migrations()
