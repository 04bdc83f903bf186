"""HTTP to strangers: one attempt, whatever the other side does, becomes one Answer within a bounded time and memory.

Every new connection resolves the host, checks all of its addresses (`destinations.py`) and goes to one of these; a kept
connection stays where it was checked. Redirects are not followed, nothing is decompressed, no proxy of the environment is used.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from engine.clock import Clock
from sinks.webhooks.destinations import DestinationRefused, Rules, checked_addresses, parse
from sinks.webhooks.handshake import PROBE_BODY, Granted, Pending, Refused, read_answer, read_probe, request_headers
from sinks.webhooks.schedule import Answer, answer_of

ANSWER_BYTES_MAX: Final = 16 * 1024  # of the body; only its beginning is shown, to the partner
SHOWN_CHARS_MAX: Final = 200
HEADER_BYTES_MAX: Final = 8 * 1024
LOOKUPS_MAX: Final = 8  # threads; a name server that does not answer holds one for each name
URLS_MAX: Final = 10_000
KEEPALIVE_S: Final = 15.0
USER_AGENT: Final = "dujiang-webhooks/1"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds. `headers_s` counts from the connection on, `body_s` from the headers on, however slowly bytes trickle."""

    connect_s: float = 5.0
    headers_s: float = 20.0
    body_s: float = 5.0


class Lookup(Protocol):
    """A name's addresses as text. Raises OSError."""

    async def __call__(self, host: str) -> Sequence[str]: ...


