"""A gateway of prepared answers on a port of its own, for clients that are no Python."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple

from dujiang_client import Response

MIB = b"x" * (1 << 20)
STALL_S = 30


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Broken(NamedTuple):
    """An answer that does not come whole: the connection ends, or stays silent, at once or after so many MiB of the body."""

    mib: int | None = None
    is_silent: bool = False


@dataclass
class Liar:
    """Says one answer after the other, then 418; keeps what it was asked."""

    url: str = ""
    answers: list[Response | Broken] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    ended: Event = field(default_factory=Event)

    def says(self, *answers: Response | Broken) -> None:
        """From now on; what was asked before is forgotten."""
        self.answers[:] = answers
        self.asked.clear()

    def header(self, name: str) -> list[str | None]:
        return [asked.headers.get(name) for asked in self.asked]


@contextmanager
def lying() -> Iterator[Liar]:
    liar = Liar()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            liar.asked.append(Asked(self.command, self.path, headers, body))
            answer = liar.answers.pop(0) if liar.answers else Response(418, {}, b"")
            if isinstance(answer, Broken):
                self._break(answer)
                return
            self.send_response(answer.status)
            for name, value in {"content-length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST  # noqa: N815 - http.server's own name

        def _break(self, answer: Broken) -> None:
            self.close_connection = True
            if answer.mib is not None:
                self.send_response(202)
                self.send_header("content-length", str((answer.mib + 1) * len(MIB)))
                self.end_headers()
                try:
                    for _ in range(answer.mib):
                        self.wfile.write(MIB)
                except OSError:  # the client had enough
                    return
            if answer.is_silent:
                liar.ended.wait(STALL_S)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as http.server names it
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        liar.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield liar
        finally:
            liar.ended.set()
            server.shutdown()
            thread.join(10)
