"""The pages of a process without a web framework: health for supervisors, metrics for Prometheus, from a thread of its own."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from engine.errors import EnvironmentFault


class Page(NamedTuple):
    """An answer. `body` as it goes out."""

    status: int
    content_type: str
    body: bytes


Pages = Mapping[str, Callable[[], Page]]


def live() -> Page:
    """The process answers, so it lives."""
    return _json(200, {"live": True})


def ready(health: Mapping[str, Any]) -> Page:
    """`health` has `ready`, and what else an operator wants to know."""
    return _json(200 if health["ready"] else 503, health)


def metrics(registry: CollectorRegistry) -> Page:
    """In Prometheus' text format."""
    return Page(200, CONTENT_TYPE_LATEST, generate_latest(registry))


@contextmanager
def served(process: str, setting: str, host: str, port: int, pages: Pages) -> Iterator[str]:
    """While the context is open; yields the address. Raises EnvironmentFault, which names `setting`, when it is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages[self.path]() if self.path in pages else _json(404, {})
            self.send_response(page.status)
            self.send_header("content-type", page.content_type)
            self.send_header("content-length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, *_: Any) -> None:
            """Who asks after our health is no news."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise EnvironmentFault(
            f"the {process} cannot listen on {host} port {port}: {error.strerror}",
            f"set {setting} to another port, or 0 for a free one",
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name=f"{process}-pages", daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _json(status: int, body: Mapping[str, Any]) -> Page:
    return Page(status, "application/json", json.dumps(body).encode())