class SystemLookup:
    """The machine's resolver, in threads of its own; two questions for one name at once are one."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="webhook-lookup")
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str) -> Sequence[str]:
        asked = self._asked.get(host)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host)
            self._asked[host] = asked
            asked.add_done_callback(lambda done: self._answered(host, done))
        return await asyncio.shield(asked)

    def _answered(self, host: str, asked: "asyncio.Future[list[str]]") -> None:
        self._asked.pop(host, None)
        if not asked.cancelled():
            asked.exception()  # whoever asked may have given up; then nobody else looks at it

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


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
        self._rules = rules
        self._clock = clock
        self._origin = origin
        self._limits = limits or TimeLimits()
        # The text alone decides, so it need not be looked at each time; a name's addresses are, at each connection.
        self._parsed = lru_cache(URLS_MAX)(lambda url: _target(url, rules))
        self._own_lookup = None if lookup is not None else SystemLookup()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_Checked(lookup or self._own_lookup, rules),  # type: ignore[arg-type]
                use_dns_cache=False,
                limit=0,  # each courier has its own: a slow receiver must not hold what another needs
                keepalive_timeout=KEEPALIVE_S,
                ssl=tls or True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_s),
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            read_bufsize=ANSWER_BYTES_MAX,
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One attempt. Never raises but when it is cancelled."""
        answer, _, _ = await self._ask("POST", url, body, {"WebHook-Request-Origin": self._origin, **headers})
        return answer

    async def fetch(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[Answer, bytes]:
        """A POST whose answer is wanted, under the same guard; its first ANSWER_BYTES_MAX bytes. Never raises."""
        answer, _, content = await self._ask("POST", url, body, headers)
        return answer, content

    async def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[Answer, bytes]:
        """As `fetch`, with PUT."""
        answer, _, content = await self._ask("PUT", url, body, headers)
        return answer, content

    def target(self, url: str) -> URL:
        """The URL as it is asked for. Raises DestinationRefused."""
        return self._parsed(url)

    async def shake_hands(
        self, url: str, rate_per_minute: int | None, callback: str | None = None
    ) -> Granted | Pending | Refused:
        """OPTIONS, and when it consents the unsigned probe: Granted only if both are well."""
        headers = request_headers(self._origin, rate_per_minute, callback)
        answer, answered, _ = await self._ask("OPTIONS", url, None, headers)
        if answer.status is None:
            return Refused(
                "no_answer", f"OPTIONS was not answered: {answer.outcome}{_said(answer)}; see that {url} is reachable"
            )
        result = read_answer(answered, self._origin, rate_per_minute, has_callback=callback is not None)
        if isinstance(result, Granted):
            refusal = await self.probe(url)
            return refusal or result
        return result

    async def probe(self, url: str) -> Refused | None:
        """Whether the endpoint refuses a call without signature; None is well."""
        headers = {"Content-Type": "application/cloudevents+json", "WebHook-Request-Origin": self._origin}
        answer, _, _ = await self._ask("POST", url, PROBE_BODY, headers)
        if answer.status is None:
            return Refused("probe_unclear", f"a call without signature was not answered: {answer.outcome}; answer 401")
        return read_probe(answer.status)

    async def close(self) -> None:
        """All connections."""
        await self._session.close()
        if self._own_lookup is not None:
            self._own_lookup.close()

    async def _ask(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[Answer, Mapping[str, str], bytes]:
        try:
            destination = self._parsed(url)
        except DestinationRefused as refusal:
            return Answer("destination", detail=refusal.reason), {}, b""
        for is_last in (False, True):
            try:
                return await self._exchange(method, destination, body, headers)
            except TimeoutError:  # aiohttp's time-outs are of this kind, too
                return Answer("timeout"), {}, b""
            except aiohttp.ClientConnectorError as error:
                return _unconnected(error), {}, b""
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # Receivers close idle connections when they like, often in the moment in which one is used: once more, at once.
                if is_last:
                    return Answer("unreachable", detail=shown(getattr(error, "strerror", None) or "connection lost")), {}, b""
            except (aiohttp.ClientError, ValueError) as error:  # ValueError: a header that is none
                return Answer("broken", detail=shown(type(error).__name__)), {}, b""
        raise AssertionError("the second time returns")

    async def _exchange(
        self, method: str, destination: URL, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[Answer, Mapping[str, str], bytes]:
        limits = self._limits
        async with asyncio.timeout(limits.connect_s + limits.headers_s) as waiting:
            async with self._session.request(
                method, destination, data=body, headers=headers, allow_redirects=False
            ) as response:
                waiting.reschedule(asyncio.get_running_loop().time() + limits.body_s)
                answered = {name.lower(): value for name, value in response.headers.items()}
                beginning = await self._beginning(response)
                answer = answer_of(response.status, answered, self._clock.now())
                if answer.outcome != "acknowledged":
                    answer = replace(answer, detail=shown(beginning[:SHOWN_CHARS_MAX].decode("utf-8", "replace")))
                return answer, answered, beginning

    async def _beginning(self, response: aiohttp.ClientResponse) -> bytes:
        """The body's first bytes. A longer one is not read: its connection is dropped, the status counts."""
        taken = bytearray()
        async for chunk in response.content.iter_any():
            taken += chunk
            if len(taken) > ANSWER_BYTES_MAX:
                response.close()
                break
        return bytes(taken[:ANSWER_BYTES_MAX])


class _Checked(AbstractResolver):
    """What a connection is made to: the addresses that were looked at, as numbers, and nothing else."""

    def __init__(self, lookup: Lookup, rules: Rules) -> None:
        self._lookup = lookup
        self._rules = rules

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        try:
            addresses = checked_addresses(host, await self._lookup(host), self._rules)
        except DestinationRefused as refusal:
            raise _Refused(refusal.reason) from refusal
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
            if family in (socket.AF_UNSPEC, socket.AF_INET if address.version == 4 else socket.AF_INET6)
        ]

    async def close(self) -> None:
        return


class _Refused(OSError):
    """The guard's refusal on its way through aiohttp, which passes OSError on."""


def _target(url: str, rules: Rules) -> URL:
    return URL(parse(url, rules).url)


def _unconnected(error: aiohttp.ClientConnectorError) -> Answer:
    cause: Any = error.os_error
    if isinstance(cause, _Refused):
        return Answer("destination", detail=str(cause))
    return Answer("unreachable", detail=shown(cause.strerror or type(cause).__name__))


def _said(answer: Answer) -> str:
    return f" ({answer.detail})" if answer.detail else ""


def shown(text: str) -> str:
    """Printable and bounded: strangers' text goes into tables and terminals."""
    return "".join(character if character.isprintable() else " " for character in text[:SHOWN_CHARS_MAX]).strip()
