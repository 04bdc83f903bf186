"""When to try again, and when to stop: pure functions of what happened, the answer and the time.

A delivery is tried over days (Standard Webhooks, "delivery attempts"), waits longer each time, with jitter, and becomes a dead
letter. An endpoint has a rate that answers slow down, and a circuit that stops all but a probe while nothing works.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Literal

Outcome = Literal[
    "acknowledged",  # 2xx
    "refused",  # any other status below
    "gone",  # 410
    "unprocessable",  # 413, 415: the same bytes will never do
    "throttled",  # 429, 503
    "overloaded",  # 502, 504
    "failed",  # 5xx
    "redirected",  # 3xx: never followed
    "timeout",
    "unreachable",  # no connection, TLS, name
    "broken",  # an answer that is no HTTP, or ends in the middle
    "destination",  # the guard refuses the address
    "token",  # the subscriber's token endpoint gives none
    "unauthorised",  # a broker or a store does not take our credential, or lets it do nothing
]
# The endpoint said or showed that it has too much.
SLOWING: Final = frozenset({"throttled", "overloaded", "timeout"})
# Nothing says that the event is at fault; the endpoint as a whole does not work.
ENDPOINT_DOWN: Final = frozenset(
    {"throttled", "overloaded", "failed", "timeout", "unreachable", "broken", "destination", "token", "unauthorised"}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempt. `status` is None without an answer; `retry_after_s` is what the answer asks for."""

    outcome: Outcome
    status: int | None = None
    retry_after_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """The platform's patience. All in one place, so that the page for partners can be checked against it."""

    delays_s: tuple[float, ...] = (5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200)  # then the last again
    jitter: float = 0.2  # a delay is shortened or lengthened by up to this share
    patience_s: float = 3 * 86_400  # from the first attempt of an event to its dead letter
    retry_after_s_max: float = 86_400  # longer is taken for a mistake
    failing_s_max: float = 5 * 86_400  # an endpoint that never answered well for so long is disabled
    circuit_failures: int = 10  # in a row
    circuit_s: float = 10  # first pause; doubled each time
    circuit_s_max: float = 300
    rate_per_s_min: float = 0.2
    rate_per_s_max: float = 5_000
    rate_window_s: float = 1.0
    rate_growth: float = 1.25  # a window without complaint


