"""HTTP to strangers: one attempt, whatever the other side does, becomes one Answer within a bounded time and memory.

Every new connection resolves the host, checks all of its addresses (`destinations.py`) and goes to one of these; a kept
connection stays where it was checked. Redirects are not followed, nothing is decompressed, no proxy of the environment is used.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, Protocol

from yarl import URL

from engine.clock import Clock
from sinks.webhooks.destinations import Address, DestinationRefused, Rules, checked_addresses, parse
from sinks.webhooks.exchange import (
    AnswerBroken,
    ConnectionLost,
    Exchanges,
    Response,
    TimeLimits,
    Unconnected,
    target_of,
)
from sinks.webhooks.handshake import PROBE_BODY, Granted, Pending, Refused, read_answer, read_probe, request_headers
from sinks.webhooks.schedule import Answer, answer_of

SHOWN_CHARS_MAX: Final = 200
# Threads: a name server that does not answer holds one for each name, and a partner may have a hundred of such names.
LOOKUPS_MAX: Final = 128
UNKNOWN_S: Final = 30.0  # a name that had no answer is not asked for again
UNKNOWN_MAX: Final = 10_000
URLS_MAX: Final = 10_000
HEADERS: Final = {"User-Agent": "dujiang-webhooks/1", "Accept-Encoding": "identity"}


class Lookup(Protocol):
    """A name's addresses as text. Raises OSError."""

    async def __call__(self, host: str) -> Sequence[str]: ...


class SystemLookup:
    """The machine's resolver, in threads of its own; two questions for one name at once are one."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="webhook-lookup")
        self._asked: dict[str, asyncio.Future[list[str]]] = {}
        self._unknown: dict[str, tuple[float, tuple[Any, ...]]] = {}  # until when, and why; the oldest first

    async def __call__(self, host: str) -> Sequence[str]:
        until_s, why = self._unknown.get(host, (0.0, ()))
        if asyncio.get_running_loop().time() < until_s:
            raise socket.gaierror(*why)
        asked = self._asked.get(host)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host)
            self._asked[host] = asked
            asked.add_done_callback(lambda done: self._answered(host, done))
        return await asyncio.shield(asked)

    def _answered(self, host: str, asked: "asyncio.Future[list[str]]") -> None:
        self._asked.pop(host, None)
        self._unknown.pop(host, None)
        # Whoever asked may have given up, and nobody else looks at it.
        if not asked.cancelled() and isinstance(error := asked.exception(), OSError):
            if len(self._unknown) >= UNKNOWN_MAX:
                del self._unknown[next(iter(self._unknown))]
            self._unknown[host] = asyncio.get_running_loop().time() + UNKNOWN_S, error.args

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


_NOTHING: Final = Response(0, {}, b"")


class Sender:
    """A pool of connections to subscribers. Open it in the loop that uses it, close it at the end."""

    def __init__(
        self,
        rules: Rules,
        clock: Clock,
        *,
        origin: str,
        limits: TimeLimits | None = None,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self._origin = origin
        # The text alone decides, so it need not be looked at each time; a name's addresses are, at each connection.
        self._parsed = lru_cache(URLS_MAX)(lambda url: target_of(URL(parse(url, rules).url), HEADERS))
        self._own_lookup = None if lookup is not None else SystemLookup()
        checked = _Checked(lookup or self._own_lookup, rules)  # type: ignore[arg-type]
        self._exchanges = Exchanges(checked, limits or TimeLimits(), tls)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One attempt. Never raises but when it is cancelled."""
        return (await self._ask("POST", url, body, {"WebHook-Request-Origin": self._origin, **headers}))[0]

    async def fetch(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[Answer, bytes]:
        """A POST whose answer is wanted, under the same guard; its first ANSWER_BYTES_MAX bytes. Never raises."""
        answer, response = await self._ask("POST", url, body, headers)
        return answer, response.body

    async def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[Answer, bytes]:
        """As `fetch`, with PUT."""
        answer, response = await self._ask("PUT", url, body, headers)
        return answer, response.body

    def target(self, url: str) -> URL:
        """The URL as it is asked for. Raises DestinationRefused."""
        return self._parsed(url).url

    async def shake_hands(
        self, url: str, rate_per_minute: int | None, callback: str | None = None
    ) -> Granted | Pending | Refused:
        """OPTIONS, and when it consents the unsigned probe: Granted only if both are well."""
        headers = request_headers(self._origin, rate_per_minute, callback)
        answer, response = await self._ask("OPTIONS", url, None, headers)
        if answer.status is None:
            return Refused(
                "no_answer", f"OPTIONS was not answered: {answer.outcome}{_said(answer)}; see that {url} is reachable"
            )
        result = read_answer(response.headers, self._origin, rate_per_minute, has_callback=callback is not None)
        if isinstance(result, Granted):
            refusal = await self.probe(url)
            return refusal or result
        return result

    async def probe(self, url: str) -> Refused | None:
        """Whether the endpoint refuses a call without signature; None is well."""
        headers = {"Content-Type": "application/cloudevents+json", "WebHook-Request-Origin": self._origin}
        answer, _ = await self._ask("POST", url, PROBE_BODY, headers)
        if answer.status is None:
            return Refused("probe_unclear", f"a call without signature was not answered: {answer.outcome}; answer 401")
        return read_probe(answer.status)

    async def close(self) -> None:
        """All connections."""
        await self._exchanges.close()
        if self._own_lookup is not None:
            self._own_lookup.close()

    async def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[Answer, Response]:
        try:
            target = self._parsed(url)
        except DestinationRefused as refusal:
            return Answer("destination", detail=refusal.reason), _NOTHING
        try:
            response = await self._exchanges.ask(method, target, {"Accept": "*/*", **headers}, body)
        except TimeoutError:
            return Answer("timeout"), _NOTHING
        except Unconnected as error:
            return _unconnected(error.__cause__), _NOTHING
        except ConnectionLost:
            return Answer("unreachable", detail="connection lost"), _NOTHING
        except (AnswerBroken, ValueError) as error:  # ValueError: a header that is none
            return Answer("broken", detail=shown(str(error))), _NOTHING
        answer = answer_of(response.status, response.headers, self._clock.now())
        if answer.outcome != "acknowledged":
            answer = replace(answer, detail=shown(response.body[:SHOWN_CHARS_MAX].decode("utf-8", "replace")))
        return answer, response


class _Checked:
    """What a connection is made to: the addresses that were looked at, and nothing else."""

    def __init__(self, lookup: Lookup, rules: Rules) -> None:
        self._lookup = lookup
        self._rules = rules

    async def __call__(self, host: str) -> Sequence[Address]:
        try:
            return checked_addresses(host, await self._lookup(host), self._rules)
        except DestinationRefused as refusal:
            raise _Refused(refusal.reason) from refusal


class _Refused(OSError):
    """The guard's refusal where a name's addresses are asked for, which may fail as any look-up may."""


def _unconnected(cause: BaseException | None) -> Answer:
    if isinstance(cause, _Refused):
        return Answer("destination", detail=str(cause))
    return Answer("unreachable", detail=shown(getattr(cause, "strerror", None) or type(cause).__name__))


def _said(answer: Answer) -> str:
    return f" ({answer.detail})" if answer.detail else ""


def shown(text: str) -> str:
    """Printable and bounded: strangers' text goes into tables and terminals."""
    return "".join(character if character.isprintable() else " " for character in text[:SHOWN_CHARS_MAX]).strip()
