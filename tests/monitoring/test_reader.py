"""The limits of the role that reads for Grafana stand in three places, and are the same in all."""

import re

from benchmarks.pages import SETTINGS
from tests.monitoring.promtool import ROOT


def _orders(path: str) -> list[str]:
    """What the page or script changes about the role."""
    return re.findall(r"^ *ALTER ROLE grafana (.+);$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_how_to_page_and_container_limit_readers_alike() -> None:
    orders = _orders("monitoring/postgres/reader.sh")
    assert {order.split(" = ")[0] for order in orders} >= {"SET default_transaction_read_only", "SET statement_timeout"}
    assert _orders("docs/how-to/grafana.md") == orders


def test_benchmark_reads_with_the_same_limits() -> None:
    orders = _orders("monitoring/postgres/reader.sh")
    # It writes nothing, and opens a connection at a time.
    assert list(SETTINGS) == [one for one in orders if one.startswith("SET ") and "read_only" not in one]