@dataclass(frozen=True, slots=True)
class History:
    """Of one delivery."""

    attempts: int = 0
    failures: int = 0  # attempts, but those that the receiver itself put off by a Retry-After
    first_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Done."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Again, not before `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Dead:
    """Never again by itself; `reason`: unprocessable or exhausted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disable:
    """The whole subscription ends; the event waits. `reason`: gone."""

    reason: str


Decision = Acknowledged | RetryAt | Dead | Disable


def decide(
    policy: Policy, history: History, answer: Answer, started_at: datetime, now: datetime, chance: float
) -> tuple[History, Decision]:
    """What becomes of a delivery after an attempt that began at `started_at`. `chance` is uniform in [0, 1): the jitter."""
    first_at = history.first_at or started_at
    is_put_off = answer.outcome == "throttled" and answer.retry_after_s is not None
    after = History(history.attempts + 1, history.failures + (not is_put_off), first_at)
    if answer.outcome == "acknowledged":
        return after, Acknowledged()
    if answer.outcome == "gone":
        return after, Disable("gone")
    if answer.outcome == "unprocessable":
        return after, Dead("unprocessable")
    at = now + timedelta(seconds=delay_s(policy, after.failures, answer.retry_after_s, chance))
    if at > first_at + timedelta(seconds=policy.patience_s):
        return after, Dead("exhausted")
    return after, RetryAt(at)


def delay_s(policy: Policy, failures: int, retry_after_s: float | None, chance: float) -> float:
    """Seconds after the `failures`-th failure. Never less than the receiver asked for; jitter is added to that, too."""
    planned = policy.delays_s[min(max(failures, 1), len(policy.delays_s)) - 1]
    jittered = planned * (1 + policy.jitter * (2 * chance - 1))
    if retry_after_s is None:
        return jittered
    asked = min(retry_after_s, policy.retry_after_s_max)
    return max(jittered, asked * (1 + policy.jitter * chance))


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3: seconds or an HTTP date); None when it is absent or nonsense."""
    text = (value or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:  # "-0000": RFC 9110 dates are in GMT
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def answer_of(status: int, headers: Mapping[str, str], now: datetime) -> Answer:
    """A whole HTTP answer, sorted. Header names in lower case."""
    asked_s = retry_after_s(headers.get("retry-after"), now)
    return Answer(_outcome_of(status), status, asked_s)


def _outcome_of(status: int) -> Outcome:
    if 200 <= status < 300:
        return "acknowledged"
    if 300 <= status < 400:
        return "redirected"
    named: dict[int, Outcome] = {
        410: "gone",
        413: "unprocessable",
        415: "unprocessable",
        429: "throttled",
        503: "throttled",
        502: "overloaded",
        504: "overloaded",
    }
    return named.get(status, "failed" if status >= 500 else "refused")


# --- the endpoint ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """What happened in the present window of the rate."""

    start_s: float = 0.0  # monotonic
    acknowledged: int = 0
    is_slowed: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How an endpoint does. `cap_per_s`: the subscriber's own, or what its handshake granted."""

    cap_per_s: float | None = None
    rate_per_s: float | None = None  # None: not slowed down
    failures: int = 0  # in a row
    failing_since: datetime | None = None
    trips: int = 0  # of the circuit since the last good answer
    closed_until: datetime | None = None  # by the circuit: nothing goes out before; after it one probe while trips > 0
    put_off_until: datetime | None = None  # by a Retry-After; a good answer that was under way does not lift it
    window: Window = field(default_factory=Window)

    @property
    def is_open(self) -> bool:
        """Whether its circuit is broken: at most a probe goes out."""
        return self.trips > 0

    @property
    def limit_per_s(self) -> float | None:
        """What to keep to; None is as fast as it goes."""
        if self.rate_per_s is None or self.cap_per_s is None:
            return self.rate_per_s if self.cap_per_s is None else self.cap_per_s
        return min(self.rate_per_s, self.cap_per_s)


def may_send(endpoint: Endpoint, now: datetime, in_flight: int) -> bool:
    """Whether an attempt may begin now, as far as circuit and Retry-After are concerned."""
    if (until := sends_from(endpoint)) is not None and now < until:
        return False
    return not endpoint.is_open or in_flight == 0


def sends_from(endpoint: Endpoint) -> datetime | None:
    """Nothing goes out before; None: at any time."""
    if endpoint.closed_until is None or endpoint.put_off_until is None:
        return endpoint.closed_until or endpoint.put_off_until
    return max(endpoint.closed_until, endpoint.put_off_until)


def after_answer(policy: Policy, endpoint: Endpoint, answer: Answer, now: datetime, monotonic_s: float) -> Endpoint:
    """The endpoint after one more answer."""
    endpoint = _rolled(policy, endpoint, monotonic_s)
    if answer.outcome == "acknowledged":
        window = replace(endpoint.window, acknowledged=endpoint.window.acknowledged + 1)
        return replace(endpoint, window=window, failures=0, failing_since=None, trips=0, closed_until=None)
    endpoint = replace(endpoint, failing_since=endpoint.failing_since or now)
    if answer.outcome in SLOWING:
        endpoint = _slowed(policy, endpoint, monotonic_s)
    if answer.outcome == "throttled" and answer.retry_after_s is not None:
        wait_s = min(answer.retry_after_s, policy.retry_after_s_max)
        endpoint = replace(endpoint, put_off_until=_later(endpoint.put_off_until, now + timedelta(seconds=wait_s)))
    if answer.outcome in ENDPOINT_DOWN:
        return _failed(policy, endpoint, now)
    # It answers, although not as we would like: the circuit is for endpoints that do not work at all.
    return replace(endpoint, failures=0, trips=0)


def is_given_up(policy: Policy, endpoint: Endpoint, now: datetime) -> bool:
    """Whether nothing went well for so long that the subscription is to be disabled."""
    since = endpoint.failing_since
    return since is not None and now - since >= timedelta(seconds=policy.failing_s_max)


def _failed(policy: Policy, endpoint: Endpoint, now: datetime) -> Endpoint:
    failures = endpoint.failures + 1
    endpoint = replace(endpoint, failures=failures)
    is_tripped = failures >= policy.circuit_failures and (not endpoint.is_open or _is_over(endpoint.closed_until, now))
    if not is_tripped:
        return endpoint
    pause_s = min(policy.circuit_s * 2**endpoint.trips, policy.circuit_s_max)
    return replace(
        endpoint,
        trips=min(endpoint.trips + 1, 30),
        closed_until=_later(endpoint.closed_until, now + timedelta(seconds=pause_s)),
    )


def _slowed(policy: Policy, endpoint: Endpoint, monotonic_s: float) -> Endpoint:
    """Half of what went through of late; once a window, since the answers of one moment say one thing."""
    window = endpoint.window
    if window.is_slowed:
        return endpoint
    elapsed_s = max(monotonic_s - window.start_s, policy.rate_window_s)
    present = endpoint.limit_per_s
    observed = max(window.acknowledged / elapsed_s, 1.0)
    rate = (observed if present is None else min(present, observed * 2)) / 2
    return replace(endpoint, rate_per_s=max(rate, policy.rate_per_s_min), window=replace(window, is_slowed=True))


def _rolled(policy: Policy, endpoint: Endpoint, monotonic_s: float) -> Endpoint:
    window = endpoint.window
    if monotonic_s - window.start_s < policy.rate_window_s:
        return endpoint
    rate = endpoint.rate_per_s
    if rate is not None and not window.is_slowed and window.acknowledged:
        rate = rate * policy.rate_growth + 0.1
        if rate >= policy.rate_per_s_max:
            rate = None
    return replace(endpoint, rate_per_s=rate, window=Window(monotonic_s))


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)


def _is_over(until: datetime | None, now: datetime) -> bool:
    return until is None or now >= until
