"""Alembic migrations of the one database: the engine's tables, the state tables, the history."""
