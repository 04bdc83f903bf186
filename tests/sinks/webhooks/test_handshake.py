"""The OPTIONS handshake: consent is a header that names us, never a status; the granted rate is what counts."""

import pytest

from sinks.webhooks.handshake import (
    Granted,
    Pending,
    Refused,
    new_callback_token,
    read_answer,
    read_callback,
    read_probe,
    request_headers,
)

US = "dujiang.example.org"


def _read(rate: int | None = 120, *, has_callback: bool = False, **headers: str) -> Granted | Pending | Refused:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_answer(named, US, rate, has_callback=has_callback)


def test_we_name_ourselves_the_rate_and_the_callback() -> None:
    assert request_headers(US, 120, "https://dujiang.example.org/callbacks/x") == {
        "WebHook-Request-Origin": US,
        "WebHook-Request-Rate": "120",
        "WebHook-Request-Callback": "https://dujiang.example.org/callbacks/x",
    }
    assert request_headers(US, None) == {"WebHook-Request-Origin": US}


@pytest.mark.parametrize(
    ("origin", "rate", "callback"),
    [("https://a.org", 1, None), ("", 1, None), ("*", 1, None), (US, 0, None), (US, 1, "http://a.org/x")],
)
def test_a_request_that_breaks_the_rule_is_not_made(origin: str, rate: int, callback: str | None) -> None:
    with pytest.raises(ValueError, match=r"origin|rate|callback"):
        request_headers(origin, rate, callback)


@pytest.mark.parametrize("allowed", [US, US.upper(), "*", f" {US} "])
def test_our_origin_or_a_star_is_consent(allowed: str) -> None:
    assert _read(webhook_allowed_origin=allowed, webhook_allowed_rate="100") == Granted(100)


@pytest.mark.parametrize(
    ("allowed", "reason"), [("", "origin_missing"), ("other.org", "origin_other"), (f"{US}.evil.org", "origin_other")]
)
def test_anything_else_is_no_consent(allowed: str, reason: str) -> None:
    answer = _read(webhook_allowed_origin=allowed, webhook_allowed_rate="100")
    assert isinstance(answer, Refused)
    assert answer.reason == reason


def test_without_the_header_the_callback_may_still_come() -> None:
    assert _read(has_callback=True) == Pending()
    assert isinstance(_read(has_callback=True, webhook_allowed_origin="other.org"), Refused)


@pytest.mark.parametrize(
    ("rate", "outcome"),
    [
        ("*", None),
        ("1", 1),
        ("0", "rate_malformed"),
        ("-5", "rate_malformed"),
        ("1.5", "rate_malformed"),
        ("", "rate_missing"),
        ("9" * 30, "rate_malformed"),
        ("١", "rate_malformed"),
    ],
)
def test_the_rate_is_a_star_or_a_positive_number_and_must_come_when_asked_for(rate: str, outcome: int | str | None) -> None:
    answer = _read(webhook_allowed_origin="*", webhook_allowed_rate=rate)
    assert (answer.reason if isinstance(answer, Refused) else answer.rate_per_minute) == outcome  # type: ignore[union-attr]


def test_the_rate_may_be_left_out_when_we_named_none() -> None:
    assert _read(None, webhook_allowed_origin="*") == Granted(None)


def test_a_callback_consents_and_may_grant_a_rate() -> None:
    assert read_callback(None, 120) == Granted(None)
    assert read_callback("60", 120) == Granted(60)
    assert isinstance(read_callback("0", 120), Refused)


def test_callback_tokens_are_long_and_never_the_same() -> None:
    assert len({new_callback_token() for _ in range(100)}) == 100
    assert len(new_callback_token()) >= 40


@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_endpoint_that_refuses_the_unsigned_probe_is_well(status: int) -> None:
    assert read_probe(status) is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [(200, "unsigned_accepted"), (204, "unsigned_accepted"), (302, "probe_unclear"), (500, "probe_unclear")],
)
def test_an_endpoint_that_takes_it_is_not(status: int, reason: str) -> None:
    answer = read_probe(status)
    assert answer is not None
    assert answer.reason == reason
