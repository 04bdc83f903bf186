"""Prometheus' own tools, where the machine has them, and the rules as they stand; a seeded bureau."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.monitoring import seed
from tests.monitoring.promtool import ROOT


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: on Debian `apt-get install prometheus`")
    return found


@pytest.fixture(scope="session")
def rule_files() -> list[Path]:
    return sorted((ROOT / "monitoring" / "prometheus" / "rules").glob("*.yml"))


@pytest.fixture(scope="session")
def rules(rule_files: list[Path]) -> list[dict[str, Any]]:
    """Every rule, recording and alert."""
    return [
        rule
        for path in rule_files
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


@pytest.fixture(scope="session")
def reader(services: Any) -> Iterator[psycopg.Connection[Any]]:
    """A seeded bureau, seen as Grafana sees it."""
    name = "t_dashboards"
    admin = str(services.postgres.admin_dsn)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE dujiang_template OWNER dujiang")
    with psycopg.connect(admin.rpartition("/")[0] + f"/{name}", autocommit=True) as connection:
        row = connection.execute("SELECT now()").fetchone()
        assert row is not None
        with connection.transaction(), connection.cursor() as cursor:
            seed.sow(cursor, row[0])
        connection.execute("SET ROLE dujiang_reader")
        connection.execute("SET default_transaction_read_only = on")
        yield connection
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
