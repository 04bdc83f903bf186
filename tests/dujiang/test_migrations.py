"""The migrations end where the declared tables begin, and lead back."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from dujiang.database import _config, engine_of, migrate
from dujiang.tables import metadata

pytestmark = pytest.mark.services


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    engine = engine_of(database)
    with engine.connect() as made:
        yield made
    engine.dispose()


def test_migrated_database_is_the_declared_one(connection: Connection) -> None:
    assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_partners_and_receipts_can_be_taken_back_and_made_again(database: str, connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0001")
    connection.commit()
    names = text("SELECT tablename FROM pg_tables WHERE tablename IN ('partner', 'partner_token', 'receipt')")
    assert connection.execute(names).all() == []
    connection.commit()
    migrate(database)
    assert len(connection.execute(names).all()) == 3
