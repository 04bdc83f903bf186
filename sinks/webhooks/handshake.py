"""Whether an endpoint wants our deliveries: the OPTIONS handshake of the CloudEvents webhook rule, and a probe of our own.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md, section 4. Consent is a header and never a status.
The probe: an endpoint that acknowledges an unsigned call would acknowledge anybody's.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ORIGIN_HEADER: Final = "WebHook-Request-Origin"
RATE_HEADER: Final = "WebHook-Request-Rate"
CALLBACK_HEADER: Final = "WebHook-Request-Callback"
ALLOWED_ORIGIN_HEADER: Final = "webhook-allowed-origin"
ALLOWED_RATE_HEADER: Final = "webhook-allowed-rate"
RATE_PER_MINUTE_MAX: Final = 10_000_000
RATE_MEMBER: Final = "rate_per_min"  # of a subscription's config
CALLBACK_BYTES: Final = 32
CALLBACK_PATH: Final = "/callbacks"  # at the gateway

PROBE_BODY: Final = b'{"specversion":"1.0","id":"probe","source":"/dujiang/handshake","type":"dujiang.handshake.probe"}'


@dataclass(frozen=True, slots=True)
class Granted:
    """The receiver wants us. rate_per_minute: None is without limit."""

    rate_per_minute: int | None


@dataclass(frozen=True, slots=True)
class Pending:
    """It may still consent by a GET or POST of the callback."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It does not, or its answer means nothing; `message` tells what to send. `is_final`: asking again does not help."""

    reason: str
    message: str
    is_final: bool = False


def rate_of(config: Mapping[str, Any]) -> int | None:
    """What a subscription's `config` says that we should keep to, a minute; None: nothing that can be kept to."""
    rate = config.get(RATE_MEMBER)
    is_rate = isinstance(rate, int) and not isinstance(rate, bool) and 0 < rate <= RATE_PER_MINUTE_MAX
    return rate if is_rate else None


def request_headers(origin: str, rate_per_minute: int | None, callback: str | None = None) -> dict[str, str]:
    """Headers of the OPTIONS request. `origin`: our DNS name, not an URL. Raises ValueError."""
    if not origin or "/" in origin or ":" in origin or origin == "*":
        raise ValueError(f"the origin {origin!r} is no DNS name")
    headers = {ORIGIN_HEADER: origin}
    if rate_per_minute is not None:
        if not 0 < rate_per_minute <= RATE_PER_MINUTE_MAX:
            raise ValueError(f"a rate is 1 to {RATE_PER_MINUTE_MAX} a minute")
        headers[RATE_HEADER] = str(rate_per_minute)
    if callback is not None:
        if not callback.startswith("https://"):
            raise ValueError("the callback is an https URL")
        headers[CALLBACK_HEADER] = callback
    return headers


def new_callback_token() -> str:
    """The part of a callback URL that nobody can guess."""
    return secrets.token_urlsafe(CALLBACK_BYTES)


def read_answer(
    headers: Mapping[str, str], origin: str, rate_per_minute: int | None, *, has_callback: bool = False
) -> Granted | Pending | Refused:
    """What the answer to the OPTIONS request says, by its headers (names in lower case) whatever its status."""
    allowed = headers.get(ALLOWED_ORIGIN_HEADER, "").strip()
    if not allowed:
        if has_callback:
            return Pending()
        return Refused("origin_missing", f"the answer has no WebHook-Allowed-Origin; answer OPTIONS with {origin} or *")
    if allowed != "*" and allowed.lower() != origin.lower():
        return Refused("origin_other", f"WebHook-Allowed-Origin names another origin; answer OPTIONS with {origin} or *")
    return _granted_rate(headers.get(ALLOWED_RATE_HEADER, "").strip(), rate_per_minute)


def read_callback(rate: str | None, rate_per_minute: int | None) -> Granted | Refused:
    """Consent by the callback; `rate` is its WebHook-Allowed-Rate, which may be missing there."""
    return _granted_rate(rate.strip() if rate else "*", rate_per_minute)


def _granted_rate(rate: str, asked: int | None) -> Granted | Refused:
    if rate == "*":
        return Granted(None)
    if not rate:
        if asked is None:
            return Granted(None)
        return Refused("rate_missing", "we asked for a rate and the answer has no WebHook-Allowed-Rate; send a number or *")
    if not (rate.isascii() and rate.isdigit()) or not 0 < (granted := int(rate[:9])) <= RATE_PER_MINUTE_MAX or len(rate) > 9:
        return Refused("rate_malformed", "WebHook-Allowed-Rate is * or a whole number of deliveries a minute above 0")
    return Granted(granted)


def read_probe(status: int) -> Refused | None:
    """What became of a POST without signature: it has to be refused by 4xx; None is well."""
    if 400 <= status < 500:
        return None
    if 200 <= status < 300:
        return Refused("unsigned_accepted", "the endpoint acknowledged a call without signature; verify it, answer 401")
    return Refused("probe_unclear", f"the endpoint answered {status} to a call without signature; answer 401")
