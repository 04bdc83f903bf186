"""The pages of processes that have no web framework."""

import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Gauge

from dujiang import pages
from engine.errors import EnvironmentFault


def get(url: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read().decode()


def test_each_page_answers_with_its_status_and_type() -> None:
    registry = CollectorRegistry()
    Gauge("level", "of water", registry=registry).set(3)
    answers = {
        "/health/live": pages.live,
        "/health/ready": lambda: pages.ready({"ready": False, "fault": "Kafka: away"}),
        "/metrics": lambda: pages.metrics(registry),
    }
    with pages.served("weir", "weir.http_port", "127.0.0.1", 0, answers) as url:
        assert get(f"{url}/health/live") == (200, "application/json", '{"live": true}')
        assert get(f"{url}/health/ready") == (503, "application/json", '{"ready": false, "fault": "Kafka: away"}')
        status, kind, body = get(f"{url}/metrics")
        assert (status, kind.split(";")[0], body.splitlines()[-1]) == (200, "text/plain", "level 3.0")
        assert get(f"{url}/else")[0] == 404


def test_address_that_is_taken_is_named_with_the_setting() -> None:
    with pages.served("weir", "weir.http_port", "127.0.0.1", 0, {}) as url:
        port = int(url.rpartition(":")[2])
        with (
            pytest.raises(EnvironmentFault, match=f"the weir cannot listen on 127.0.0.1 port {port}") as caught,
            pages.served("weir", "weir.http_port", "127.0.0.1", port, {}),
        ):
            pytest.fail("it was taken")
        assert "weir.http_port" in caught.value.remedy
