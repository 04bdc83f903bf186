"""What every request passes first: is it meant for this host, and are its headers of bearable size."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import catalogue
from gateway.problems import Problem, ProblemWriter

HEADER_BYTES_MAX: Final = 32 * 1024
# A page in a browser can reach the loopback under a name of its own (DNS rebinding); its Host header gives it away.
LOOPBACK_HOSTS: Final = frozenset((b"127.0.0.1", b"localhost", b"[::1]"))


class Front:
    """ASGI middleware. `hosts` None: every name will do, since a page in a browser has no token."""

    def __init__(self, app: ASGIApp, *, problems: ProblemWriter, hosts: frozenset[bytes] | None) -> None:
        self._app = app
        self._problems = problems
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._refusal(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await self._problems.response(problem, scope)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        size_bytes = 0
        host = b""
        for name, value in scope["headers"]:
            size_bytes += len(name) + len(value)
            if name == b"host":
                host = value
        if size_bytes > HEADER_BYTES_MAX:
            return Problem(catalogue.HEADERS_TOO_LARGE, catalogue.HEADERS_TOO_LARGE.meaning)
        if self._hosts is not None and _without_port(host).lower() not in self._hosts:
            return Problem(catalogue.HOST_REFUSED, catalogue.HOST_REFUSED.meaning)
        return None


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host
