"""Alerts in metrics: how many fire, how many nobody took in time, as the view says at that moment."""

import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from dujiang.embedded.ports import free_port
from monitoring.metrics import AlertMetrics
from schemas.alerts import SEVERITIES
from sinks.status import attention
from sinks.status.attention import count, keep_counted
from tests.conftest import Stage
from tests.console.bureau import firing
from tests.monitoring import seed

pytestmark = pytest.mark.services
NOTHING = dict.fromkeys(SEVERITIES, 0)


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, options="-c timezone=UTC", autocommit=True) as connection:
        with connection.transaction(), connection.cursor() as cursor:
            seed.sow(cursor, datetime.now(UTC))
        yield connection


class Shown:
    """The figures of one worker."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.metrics = AlertMetrics(self._registry)

    def __call__(self, name: str) -> dict[str, float | None]:
        return {each: self._registry.get_sample_value(f"dujiang_alerts_{name}", {"severity": each}) for each in SEVERITIES}


def test_firing_and_overdue_alerts_are_counted_by_severity_and_the_rest_is_0(owner: psycopg.Connection[Any]) -> None:
    shown = Shown()
    with owner.cursor() as cursor:
        count(cursor, shown.metrics)
    # The warning and the high one are acknowledged; one alert has expired, one is resolved.
    assert (shown("firing"), shown("overdue")) == (
        NOTHING | {"critical": 1, "high": 1, "warning": 1},
        NOTHING | {"critical": 1},
    )


def test_what_was_acknowledged_or_is_over_is_counted_no_more(owner: psycopg.Connection[Any]) -> None:
    shown = Shown()
    with owner.cursor() as cursor:
        count(cursor, shown.metrics)
        cursor.execute("UPDATE alert_status SET handling = 'acknowledged' WHERE alert_key = 'mon/a1'")
        cursor.execute("UPDATE alert_status SET condition = 'resolved' WHERE alert_key = 'mon/a2'")
        count(cursor, shown.metrics)
    assert (shown("firing"), shown("overdue")) == (NOTHING | {"critical": 1, "high": 1}, NOTHING)


def test_figures_stay_while_the_view_cannot_be_read_and_follow_after(
    owner: psycopg.Connection[Any], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []

    def looked(cursor: psycopg.Cursor[Any], metrics: AlertMetrics) -> None:
        looks.append(None)
        count(cursor, metrics)

    monkeypatch.setattr(attention, "EVERY_S", 0.05)
    monkeypatch.setattr(attention, "count", looked)
    shown, stopping = Shown(), Event()
    keeper = Thread(target=keep_counted, args=(database, stopping, shown.metrics), daemon=True)
    keeper.start()
    try:
        _until(lambda: shown("overdue") == NOTHING | {"critical": 1})
        owner.execute("ALTER VIEW v_alert RENAME TO v_lost")
        owner.execute("UPDATE alert_status SET handling = 'acknowledged' WHERE alert_key = 'mon/a1'")
        so_far = len(looks)
        _until(lambda: len(looks) >= so_far + 3)
        assert shown("overdue") == NOTHING | {"critical": 1}
        owner.execute("ALTER VIEW v_lost RENAME TO v_alert")
        _until(lambda: shown("overdue") == NOTHING)
    finally:
        stopping.set()
        keeper.join(20)
    assert not keeper.is_alive()


def test_a_worker_that_runs_alerts_says_so(stage: Stage) -> None:
    port = free_port()
    stage.worker("alerts", worker__http_port=str(port))
    began = datetime.now(UTC) - timedelta(hours=1)
    stage.send([firing("mon/a1", "e-1", began, "critical", "Pump")])
    stage.until(lambda: _told(port, "firing") == 1 and _told(port, "overdue") == 1, 60)


def _told(port: int, name: str) -> float | None:
    """Of critical alerts; None until the worker answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            found = re.search(rf'^dujiang_alerts_{name}{{severity="critical"}} (\S+)$', answer.read().decode(), re.MULTILINE)
    except OSError:
        return None
    return float(found[1]) if found else None


def _until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
