"""Trials of a webhook receiver: what a real network and a real attacker would send, and what the receiver has to answer.

The rules are those of Standard Webhooks 1.0.0 and of the CloudEvents webhook rule; docs/how-to/receive-webhooks.md says how.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from sinks.webhooks.handshake import Granted, read_answer, request_headers
from sinks.webhooks.schedule import Policy, retry_after_s
from sinks.webhooks.signing import Signer, new_secret, sign, signer_of, webhook_id

ANSWER_S_MAX: Final = 15.0  # a sender of Standard Webhooks waits 15 to 30 s
PUTTING_OFF: Final = (429, 503)
GIVE_UP_S: Final = 30.0
LARGE_BYTES: Final = 64 * 1024  # what every party has to take (CloudEvents 1.0.2, size limits)
SLOW_PARTS: Final = 8
SLOW_PAUSE_S: Final = 0.25
OLD_S: Final = 600
RATE_ASKED: Final = 120  # a minute, in the handshake
BURST_MAX: Final = RATE_ASKED + 1
BURST_AT_ONCE: Final = 32  # as many as deliveries of one subscription
CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
TYPE: Final = "dujiang.lab.trial.v1"


@dataclass(frozen=True, slots=True)
class Result:
    """One trial. `statuses` are the answers in their order; 0 is none."""

    trial: str
    passed: bool
    expected: str
    statuses: tuple[int, ...]
    seconds: float
    advice: str


class Caller:
    """Calls the receiver. Its answers are statuses and headers; bodies are not read."""

    def __init__(self, session: aiohttp.ClientSession, url: str, signer: Signer, origin: str) -> None:
        self._session = session
        self.url = url
        self.signer = signer
        self.origin = origin
        self.run = f"{time.time_ns():x}"  # so that a second run is no repeat of the first
        self.granted_per_min: int | None = None  # by the handshake; None: no limit was named
        self.told: list[tuple[int, str | None]] = []  # of every answer the status and its Retry-After

    def event(self, name: str, number: int = 1, **more: Any) -> tuple[str, bytes]:
        """(webhook id, body) of an event."""
        event_id = f"{name}-{number}-{self.run}"
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": "/dujiang/lab",
            "type": TYPE,
            "subject": f"lab-{name}",
            "time": "2026-03-02T08:00:00Z",
            "datacontenttype": "application/json",
            "deliverynumber": str(number),
            "data": {"trial": name},
            **more,
        }
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        return webhook_id("lab", "/dujiang/lab", event_id), body

    async def send(self, message: tuple[str, bytes], *, signers: Sequence[Signer] = (), age_s: float = 0) -> int:
        """Signed by our key, or by others."""
        message_id, body = message
        return await self.post(body, sign(signers or (self.signer,), message_id, int(time.time() - age_s), body))

    async def post(self, body: bytes | AsyncIterator[bytes], headers: dict[str, str]) -> int:
        """The status; 0 for no answer."""
        whole = {"Content-Type": CONTENT_TYPE, "WebHook-Request-Origin": self.origin, **headers}
        try:
            async with self._session.post(self.url, data=body, headers=whole, allow_redirects=False) as answer:
                self.told.append((answer.status, answer.headers.get("Retry-After")))
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def options(self) -> tuple[int, dict[str, str]]:
        try:
            asked = request_headers(self.origin, RATE_ASKED)
            async with self._session.options(self.url, headers=asked, allow_redirects=False) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}
        except (aiohttp.ClientError, TimeoutError):
            return 0, {}


@dataclass(frozen=True, slots=True)
class Trial:
    """`run` gives the statuses; all must pass `is_well`."""

    name: str
    expected: str
    is_well: Callable[[int], bool]
    advice: str
    run: Callable[[Caller], Awaitable[Sequence[int]]]


async def try_receiver(url: str, secret: str, origin: str) -> list[Result]:
    """All trials, one after another. Raises KeyRefused for a secret that is none, ValueError for an origin."""
    signer = signer_of(secret)
    timeout = aiohttp.ClientTimeout(total=GIVE_UP_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        caller = Caller(session, url, signer, origin)
        results = [await _consent(caller)]
        for trial in TRIALS:
            results.append(await _tried(trial, caller))  # noqa: PERF401 - each waits for the one before
    return [*results, _put_off(caller.told), _in_time(results)]


async def _tried(trial: Trial, caller: Caller) -> Result:
    started_s = time.monotonic()
    statuses = tuple(await trial.run(caller))
    passed = all(map(trial.is_well, statuses))
    return Result(trial.name, passed, trial.expected, statuses, time.monotonic() - started_s, "" if passed else trial.advice)


async def _consent(caller: Caller) -> Result:
    started_s = time.monotonic()
    status, headers = await caller.options()
    answer = read_answer(headers, caller.origin, RATE_ASKED)
    passed = isinstance(answer, Granted)
    caller.granted_per_min = answer.rate_per_minute if isinstance(answer, Granted) else None
    advice = "" if isinstance(answer, Granted) or not hasattr(answer, "message") else answer.message
    return Result("handshake", passed, "consent by header", (status,), time.monotonic() - started_s, advice)


def _put_off(told: Sequence[tuple[int, str | None]]) -> Result:
    """Of all answers those that steer deliveries. No sender can bring them about; those that came must mean what is obeyed."""
    now = datetime.now(UTC)
    asked_s = [retry_after_s(value, now) for status, value in told if status in PUTTING_OFF]
    advice = ""
    if any(status == 410 for status, _ in told):
        advice = "410 disables the subscription; keep it for an address that is gone for good"
    elif None in asked_s:
        advice = "add Retry-After in seconds to 429 and 503; without it the waits are guessed, and count as failures"
    elif any(seconds is not None and seconds > Policy().retry_after_s_max for seconds in asked_s):
        advice = "a Retry-After beyond a day is taken for a mistake; ask for less, or pause the subscription"
    statuses = tuple(sorted({status for status, _ in told if status == 410 or status in PUTTING_OFF}))
    return Result("put off", not advice, "Retry-After with 429 and 503, no 410", statuses, 0.0, advice)


def _in_time(results: Sequence[Result]) -> Result:
    """Of all answers the slowest; the trials that send slowly or many at once have a pace of their own."""
    slowest = max(result.seconds / max(len(result.statuses), 1) for result in results if result.trial not in {"slow", "burst"})
    passed = slowest <= ANSWER_S_MAX
    advice = "" if passed else "answer first and work later: put the event into a queue of your own"
    return Result("in time", passed, f"within {ANSWER_S_MAX:g} s", (), slowest, advice)


def _is_taken(status: int) -> bool:
    return 200 <= status < 300


def _is_refused(status: int) -> bool:
    return 400 <= status < 500 and status not in (410, 429)


def _is_taken_or_put_off(status: int) -> bool:
    return _is_taken(status) or status in PUTTING_OFF


# --- what is sent -----------------------------------------------------------------------------------------------------------


async def _plain(caller: Caller) -> Sequence[int]:
    return [await caller.send(caller.event("plain"))]


async def _unsigned(caller: Caller) -> Sequence[int]:
    return [await caller.post(caller.event("unsigned")[1], {})]


async def _wrong_signature(caller: Caller) -> Sequence[int]:
    return [await caller.send(caller.event("wrong"), signers=[signer_of(new_secret())])]


async def _changed_body(caller: Caller) -> Sequence[int]:
    message_id, body = caller.event("changed")
    headers = sign((caller.signer,), message_id, int(time.time()), body)
    return [await caller.post(body.replace(b'"trial":"changed"', b'"trial":"chang3d"'), headers)]


async def _old(caller: Caller) -> Sequence[int]:
    return [await caller.send(caller.event("old"), age_s=OLD_S)]


async def _early(caller: Caller) -> Sequence[int]:
    return [await caller.send(caller.event("early"), age_s=-OLD_S)]


async def _duplicate(caller: Caller) -> Sequence[int]:
    message = caller.event("duplicate")
    return [await caller.send(message), await caller.send(message)]


async def _reordered(caller: Caller) -> Sequence[int]:
    return [await caller.send(caller.event("reordered", number)) for number in (2, 1, 3)]


async def _rotated(caller: Caller) -> Sequence[int]:
    """The receiver knows one of two keys; which stands first is not said."""
    other = signer_of(new_secret())
    orders = ((other, caller.signer), (caller.signer, other))
    return [await caller.send(caller.event("rotated", number), signers=order) for number, order in enumerate(orders, 1)]


async def _unknown_version(caller: Caller) -> Sequence[int]:
    message_id, body = caller.event("version")
    headers = sign((caller.signer,), message_id, int(time.time()), body)
    headers["webhook-signature"] = f"v9,AAAA {headers['webhook-signature']}"
    return [await caller.post(body, headers)]


async def _large(caller: Caller) -> Sequence[int]:
    return [await caller.send(caller.event("large", data={"text": "水" * (LARGE_BYTES // 3)}))]


async def _non_ascii(caller: Caller) -> Sequence[int]:
    return [await caller.send(caller.event("words", subject="项目-水网-№7-😀", data={"名称": "关键技术攻关", "Größe": "½"}))]


async def _unknown_members(caller: Caller) -> Sequence[int]:
    return [await caller.send(caller.event("unknown", type="dujiang.lab.never.seen.v9", someextension="x"))]


async def _slow(caller: Caller) -> Sequence[int]:
    message_id, body = caller.event("slow")

    async def trickle() -> AsyncIterator[bytes]:
        size = -(-len(body) // SLOW_PARTS)
        for begin in range(0, len(body), size):
            yield body[begin : begin + size]
            await asyncio.sleep(SLOW_PAUSE_S)

    headers = sign((caller.signer,), message_id, int(time.time()), body)
    return [await caller.post(trickle(), headers | {"Content-Length": str(len(body))})]


async def _burst(caller: Caller) -> Sequence[int]:
    """One more than the receiver granted for a minute, as fast as deliveries can go. Each status once."""
    granted = caller.granted_per_min
    count = BURST_MAX if granted is None else min(granted + 1, BURST_MAX)
    free = asyncio.Semaphore(BURST_AT_ONCE)

    async def send(number: int) -> int:
        async with free:
            return await caller.send(caller.event("burst", number, subject=f"lab-burst-{number}"))

    return sorted(set(await asyncio.gather(*map(send, range(1, count + 1)))))


TRIALS: Final = (
    Trial("plain", "2xx", _is_taken, "a signed event is to be acknowledged; check the secret on both sides", _plain),
    Trial("unsigned", "4xx", _is_refused, "whoever sends without signature is to be refused: answer 401", _unsigned),
    Trial(
        "wrong signature",
        "4xx",
        _is_refused,
        "compare the signature with your own (constant time): answer 401",
        _wrong_signature,
    ),
    Trial("changed body", "4xx", _is_refused, "verify the bytes as they came, before any parser: answer 401", _changed_body),
    Trial("old timestamp", "4xx", _is_refused, "a signed time ten minutes back is a replay: refuse beyond 5 minutes", _old),
    Trial("early timestamp", "4xx", _is_refused, "a signed time ten minutes ahead is wrong: refuse beyond 5 minutes", _early),
    Trial("duplicate", "2xx twice", _is_taken, "acknowledge a repeat; drop it by webhook-id, it would come again", _duplicate),
    Trial("reordered", "2xx", _is_taken, "acknowledge what comes late; order within a subject by deliverynumber", _reordered),
    Trial("rotated key", "2xx", _is_taken, "try every signature of the list; one that fits is enough", _rotated),
    Trial(
        "unknown version",
        "2xx",
        _is_taken,
        "skip signatures of versions you do not know; one that fits is enough",
        _unknown_version,
    ),
    Trial("large", "2xx", _is_taken, f"take events of at least {LARGE_BYTES // 1024} KiB", _large),
    Trial("non-ASCII", "2xx", _is_taken, "bodies are UTF-8; sign and store bytes, not decoded text", _non_ascii),
    Trial(
        "unknown members",
        "2xx",
        _is_taken,
        "ignore types and extensions you do not know, and acknowledge them",
        _unknown_members,
    ),
    Trial("slow", "2xx", _is_taken, "a body may take seconds to arrive; wait for all of it", _slow),
    # The last: who puts off what is too much may go on doing so for a while.
    Trial(
        "burst",
        "2xx, or 429 or 503",
        _is_taken_or_put_off,
        "take what comes faster than you granted, or put it off by 429 with Retry-After; no failure, no silence",
        _burst,
    ),
)
