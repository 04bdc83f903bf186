"""One trace from a publisher's request to the webhook, as a collector sees it that speaks OTLP over HTTP."""

import json
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

import pytest

from dujiang.embedded.ports import free_port
from sinks.webhooks.signing import webhook_id
from tests.sinks.webhooks.conftest import ANNOUNCED, Post
from tests.sinks.webhooks.test_partner import _is_open

trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
pytestmark = pytest.mark.services

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENDER = "00f067aa0ba902b7"
PHASE_CHANGED = "gov.stiib.research.call.phasechanged.v1"


class Seen(NamedTuple):
    """A span as it was exported."""

    service: str
    name: str
    trace: str
    span: str
    parent: str


class Collector:
    """Decodes what is posted to /v1/traces."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.path == "/v1/traces"
                collector.take(body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, body: bytes) -> None:
        for resource in trace_service.ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    self.spans.append(Seen(names["service.name"], span.name, *ids))

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans if span.name == name]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def publish(port: int, event_id: str, **headers: str) -> None:
    data = {"title": "关键技术", "programme": "重点研发", "opens_at": None, "closes_at": None, "budget": None}
    head = {"specversion": "1.0", "id": event_id, "source": "/partners/a", "type": ANNOUNCED, "subject": f"C-{event_id}"}
    body = json.dumps(head | {"time": "2026-03-02T08:00:00Z", "data": data}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/events", body, {"content-type": "application/cloudevents+json", **headers}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
        assert answer.status == 202


def _is_working(port: int) -> bool:
    """A deliverer that has taken its place."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
            return bool(json.loads(answer.read())["working"])
    except OSError:  # not there yet, or not ready
        return False


def test_one_trace_from_the_publishers_request_to_the_webhook(post: Post, collector: Collector) -> None:
    endpoint = post.endpoint()
    subscription = post.subscribe(*endpoint.address, types=(ANNOUNCED, PHASE_CHANGED))
    port, on = free_port(), {"telemetry__otlp_endpoint": collector.endpoint}
    post.gateway(port, **on)
    post.stage.worker("calls", **on)
    post.deliverer(**on)
    post.until(lambda: _is_open(port))
    publish(port, "kept", traceparent=f"00-{TRACE}-{SENDER}-01")
    # This one's publisher does not keep it.
    publish(port, "left", traceparent="00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
    post.until(lambda: len(endpoint.arrivals) == 4)
    post.until(lambda: len(collector.spans) >= 4, describe=lambda: str(collector.spans))

    assert {span.trace for span in collector.spans} == {TRACE}
    [published] = collector.named("publish")
    [processed] = collector.named("process calls")
    assert (published.service, published.parent) == ("dujiang-gateway", SENDER)
    assert (processed.service, processed.parent) == ("dujiang-worker", published.span)
    # The event itself, and the one that the worker derived from it.
    delivered = collector.named("deliver")
    assert [(span.service, span.parent) for span in delivered] == [("dujiang-deliverer", published.span)] * 2
    kept = [one for one in endpoint.arrivals if one.key == "C-kept"]
    assert {one.traceparent for one in kept} == {f"00-{TRACE}-{span.span}-01" for span in delivered}
    assert webhook_id(str(subscription), "/partners/a", "kept") in {one.id for one in kept}
    assert {one.traceparent for one in endpoint.arrivals if one.key == "C-left"} == {None}


def test_a_collector_that_is_away_delays_nothing(post: Post) -> None:
    endpoint = post.endpoint()
    post.subscribe(*endpoint.address, types=(ANNOUNCED,))
    port, health, on = free_port(), free_port(), {"telemetry__otlp_endpoint": f"http://127.0.0.1:{free_port()}"}
    post.gateway(port, **on)
    post.deliverer(deliver__http_port=str(health), **on)
    post.until(lambda: _is_open(port) and _is_working(health))
    for number in range(5):
        publish(port, f"e{number}")
    post.until(lambda: len(endpoint.acknowledged) == 5)
