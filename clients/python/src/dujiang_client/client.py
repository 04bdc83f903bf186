"""The client: one gateway, one partner."""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from dujiang_client.errors import Fault, HistoryExpired, Problem, Refused, Unreachable
from dujiang_client.events import Accepted, Event, Outcome, Receipt, Rejected, members_of
from dujiang_client.retries import AGAIN, IN_FLIGHT, Retries, retry_after_s
from dujiang_client.signing import Signer
from dujiang_client.transport import HttpTransport, Request, Response, Transport, TransportFailed

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
TIMEOUT_S = 30.0
PAGE_EVENTS = 100
WAIT_S = 20
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True, slots=True)
class Pulled:
    """A page of a subscription's events. Store `cursor` once all of them are done: the next page begins there.

    `withheld` counts events that the subscription's owner may not see, by reason.
    """

    events: tuple[Mapping[str, Any], ...]
    cursor: str
    has_more: bool
    withheld: Mapping[str, int]


class Client:
    """Publishes to a gateway and pulls from it. For one thread after the other; make a client for each that works at once.

    `auth` is the API token, or a Signer; None where the gateway asks nobody. Texts of problems come in `language`, en or zh.
    """

    def __init__(
        self,
        gateway: str,
        auth: str | Signer | None = None,
        *,
        language: str = "en",
        retries: Retries = Retries(),  # noqa: B008 - frozen
        timeout_s: float = TIMEOUT_S,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Raises ValueError for an address that would send a token in the open."""
        address = urlsplit(gateway)
        if address.scheme not in {"http", "https"} or not address.hostname or "@" in address.netloc + address.query:
            raise ValueError(f"{gateway!r} is no gateway's address; write https://gateway.bureau.example")
        if auth is not None and address.scheme == "http" and address.hostname not in LOOPBACK:
            raise ValueError(f"{gateway!r}: whoever listens would read the token; use https")
        self._base = gateway.rstrip("/")
        self._auth, self._language, self._retries, self._timeout_s = auth, language, retries, timeout_s
        self._transport = transport or HttpTransport()
        self._sleep, self._draw = sleep, draw

    def publish(self, event: Event | Mapping[str, Any]) -> Receipt:
        """Write one event; the receipt means that all in-sync replicas have it. Raises Refused, Unreachable.

        An event whose outcome is not known may be published again: under its `source` and `id` it counts once.
        """
        body = _json(members_of(event))
        answer = self._post(STRUCTURED, body)
        with _understanding(answer):
            return _receipt(_object(answer)["receipts"][0])

    def publish_all(self, events: Sequence[Event | Mapping[str, Any]]) -> list[Outcome]:
        """Write a batch, at most 1,000 events and 8 MiB; an outcome for each, in order.

        All are checked before any is written. When one is faulty none is written: `Rejected.faults` says what is wrong with
        which, and those without faults were held back with it. Raises Refused when the batch as a whole was, Unreachable.
        """
        if not events:
            return []
        members = [members_of(event) for event in events]
        try:
            answer = self._post(BATCH, _json(members))
        except Refused as refused:
            return _rejected(members, refused)
        with _understanding(answer):
            return _outcomes(members, answer)

    def pull(self, subscription: str, cursor: str | None = None, *, limit: int = PAGE_EVENTS, wait_s: int = WAIT_S) -> Pulled:
        """The next page after the cursor; without one from where the subscription began. Waits so long for an event.

        Raises HistoryExpired when events after the cursor were deleted unread, Refused, Unreachable.
        """
        query: dict[str, str | int] = {"limit": limit, "wait": wait_s}
        if cursor is not None:
            query["cursor"] = cursor
        path = f"/subscriptions/{quote(subscription, safe='')}/events?{urlencode(query)}"
        answer = self._answer("GET", path, {}, b"", timeout_s=self._timeout_s + wait_s)
        with _understanding(answer):
            page = _object(answer)
            return Pulled(tuple(page["events"]), page["cursor"], bool(page.get("has_more")), page.get("withheld") or {})

    def pages(
        self, subscription: str, cursor: str | None = None, *, limit: int = PAGE_EVENTS, wait_s: int = WAIT_S
    ) -> Iterator[Pulled]:
        """Page after page, for ever; those without events too, since their cursor moves on. Raises as `pull` does."""
        while True:
            page = self.pull(subscription, cursor, limit=limit, wait_s=wait_s)
            cursor = page.cursor
            yield page

    def _post(self, content_type: str, body: bytes) -> Response:
        # One key for all attempts: a repeat of a request that was accepted gets the first receipts.
        headers = {"content-type": content_type, "idempotency-key": f'"{uuid4()}"'}
        return self._answer("POST", "/events", headers, body, timeout_s=self._timeout_s)

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> Response:
        """The answer of the attempt that helped, or of the last one if it says more than that it failed."""
        attempt = 0
        while True:
            attempt += 1
            # Each attempt has a token of its own: a signed one works once.
            request = Request(method, self._base + path, {**self._headers(), **headers}, body, timeout_s)
            try:
                answer = self._transport(request)
            except TransportFailed as failure:
                if attempt >= self._retries.attempts:
                    raise Unreachable(f"no answer after {attempt} attempts: {failure}") from failure
                wanted_s = None
            else:
                wanted_s = retry_after_s(answer.headers.get("retry-after"))
                if not _is_worth_repeating(answer) or self._retries.is_last(attempt, wanted_s):
                    return _checked(answer, wanted_s)
            self._sleep(self._retries.wait_s(attempt, wanted_s, self._draw))

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json", "accept-language": self._language, "user-agent": "dujiang-client"}
        if self._auth is not None:
            token = self._auth.token() if isinstance(self._auth, Signer) else self._auth
            headers["authorization"] = f"Bearer {token}"
        return headers


@contextmanager
def _understanding(answer: Response) -> Iterator[None]:
    """A proxy's page with status 200 is no answer of the gateway's."""
    try:
        yield
    except (LookupError, TypeError, ValueError, StopIteration) as error:
        raise Unreachable(f"the answer {answer.status} is not the gateway's; is the address right? {error!r}") from error


def _is_worth_repeating(answer: Response) -> bool:
    return answer.status in AGAIN or (answer.status == 409 and _problem(answer).kind == IN_FLIGHT)


def _checked(answer: Response, wanted_s: float | None) -> Response:
    if 200 <= answer.status < 300:
        return answer
    problem = _problem(answer)
    if answer.status == 410:
        earliest = _members(answer).get("earliest_cursor")
        raise HistoryExpired(problem, earliest if isinstance(earliest, str) else None)
    raise Refused(problem, wanted_s)


def _outcomes(events: Sequence[Mapping[str, Any]], answer: Response) -> list[Outcome]:
    """Of 202 and 207: receipts stand in the events' order, problems say where they belong."""
    members = _object(answer)
    problems = {one["index"]: Problem.of(one, one["status"]) for one in members.get("problems", ())}
    receipts = iter(members["receipts"])
    return [
        Rejected(event, problems[index], problems[index].faults)
        if index in problems
        else Accepted(event, _receipt(next(receipts)))
        for index, event in enumerate(events)
    ]


def _rejected(events: Sequence[Mapping[str, Any]], refused: Refused) -> list[Outcome]:
    """Of a refusal that points at events: each with its own faults. Another refusal is raised again."""
    faults: dict[int, list[Fault]] = {}
    for fault in refused.problem.faults:
        index, _, rest = fault.pointer.removeprefix("/").partition("/")
        if index.isdecimal() and int(index) < len(events):
            pointer = f"/{rest}" if rest else ""
            faults.setdefault(int(index), []).append(Fault(fault.reason, pointer, fault.detail))
    if not faults:
        raise refused
    return [Rejected(event, refused.problem, tuple(faults.get(index, ()))) for index, event in enumerate(events)]


def _receipt(members: Mapping[str, Any]) -> Receipt:
    return Receipt(**{name: members[name] for name in Receipt.__slots__})


def _problem(answer: Response) -> Problem:
    """Also of an answer that is none, as a proxy's in between."""
    return Problem.of(_members(answer), answer.status)


def _members(answer: Response) -> Mapping[str, Any]:
    try:
        members = json.loads(answer.body)
    except ValueError:
        members = None
    return members if isinstance(members, dict) else {"detail": f"an answer of {len(answer.body)} bytes that is no problem"}


def _object(answer: Response) -> Mapping[str, Any]:
    members = json.loads(answer.body)
    if not isinstance(members, dict):
        raise TypeError("the answer is no JSON object")
    return members


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
