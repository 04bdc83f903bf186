"""HTTP as the client uses it: a request in, a response out. The seam for tests, proxies and other HTTP libraries."""

import http.client
import select
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Protocol
from urllib.parse import urlsplit

RESPONSE_BYTES_MAX = 64 * 1024 * 1024


class TransportFailed(Exception):
    """No whole response came; whether the request took effect is not known."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Response:
    """Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Anything that carries a request. It follows no redirects and tries nothing again: the client does what is right."""

    def __call__(self, request: Request) -> Response:
        """Raises TransportFailed."""
        ...


class HttpTransport:
    """The standard library's HTTP with one connection kept open. Threads take turns; for more at once, make more clients."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._kept: tuple[tuple[str, str], http.client.HTTPConnection] | None = None
        self._lock = Lock()

    def __call__(self, request: Request) -> Response:
        """See Transport."""
        address = urlsplit(request.url)
        target = address.path + (f"?{address.query}" if address.query else "")
        with self._lock:
            try:
                return _exchange(self._connection((address.scheme, address.netloc), request.timeout_s), request, target)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise TransportFailed(
                    f"{request.method} {address.scheme}://{address.netloc}{address.path}: {error!r}"
                ) from error
            except BaseException:  # an answer that was not read to its end would be taken for the next request's
                self._drop()
                raise

    def close(self) -> None:
        """The next request opens another connection."""
        with self._lock:
            self._drop()

    def _connection(self, origin: tuple[str, str], timeout_s: float) -> http.client.HTTPConnection:
        if self._kept is not None and self._kept[0] == origin and not _is_closed(self._kept[1]):
            connection = self._kept[1]
            connection.sock.settimeout(timeout_s)
            return connection
        self._drop()
        scheme, netloc = origin
        if scheme == "https":
            tls = self._tls or ssl.create_default_context()
            connection = http.client.HTTPSConnection(netloc, timeout=timeout_s, context=tls)
        else:
            connection = http.client.HTTPConnection(netloc, timeout=timeout_s)
        self._kept = origin, connection
        return connection

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None


def _is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server closed what was idle: then something can be read although nothing was asked."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])


def _exchange(connection: http.client.HTTPConnection, request: Request, target: str) -> Response:
    connection.request(request.method, target, request.body or None, dict(request.headers))
    answer = connection.getresponse()
    body = answer.read(RESPONSE_BYTES_MAX + 1)
    if len(body) > RESPONSE_BYTES_MAX:
        raise http.client.HTTPException(f"the answer has more than {RESPONSE_BYTES_MAX} bytes")
    return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)
