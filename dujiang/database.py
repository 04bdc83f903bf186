"""The schema of the database: migrate to the newest, say what is missing."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

import migrations
from engine.locks import Number


def engine_of(dsn: str) -> Engine:
    """A SQLAlchemy engine for a libpq URL or DSN, over psycopg 3."""
    if "://" in dsn:
        return create_engine(make_url(dsn).set(drivername="postgresql+psycopg"))
    import psycopg

    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))


def migrate(dsn: str) -> None:
    """Bring the schema to the newest revision. Two at once wait for each other."""
    engine = engine_of(dsn)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": Number.MIGRATION})
            connection.commit()  # the session holds the lock; each migration has a transaction of its own
            config = _config()
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            finally:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": Number.MIGRATION})
                connection.commit()
    finally:
        engine.dispose()


def is_current(dsn: str) -> bool:
    """Whether nothing is left to migrate."""
    engine = engine_of(dsn)
    try:
        with engine.connect() as connection:
            present = MigrationContext.configure(connection).get_current_heads()
        return set(present) == set(ScriptDirectory.from_config(_config()).get_heads())
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    return config
