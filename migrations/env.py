"""Alembic's entry: the connection is handed in by `dujiang.database`, which holds the lock; offline mode is not offered."""

from alembic import context

from dujiang.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("run migrations with `dujiang migrate`, which knows the database")
# A transaction each: the locks of one are not held while the next fills a table.
context.configure(
    connection=connection,
    target_metadata=metadata,
    compare_type=True,
    compare_server_default=False,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
